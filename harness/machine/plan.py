# SPDX-License-Identifier: Apache-2.0
"""A machine as pure data: what decides how a guest behaves, not how it is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.arch import Arch
from harness.errors import DeclarationError

DEFAULT_CPU = {"tcg": "Nehalem", "kvm": "host"}
"""Under TCG an Intel model: compatibility-mode SYSENTER is right there, and SMAP, which some
emulated returns trip over, is absent."""

DEFAULT_MEMORY_MIB = 128

BASE_COMMAND_LINE = (
    "console=ttyS0",
    "panic=-1",  # a panic resets the machine, and -no-reboot ends QEMU with it
    "quiet",  # warnings and worse still come; each character costs an exit
    "8250.nr_uarts=2",
    "no_timer_check",
    "cryptomgr.notests",  # 0.6 s of 2.9 under TCG
    "noreplace-smp",  # 0.2 s: lock prefixes stay in the code
    "tsc=reliable",  # its watchdog would find it unstable in every clone
    "nokaslr",  # bad pointers into the kernel have to meet something there, see harness/pointers.py
    "noisapnp",  # 0.5 s on i386; x86_64 does not know it
)
"""`no_timer_check`: the kernel counts timer interrupts against a clock that emulation does not keep
on a busy host, and panics ("IO-APIC + timer doesn't work!"); under KVM it leaves that out itself.
Source: arch/x86/kernel/apic/io_apic.c timer_irq_works, arch/x86/kernel/kvm.c (6.1).
"""

EMULATED_COMMAND_LINE = ("pti=off",)
"""Under TCG each change of page tables empties the processor's cache of them, and isolation changes
them at each entry and return: a quarter of what a test costs besides its questions (6.1/x86_64).
Scenarios of entry and return ask with ``pti=on``; real processors, and whoever counts instructions,
have the kernel's own choice.
"""

STEADY_COMMAND_LINE = ("nokaslr", "norandmaps")
"""For a machine that counts: trees of mappings have another shape where addresses are others."""


@dataclass(frozen=True)
class MachineOptions:
    """What a user may choose about a machine.

    Attributes:
        cpu: a model as QEMU spells it, with features; empty for the accelerator's default.
        accelerator: "auto", "tcg" or "kvm".
        memory_mib: the guest's memory.
        vcpus: how many processors.
        append: more kernel parameters, which come last and so win.
        boot: whether to boot in any case, and not to clone a state that was kept.
        counted: whether the time stamp counter counts instructions, which only TCG can do.
    """

    cpu: str = ""
    accelerator: str = "auto"
    memory_mib: int = DEFAULT_MEMORY_MIB
    vcpus: int = 1
    append: tuple[str, ...] = ()
    boot: bool = False
    counted: bool = False


@dataclass(frozen=True)
class MachinePlan:
    """One machine that could be started.

    Attributes:
        arch: the kernel's.
        kernel: the file that QEMU boots, a bzImage or an ELF file with a PVH entry.
        initramfs: the archive that goes with it.
        accelerator: "tcg" or "kvm".
        cpu: a model as QEMU spells it.
        machine: QEMU's machine type.
        memory_mib: the guest's memory.
        vcpus: how many processors.
        command_line: the kernel's parameters.
        counted: whether virtual time is the number of executed instructions.
    """

    arch: Arch
    kernel: Path
    initramfs: Path
    accelerator: str
    cpu: str
    machine: str = "pc"
    memory_mib: int = DEFAULT_MEMORY_MIB
    vcpus: int = 1
    command_line: tuple[str, ...] = BASE_COMMAND_LINE
    counted: bool = False


def own_parameters(accelerator: str, *, counted: bool = False) -> tuple[str, ...]:
    """Return the kernel parameters that come before the user's.

    Args:
        accelerator: "tcg" or "kvm".
        counted: whether virtual time is the number of executed instructions.
    """
    if counted:
        return BASE_COMMAND_LINE + STEADY_COMMAND_LINE
    return BASE_COMMAND_LINE + (EMULATED_COMMAND_LINE if accelerator == "tcg" else ())


def plan_machine(
    arch: Arch, kernel: Path, initramfs: Path, accelerator: str, options: MachineOptions
) -> MachinePlan:
    """Decide on a machine.

    Args:
        arch: the kernel's.
        kernel: what QEMU boots.
        initramfs: what goes with it.
        accelerator: "tcg" or "kvm"; the choice that "auto" stands for has been made by now.
        options: what the user wants.

    Raises:
        DeclarationError: an option cannot be meant.
    """
    if options.memory_mib < 32 or options.vcpus < 1:  # noqa: PLR2004
        raise DeclarationError(
            f"a guest needs 32 MiB and one processor at least, "
            f"got {options.memory_mib} MiB and {options.vcpus}"
        )
    if options.counted and accelerator != "tcg":
        raise DeclarationError(f"{accelerator} counts no instructions: expected --accel tcg")
    return MachinePlan(
        arch=arch,
        kernel=kernel,
        initramfs=initramfs,
        accelerator=accelerator,
        cpu=options.cpu or DEFAULT_CPU[accelerator],
        memory_mib=options.memory_mib,
        vcpus=options.vcpus,
        command_line=own_parameters(accelerator, counted=options.counted) + options.append,
        counted=options.counted,
    )

# SPDX-License-Identifier: Apache-2.0
"""What a processor offers at the system-call boundary, as CPUID says it to a program."""

from __future__ import annotations

from dataclasses import dataclass

from harness.arch import ARCH_X86_64, Arch
from harness.entry import SYSCALL32, SYSENTER, EntryPath

_SEP = 1 << 11
_LONG_MODE = 1 << 29
_TCG = b"TCGTCGTCGTCG"


@dataclass(frozen=True)
class Cpu:
    """A processor, real or emulated.

    Attributes:
        vendor: the twelve letters of leaf 0, "GenuineIntel" or "AuthenticAMD".
        sep: whether SYSENTER is there (leaf 1, edx bit 11).
        long_mode: whether 64-bit mode, and with it SYSCALL, is there (leaf 0x80000001, edx bit 29).
        by_tcg: whether QEMU's TCG emulates it and says so, as it does when nobody forbids it
            (leaf 0x40000000; target/i386/cpu.c cpu_x86_cpuid, QEMU 7.2).
    """

    vendor: str
    sep: bool
    long_mode: bool
    by_tcg: bool = False

    @classmethod
    def of(cls, vendor: bytes, features_edx: int, extended_edx: int, hypervisor: bytes) -> Cpu:
        """Read what CPUID gave.

        Args:
            vendor: leaf 0's ebx, edx and ecx.
            features_edx: leaf 1's.
            extended_edx: leaf 0x80000001's.
            hypervisor: leaf 0x40000000's ebx, ecx and edx.
        """
        name = vendor.decode("ascii", errors="replace")
        sep, long_mode = bool(features_edx & _SEP), bool(extended_edx & _LONG_MODE)
        return cls(name, sep, long_mode, hypervisor == _TCG)

    @property
    def is_intel(self) -> bool:
        """Whether it follows Intel where the vendors differ."""
        return self.vendor == "GenuineIntel"


def read_features(cpuinfo: bytes) -> frozenset[str]:
    """Return what a kernel says of its processors, from what /proc/cpuinfo holds: "smap" and such.

    What it does not use is not among them. Source: arch/x86/kernel/cpu/proc.c show_cpuinfo (6.1).
    """
    rows = (line.partition(":") for line in cpuinfo.decode(errors="replace").splitlines())
    return frozenset(f for name, _, said in rows if name.strip() == "flags" for f in said.split())


def why_unavailable(entry: EntryPath, arch: Arch, cpu: Cpu) -> str:
    """Return why a program cannot use `entry` there, empty when it can.

    Args:
        entry: the way in.
        arch: the kernel's.
        cpu: the processor's.

    Source: Intel SDM volume 2, SYSENTER and SYSCALL; AMD APM volume 3, SYSENTER ("invalid in long
    mode") and SYSCALL; arch/x86/kernel/cpu/common.c syscall_init, 6.1.
    """
    if entry.abi not in arch.abis:
        return f"an {arch} kernel runs no {entry.abi} programs"
    if entry is SYSENTER and not cpu.sep:
        return "the processor has no SYSENTER"
    if entry is SYSENTER and arch is ARCH_X86_64 and not cpu.is_intel:
        return f"{cpu.vendor} has no SYSENTER in compatibility mode"
    if not entry.exists_on(arch):
        return f"{arch} kernels do not set {entry} up"
    if entry is SYSCALL32 and cpu.is_intel:
        return f"{cpu.vendor} has no SYSCALL in compatibility mode"
    return ""

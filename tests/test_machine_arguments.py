# SPDX-License-Identifier: Apache-2.0
"""Plans and command lines are pure: nothing is started to look at them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import ARCH_I386, ARCH_X86_64
from harness.cpu import Cpu
from harness.entry import INT80, SYSCALL32, SYSENTER, EntryPath
from harness.errors import DeclarationError
from harness.machine.arguments import BY_HAND, Wiring, qemu_arguments
from harness.machine.errata import IRET_UNDER_SMAP, Situation, find_erratum
from harness.machine.plan import BASE_COMMAND_LINE, MachineOptions, MachinePlan, plan_machine
from harness.machine.state import state_key

WIRING = Wiring("file,path=c", "socket,fd=7", "socket,fd=8", ("-add-fd", "fd=9,set=1"))
INTEL, AMD, WITHOUT_SEP = (
    Cpu("GenuineIntel", sep=True, long_mode=True),
    Cpu("AuthenticAMD", sep=True, long_mode=True),
    Cpu("GenuineIntel", sep=False, long_mode=False),
)


def plan(accelerator: str = "tcg", **options: object) -> MachinePlan:
    chosen = replace(MachineOptions(), **options)
    return plan_machine(ARCH_I386, Path("kernel"), Path("archive"), accelerator, chosen)


def value_of(option: str, arguments: list[str]) -> str:
    return arguments[arguments.index(option) + 1]


def test_an_accelerator_has_its_own_default_processor() -> None:
    assert (plan("tcg").cpu, plan("kvm").cpu) == ("Nehalem", "host")
    assert plan("kvm", cpu="qemu32,-sep").cpu == "qemu32,-sep"


def test_the_users_parameters_come_last_and_so_win() -> None:
    line = plan("kvm", append=("loglevel=7", "quiet")).command_line
    assert line == (*BASE_COMMAND_LINE, "loglevel=7", "quiet")


def test_page_tables_are_isolated_where_that_is_measured_or_asked_for() -> None:
    assert "pti=off" in plan("tcg").command_line
    assert "pti=off" not in plan("tcg", counted=True).command_line
    assert plan("tcg", append=("pti=on",)).command_line[-2:] == ("pti=off", "pti=on")


@pytest.mark.parametrize("options", [{"memory_mib": 31}, {"vcpus": 0}, {"memory_mib": -1}])
def test_a_machine_that_cannot_be_meant_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(DeclarationError, match="needs 32 MiB and one processor at least, got"):
        plan(**options)


def test_the_plan_is_what_qemu_is_told() -> None:
    said = qemu_arguments(plan(cpu="pentium3", memory_mib=64, vcpus=2), WIRING)
    options = ("-cpu", "-m", "-smp", "-accel", "-kernel", "-initrd")
    expected = ["pentium3", "64M", "2", "tcg", "kernel", "archive"]
    assert [value_of(option, said) for option in options] == expected
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(said)


def test_the_console_is_the_first_port_and_frames_the_second() -> None:
    said = qemu_arguments(plan(), WIRING)
    ports = [said[at + 1] for at, word in enumerate(said) if word == "-serial"]
    assert ports == ["chardev:console", "chardev:frames"]
    assert "socket,id=frames,fd=7" in said
    assert value_of("-mon", said) == "monitor,mode=control"


def test_by_hand_there_is_no_monitor() -> None:
    said = qemu_arguments(plan(), BY_HAND)
    assert "-mon" not in said
    assert "stdio,id=console" in said


def test_equal_plans_give_equal_command_lines() -> None:
    assert qemu_arguments(plan(), WIRING) == qemu_arguments(plan(), WIRING)


@pytest.mark.parametrize(
    ("of", "cpu", "accelerator", "qemu", "wrong"),
    [
        (SYSCALL32, INTEL, "tcg", (7, 2), True),
        (SYSCALL32, AMD, "tcg", (7, 2), False),
        (SYSCALL32, INTEL, "kvm", (7, 2), False),
        (SYSENTER, AMD, "tcg", (7, 2), True),
        (SYSENTER, AMD, "tcg", (8, 1), False),
        (SYSENTER, INTEL, "tcg", (7, 2), False),
        (SYSENTER, WITHOUT_SEP, "tcg", (9, 2), True),
        (SYSENTER, WITHOUT_SEP, "kvm", (9, 2), False),
        (INT80, INTEL, "tcg", (7, 2), False),
        (IRET_UNDER_SMAP, AMD, "tcg", (9, 0), True),
        (IRET_UNDER_SMAP, AMD, "tcg", (9, 1), False),
    ],
)
def test_known_errors_of_emulators(
    of: EntryPath | str, cpu: Cpu, accelerator: str, qemu: tuple[int, int], *, wrong: bool
) -> None:
    situation = Situation(ARCH_X86_64, accelerator, cpu, qemu)
    assert bool(find_erratum(of, situation)) is wrong


def test_a_machine_that_counts_instructions_is_another_one_and_tcgs() -> None:
    assert value_of("-icount", qemu_arguments(plan(counted=True), WIRING)) == "shift=0,sleep=off"
    assert "-icount" not in qemu_arguments(plan(), WIRING)
    assert state_key(plan(counted=True)) != state_key(plan())
    with pytest.raises(DeclarationError, match="kvm counts no instructions"):
        plan("kvm", counted=True)

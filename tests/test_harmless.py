# SPDX-License-Identifier: Apache-2.0
"""What a real host is asked: named calls of one's own, and nothing that lasts."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from harness.agent.calls import Call
from harness.agent.identity import Identity
from harness.agent.program import Program
from harness.arch import ABIS, ARCH_X86_64, X86_64
from harness.entry import ENTRY_PATHS, SYSCALL, EntryPath
from harness.errors import NotForHosts
from harness.syscalls import read_table
from harness.target.harmless import Harmless, read_harmless
from harness.version import KernelVersion

VERSION = KernelVersion.parse("6.12")
ROOMS = ("", "/tmp/room")  # noqa: S108 - nothing is written there
HARMFUL = (
    *("reboot", "kexec_load", "init_module", "finit_module", "delete_module", "mount", "umount2"),
    *("swapon", "swapoff", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "acct"),
    *("sethostname", "setdomainname", "iopl", "ioperm", "chroot", "pivot_root", "unshare", "setns"),
    *(
        "bpf",
        "perf_event_open",
        "add_key",
        "keyctl",
        "quotactl",
        "syslog",
        "vhangup",
        "io_uring_setup",
    ),
    *(
        "sched_setscheduler",
        "setpriority",
        "userfaultfd",
        "mknod",
        "mlockall",
        "move_mount",
        "sync",
    ),
)
TO_OTHERS = (
    "kill",
    "tgkill",
    "ptrace",
    "unlink",
    "rename",
    "truncate",
    "chmod",
    "socket",
    "shmget",
)
"""What an ordinary user could do to others where the agent has no room of its own."""


def guard(room: str, version: KernelVersion = VERSION) -> Harmless:
    identity = Identity(
        "local", ARCH_X86_64, version, str(version), "none", "a cpu", target="local"
    )
    return Harmless(identity, room)


def asking(entry: EntryPath, number: int, *arguments: int) -> Program:
    program = Program()
    program.call(Call.of(entry, number, arguments, "a call"))
    return program


@pytest.mark.parametrize("entry", ENTRY_PATHS.values(), ids=str)
@pytest.mark.parametrize("room", ROOMS, ids=["room", "no room"])
def test_nothing_harmful_is_let_through_by_any_way(room: str, entry: EntryPath) -> None:
    table = read_table(entry.table, VERSION)
    names = HARMFUL + (TO_OTHERS if room else ())
    numbers = [table.number(name) for name in names]
    beside = (0, 1 << 32, 1 << 63) if entry.abi is X86_64 else (0,)
    for number, bits in itertools.product(numbers, beside):
        with pytest.raises(NotForHosts, match="is not asked of a real host"):
            guard(room).check_program(entry.abi, asking(entry, number | bits))
        with pytest.raises(NotForHosts, match="is not asked of a real host"):
            guard(room).check_call(entry, number | bits)


@pytest.mark.parametrize("name", ["reboot", "mount"])
def test_the_bit_of_x32_hides_nothing(name: str) -> None:
    number = read_table(X86_64, VERSION).number(name) | 0x4000_0000
    with pytest.raises(NotForHosts, match=name):
        guard("").check_program(X86_64, asking(SYSCALL, number))


def test_of_a_newer_kernel_only_numbers_are_asked_that_are_no_calls_for_sure() -> None:
    guard("").check_call(SYSCALL, 900)
    newer = guard("", KernelVersion.parse("9.1"))
    newer.check_call(SYSCALL, 1 << 20)
    with pytest.raises(NotForHosts, match="nobody knows"):
        newer.check_call(SYSCALL, 900)


def test_without_a_room_files_are_looked_at_only() -> None:
    number = read_table(X86_64, VERSION).number("open")
    guard(ROOMS[1]).check_program(X86_64, asking(SYSCALL, number, 0, os.O_RDONLY | os.O_CLOEXEC))
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_TMPFILE):
        with pytest.raises(NotForHosts, match="no room of its own"):
            guard(ROOMS[1]).check_program(X86_64, asking(SYSCALL, number, 0, flags))
        guard("").check_program(X86_64, asking(SYSCALL, number, 0, flags))


def test_files_stay_in_the_room() -> None:
    inside, outside = guard(ROOMS[1]), guard("")
    inside.check_write(f"{ROOMS[1]}/letters")
    outside.check_write("/letters")
    inside.check_read("/proc/self/maps")
    for path in ("/letters", "/etc/passwd"):
        with pytest.raises(NotForHosts, match="the host's own"):
            inside.check_write(path)
        with pytest.raises(NotForHosts, match="the host's own"):
            inside.check_read(path)
    for path in ("/proc/sysrq-trigger", "/sys/power/state", "/dev/null"):
        with pytest.raises(NotForHosts, match="root alone"):
            outside.check_write(path)


def test_every_name_is_a_calls_and_stands_once() -> None:
    known = read_harmless()
    calls = [known[group] for group in ("own", "never_were", "in_room")]
    tables = [read_table(abi, VERSION) for abi in ABIS.values()]
    names = {name for table in tables for name in (*table.numbers, *table.newer)}
    assert frozenset().union(*calls) - names == set()
    assert sum(map(len, calls)) == len(frozenset().union(*calls))


def test_every_probe_that_is_named_is_there() -> None:
    probes = Path(__file__).resolve().parents[1] / "guest" / "probes"
    assert read_harmless()["probes"] <= {path.stem for path in probes.glob("*.c")}


def test_what_provokes_kernels_is_marked() -> None:
    scenarios = Path(__file__).resolve().parents[1] / "scenarios"
    texts = {path.stem: path.read_text(encoding="utf-8") for path in scenarios.glob("test_*.py")}
    provoking = {name: text for name, text in texts.items() if "\ndef test_cve_" in text}
    assert provoking
    assert [
        n for n, text in provoking.items() if "\npytestmark = pytest.mark.guest_only" not in text
    ] == []
    sweeping = [text for text in texts.values() if "read_answers(" in text or "@given(" in text]
    assert sweeping
    assert all("guest_only(" in text for text in sweeping)

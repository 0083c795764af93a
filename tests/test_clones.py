# SPDX-License-Identifier: Apache-2.0
"""Clones of a kept boot state: alike where they should be, their own where they must be."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from live import CHECKOUT, I386, X86_64, eventually, is_there, machine_of, native, trapgate

from harness.agent.about import AT_RANDOM, AT_SYSINFO_EHDR
from harness.agent.arguments import Buffer
from harness.agent.guest import Guest
from harness.arch import Abi
from harness.deadline import Deadline
from harness.errors import HostError
from harness.kernels import find_source, obtain
from harness.machine.plan import MachineOptions
from harness.machine.state import NOTE, states_dir
from harness.target.making import keeps_time
from harness.target.pool import ClonePool
from harness.target.spring import Clone, Spring

BOTH = pytest.mark.parametrize("spec", [I386, X86_64])
TRACE = "/trace"
STATISTICS = "/proc/1/sched"
CLONED = MachineOptions(accelerator="tcg")


def spring_of(spec: str, said: list[str] | None = None) -> Spring:
    return Spring(obtain(find_source(spec)), CLONED, (said if said is not None else []).append)


@pytest.fixture
def own_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a cache without states that has the kernels of the usual one."""
    kernels = states_dir().parent / "kernels"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").symlink_to(kernels)
    monkeypatch.setenv("TRAPGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "states"


def random_bytes(guest: Guest) -> bytes:
    return guest.call(native(guest), "getrandom", Buffer(16), 16, 0).memory[0]


def wall_time(guest: Guest) -> int:
    memory = guest.call(native(guest), "gettimeofday", Buffer(16), 0).memory[0]
    return int(struct.unpack("<q" if native(guest).abi.bits == 64 else "<i4x", memory[:8])[0])


def uptime_s(guest: Guest) -> float:
    return float(guest.read_file("/proc/uptime").split()[0])


def exists(guest: Guest, path: bytes) -> bool:
    return guest.call(native(guest), "open", path + b"\0", os.O_RDONLY).errno is None


@BOTH
def test_clones_have_random_numbers_of_their_own(spec: str) -> None:
    spring = spring_of(spec)
    with spring.start_clone() as one, spring.start_clone() as other:
        assert random_bytes(one.guest) != random_bytes(other.guest)
        assert one.guest.read_file("/proc/sys/kernel/random/uuid") != other.guest.read_file(
            "/proc/sys/kernel/random/uuid"
        )


@BOTH
def test_what_clones_execute_lies_elsewhere(spec: str) -> None:
    spring, places = spring_of(spec), []
    for _ in range(3):
        with spring.start_clone(fresh=True) as clone:
            for _ in range(2):
                guest = clone.guest
                places.append([whereabouts(guest, abi) for abi in guest.identity.arch.abis])
                clone.rewind()
    for of_one_abi in zip(*places, strict=True):
        bases, random = zip(*of_one_abi, strict=True)
        assert len(set(bases)) > 1  # of 32-bit programs only some bits are random
        assert len(set(random)) == 6


def whereabouts(guest: Guest, abi: Abi) -> tuple[int, bytes]:
    auxv = guest.about(abi).auxv
    return auxv[AT_SYSINFO_EHDR], guest.read(abi, auxv[AT_RANDOM], 16)


@BOTH
def test_a_clone_has_the_hosts_time(spec: str) -> None:
    with spring_of(spec).start() as guest:
        assert abs(wall_time(guest) - time.time()) < 3


@pytest.mark.parametrize("rewound_before", [False, True])
def test_a_dead_machine_is_not_taken_back(*, rewound_before: bool) -> None:
    with spring_of("6.1/x86_64").start_clone() as clone:
        if rewound_before:
            clone.rewind()
        clone.kill()
        assert clone.machine.process.wait(Deadline.after(10, "end")) == -signal.SIGKILL
        with pytest.raises(HostError):
            clone.rewind()


def test_a_clock_that_loses_time_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with spring_of("6.1/x86_64").start_clone() as clone:
        assert keeps_time(clone.guest)
        wait = time.sleep

        def wait_while_it_stands(seconds: float) -> None:
            clone.machine.process.ask("stop")
            wait(seconds)
            clone.machine.process.ask("cont")

        monkeypatch.setattr(time, "sleep", wait_while_it_stands)
        assert not keeps_time(clone.guest)


@BOTH
def test_a_rewound_guest_remembers_nothing(spec: str) -> None:
    with spring_of(spec).start_clone() as clone:
        for _ in range(5):
            assert not exists(clone.guest, TRACE.encode())
            clone.guest.write_file(TRACE, b"was here")
            assert exists(clone.guest, TRACE.encode())
            seen = random_bytes(clone.guest)
            assert random_bytes(clone.rewind()) != seen


@BOTH
def test_a_rewound_guest_is_as_old_as_the_state_and_has_the_hosts_time(spec: str) -> None:
    with spring_of(spec).start_clone() as clone:
        first = uptime_s(clone.guest)
        for _ in range(3):
            begin = uptime_s(clone.guest)
            time.sleep(0.5)
            assert uptime_s(clone.guest) > begin + 0.4
            assert abs(uptime_s(clone.rewind()) - first) < 0.4
            assert abs(wall_time(clone.guest) - time.time()) < 3


@BOTH
def test_a_rewound_kernel_executes_its_own_code_again(spec: str) -> None:
    """The switch rewrites branches in the kernel's code; see kernel/sched/debug.c (6.1)."""
    with spring_of(spec).start_clone() as clone:
        for _ in range(2):
            assert b"wait_sum" not in clone.guest.read_file(STATISTICS)
            clone.guest.write_file("/proc/sys/kernel/sched_schedstats", b"1")
            assert b"wait_sum" in clone.guest.read_file(STATISTICS)
            clone.rewind()


@BOTH
def test_what_was_translated_is_kept_but_for_pages_whose_code_has_changed(spec: str) -> None:
    with spring_of(spec).start_clone() as clone:
        begin = count_flushes(clone)
        for switch in (b"0", b"1", b"1"):
            clone.guest.write_file("/proc/sys/kernel/sched_schedstats", switch)
            guest = clone.rewind()
            assert guest.call(native(guest), "getppid").value == 1
        assert count_flushes(clone) == begin


def count_flushes(clone: Clone) -> int:
    """How often TCG has dropped all that it had translated."""
    process = machine_of(clone.guest).process
    said = str(process.ask("human-monitor-command", **{"command-line": "info jit"}))
    return int(next(line for line in said.splitlines() if "TB flush count" in line).split()[-1])


def test_a_rewind_asks_the_host_for_no_memory_that_it_had_before() -> None:
    with spring_of(X86_64).start_clone() as clone:
        for _ in range(10):
            clone.rewind()
        begin = count_page_faults(clone)
        for _ in range(10):
            clone.rewind()
            time.sleep(0.05)  # or what frees has always something to do
        assert count_page_faults(clone) - begin < 10 * 50, "some 300 each where QEMU gives it back"


def count_page_faults(clone: Clone) -> int:
    """How often its QEMU was given a page. Source: man 5 proc, /proc/PID/stat, minflt."""
    stat = Path(f"/proc/{clone.pid}/stat").read_text(encoding="ascii")
    return int(stat.rpartition(")")[2].split()[7])


def test_clones_do_not_see_each_other() -> None:
    spring = spring_of(X86_64)
    with spring.start() as one, spring.start() as other:
        one.write_file(TRACE, b"was here")
        assert not exists(other, TRACE.encode())


@pytest.mark.parametrize("damage", ["truncated", "flipped", "note", "missing"])
def test_a_damaged_state_is_made_anew(own_states: Path, damage: str) -> None:
    spring_of(X86_64).find_state()
    (folder,) = (f for f in own_states.iterdir() if f.is_dir())
    harm(folder, damage)
    said: list[str] = []
    with spring_of(X86_64, said).start() as guest:
        assert guest.call(native(guest), "getppid").value == 1
    assert len(said) == 1
    assert "discarded the boot state" in said[0]


@pytest.mark.usefixtures("own_states")
def test_a_state_says_whether_its_agent_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    drain = Guest.drain_log

    def drain_and_think(guest: Guest) -> str:
        said = drain(guest)
        time.sleep(0.2)
        return said

    spring = spring_of(X86_64)
    with monkeypatch.context() as hasty:
        hasty.setattr(Guest, "drain_log", drain_and_think)
        hasty.setattr("harness.target.making._QUIET_S", 0.0)
        state = spring.find_state()
    assert state
    assert not state.guest["looked_into"]
    with spring.start_clone() as clone:
        for guest in (clone.guest, clone.rewind()):
            assert guest.call(native(guest), "getppid").value == 1


def harm(folder: Path, damage: str) -> None:
    ram = folder / "ram"
    if damage == "truncated":
        os.truncate(ram, 1 << 20)
    elif damage == "flipped":
        with ram.open("r+b") as file:
            file.seek(32 << 20)
            file.write(b"\xff" * 16)
    elif damage == "note":
        (folder / NOTE).write_text("{")
    else:
        (folder / "devices").unlink()


def start_call() -> subprocess.Popen[bytes]:
    program = "from harness.cli import main; main()"
    arguments = ["call", "--accel", "tcg", "--kernel", X86_64, "getpid"]
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.DEVNULL,
    )


def test_two_processes_make_the_same_state_at_once(own_states: Path) -> None:
    both = [start_call() for _ in "ab"]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len([f for f in own_states.iterdir() if f.is_dir()]) == 1


def test_a_locked_kernel_that_shares_no_memory_is_booted(own_states: Path) -> None:
    said: list[str] = []
    options = replace(CLONED, append=("lockdown=integrity",))
    with Spring(obtain(find_source(X86_64)), options, said.append).start() as guest:
        assert guest.call(native(guest), "getppid").value == 1
    assert ["the kernel lets no program map" in line for line in said] == [True]
    assert not [path for path in own_states.iterdir() if path.is_dir()]


def test_where_no_state_can_be_kept_guests_are_booted(own_states: Path) -> None:
    own_states.write_text("in the way")
    said: list[str] = []
    with spring_of(X86_64, said).start() as guest:
        assert guest.call(native(guest), "getppid").value == 1
    assert ["are booted, not cloned" in line for line in said] == [True]


@pytest.fixture
def small_disk(own_states: Path) -> Iterator[Path]:
    """Give a folder for states on a file system that is too small for one."""
    own_states.mkdir()
    options = ["-o", "size=20m"]
    if subprocess.run(
        ["mount", "-t", "tmpfs", *options, "none", own_states], check=False
    ).returncode:
        pytest.skip("nobody but root may mount")
    yield own_states
    subprocess.run(["umount", own_states], check=True)


@pytest.mark.parametrize("promised_mib", [20, 1000], ids=["seen at once", "filled meanwhile"])
def test_on_a_full_disk_guests_are_booted(
    small_disk: Path, promised_mib: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.machine.making.free_bytes", lambda _: promised_mib << 20)
    said: list[str] = []
    with spring_of(X86_64, said).start() as guest:
        assert guest.call(native(guest), "getppid").value == 1
    assert ["are booted, not cloned" in line for line in said] == [True], said
    assert not [left for left in small_disk.iterdir() if left.is_dir()]


@pytest.mark.parametrize("after_s", [0.3, 1.0, 2.0])
def test_whoever_is_killed_while_making_a_state_leaves_none(
    own_states: Path, after_s: float
) -> None:
    maker = start_call()
    time.sleep(after_s)
    maker.kill()
    maker.wait()
    whole = [folder for folder in own_states.glob("[!.]*") if folder.is_dir()]
    assert all((folder / NOTE).is_file() for folder in whole)
    said: list[str] = []
    with spring_of(X86_64, said).start() as guest:
        assert guest.call(native(guest), "getppid").value == 1
    assert said == []
    assert len([folder for folder in own_states.iterdir() if folder.is_dir()]) == 1


def test_a_pool_is_bounded_and_empty_in_the_end() -> None:
    with ClonePool(spring_of(X86_64), size=2) as pool:
        with pool.take() as one, pool.take() as other:
            pids = {machine_of(c.guest).process.process.pid for c in (one, other)}
            assert one.guest.call(native(one.guest), "getppid").value == 1
        eventually(lambda: pool.waiting == 2)
        time.sleep(0.3)
        assert pool.waiting == 2
        pids |= pool.processes
    assert not [pid for pid in pids if is_there(pid)]


def test_a_clone_on_its_way_back_is_waited_for_and_a_second_guest_is_another() -> None:
    with ClonePool(spring_of(X86_64), size=2, eager=False) as pool:
        seen = set()
        for _ in range(3):
            with pool.take() as clone:
                assert clone.guest.call(native(clone.guest), "getppid").value == 1
                seen.add(clone.pid)
        assert len(seen) == 1
        with pool.take() as one, pool.take() as other:
            assert one.pid != other.pid


def test_whoever_waits_for_a_clone_hears_why_there_is_none() -> None:
    spring = spring_of(X86_64)
    with ClonePool(spring, size=1, eager=False) as pool:
        spring.plan = replace(spring.plan, machine="none of the kind")
        with pytest.raises(HostError) as raised, pool.take():
            pass
    assert "unsupported machine type" in raised.value.evidence


def test_the_cache_is_shown_limited_and_cleared(own_states: Path) -> None:
    spring_of(X86_64).find_state()
    state = {"TRAPGATE_STATE": str(own_states.parent / "limits")}
    assert X86_64 in trapgate("cache", **state).stdout
    assert trapgate("cache", "limit", "1K", **state).stdout == "1 state removed\n"
    assert "0 states" in trapgate("cache", **state).stdout
    assert trapgate("cache", "limit", "lots", **state).returncode == 2

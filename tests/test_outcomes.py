# SPDX-License-Identifier: Apache-2.0
"""Every way in which a question can end, brought about in a real guest, has its own word."""

from __future__ import annotations

import os
import signal
import time
import zlib
from errno import ENOSYS
from pathlib import Path

import pytest
from live import (
    TCG,
    X86_64,
    ask_on,
    eventually,
    is_there,
    machine_of,
    native,
    own_guest,
    put_into_window,
    trapgate,
    write_and_ask,
    write_to,
)
from planting import HANG, OOPS, TRIPLE_FAULT, Bug, plant, returning

from harness import wire
from harness.agent.frames import Frame, encode_frame
from harness.entry import SYSCALL
from harness.errors import (
    GuestError,
    GuestLost,
    GuestPanic,
    GuestTimeout,
    KernelSplat,
    OutcomeKind,
    TrapgateError,
)
from harness.kernels import find_source, obtain
from harness.machine.plan import MachineOptions
from harness.syscalls import read_table
from harness.target.spring import start_guest

I386_TOO = pytest.mark.parametrize("spec", ["6.1/i386", "6.1/x86_64"])


def planted(code: bytes, folder: Path) -> str:
    bug = Bug("__x64_sys_getppid", code)
    return str(plant(obtain(find_source(X86_64)), bug, folder))


@I386_TOO
def test_a_panic_is_a_panic_and_quotes_it(spec: str) -> None:
    with own_guest(spec) as guest:
        with pytest.raises(GuestPanic, match="sysrq triggered crash") as caught:
            write_to(guest, "/proc/sysrq-trigger", b"c")
        assert caught.value.kind is OutcomeKind.PANIC
        assert "Call Trace" in caught.value.evidence
        assert not guest.usable


def test_the_first_process_killed_is_a_panic() -> None:
    with own_guest() as guest:
        entry = native(guest)
        memory = guest.call(entry, "open", b"/proc/1/mem\0", os.O_RDWR).value
        code = b"\x0f\x0b" * 2000
        with pytest.raises(GuestPanic, match="Attempted to kill init"):
            guest.call(entry, "pwrite64", memory, code, len(code), 0x1000_1000)


def test_a_reset_is_a_panic_without_one() -> None:
    with own_guest() as guest:
        with pytest.raises(GuestPanic, match="reset without a panic") as caught:
            write_to(guest, "/proc/sysrq-trigger", b"b")
        assert caught.value.kind is OutcomeKind.PANIC


def test_a_triple_fault_is_a_panic(tmp_path: Path) -> None:
    with (
        own_guest(planted(TRIPLE_FAULT, tmp_path)) as guest,
        pytest.raises(GuestPanic, match="triple fault"),
    ):
        guest.call(SYSCALL, "getppid")


def test_a_guest_that_switches_itself_off_is_lost() -> None:
    with own_guest() as guest, pytest.raises(GuestLost, match="switched itself off"):
        write_and_ask(guest, "/proc/sysrq-trigger", b"o")


def test_an_oops_is_a_splat_and_the_guest_lives_on(tmp_path: Path) -> None:
    with own_guest(planted(OOPS, tmp_path)) as guest:
        with pytest.raises(KernelSplat, match="invalid opcode") as caught:
            guest.call(SYSCALL, "getppid")
        assert caught.value.kind is OutcomeKind.SPLAT
        assert "RIP: 0010:__do_sys_getppid" in caught.value.evidence
        assert "invalid opcode" in (guest.find_splat() or ""), "raised, and not forgotten"
        assert guest.find_splat() is None
        assert guest.call(SYSCALL, "getpid").value > 1


def test_a_wrong_answer_is_just_an_answer(tmp_path: Path) -> None:
    with own_guest(planted(returning(4242), tmp_path)) as guest:
        assert guest.call(SYSCALL, "getppid").value == 4242
        assert guest.find_splat() is None


def test_a_kernel_that_hangs_is_a_timeout_with_its_registers(tmp_path: Path) -> None:
    with own_guest(planted(HANG, tmp_path)) as guest:
        begin = time.monotonic()
        with pytest.raises(GuestTimeout) as caught:
            guest.call(SYSCALL, "getppid", timeout_s=0.5)
        assert time.monotonic() - begin < 8
        assert caught.value.kind is OutcomeKind.TIMEOUT
        assert "RIP=ffffffff81" in caught.value.evidence
        assert not guest.usable


def test_a_killed_qemu_is_lost_and_no_finding() -> None:
    with own_guest() as guest:
        machine_of(guest).process.process.kill()
        with pytest.raises(GuestLost, match=r"^qemu was killed by signal 9") as caught:
            ask_on(guest)
        assert caught.value.kind is OutcomeKind.LOST
        assert not isinstance(caught.value, GuestError)


def test_a_bug_can_be_planted_inside_a_function(tmp_path: Path) -> None:
    """The 64-bit table's bound, lowered by one: the last call is none any more."""
    kernel = obtain(find_source(X86_64))
    size = read_table(SYSCALL.table, kernel.version).size
    bound, lower = ((size - less).to_bytes(4, "little") for less in (1, 2))
    with own_guest(str(plant(kernel, Bug("do_syscall_64", lower, bound), tmp_path))) as guest:
        assert guest.call(SYSCALL, size - 1).errno == ENOSYS
        assert guest.call(SYSCALL, size - 2).errno != ENOSYS


def header(length: int, checksum: int = 0) -> bytes:
    return wire.HEADER.pack(wire.MAGIC, wire.FrameType.DONE, 0, 1, length) + wire.CRC.pack(checksum)


def good(sequence: int) -> bytes:
    return encode_frame(Frame(wire.FrameType.DONE, 0, sequence, b""))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (b"hello, I am no frame at all", "damaged frame: expected magic"),
        (header(0, zlib.crc32(b"?")), "wrong checksum"),
        (header(0xFFFF_FFFF), "at most 65536 bytes"),
        (good(77), "an answer to request"),
    ],
    ids=["garbage", "checksum", "length", "sequence"],
)
def test_a_guest_that_damages_frames_is_lost(damage: bytes, said: str) -> None:
    with own_guest() as guest:
        with pytest.raises(GuestLost, match=said) as caught:
            put_into_window(guest, damage)
        assert caught.value.kind is OutcomeKind.LOST
        assert not guest.usable


@I386_TOO
def test_a_guest_that_speaks_out_of_turn_is_lost(spec: str) -> None:
    with own_guest(spec) as guest:
        said = "over the port instead of the window"
        with pytest.raises(GuestLost, match=said):
            write_and_ask(guest, "/dev/ttyS1", b"hello, I am no frame at all")


def test_a_ring_that_overflows_is_lost() -> None:
    with own_guest() as guest, pytest.raises(GuestLost, match="damaged window"):
        put_into_window(guest, b"", promised=wire.RING_BYTES + 1)


def test_a_frame_that_never_ends_is_a_timeout_that_says_so() -> None:
    with own_guest() as guest, pytest.raises(GuestTimeout, match="of an unfinished frame"):
        put_into_window(guest, header(60_000)[: wire.HEADER.size])


def test_a_kernel_that_does_not_boot_is_found_out() -> None:
    options = MachineOptions(accelerator="tcg", append=("init=/nowhere", "rdinit=/nowhere"))
    with (
        pytest.raises(GuestPanic, match="kernel panicked"),
        start_guest(obtain(find_source("6.1/x86_64")), options),
    ):
        pass


def thread_states(pid: int) -> list[str]:
    stats = Path(f"/proc/{pid}/task").glob("*/stat")
    return [stat.read_text().rpartition(")")[2].split()[0] for stat in stats]


def test_a_stopped_qemu_is_a_timeout_and_ends() -> None:
    with own_guest() as guest:
        guest.call(SYSCALL, "getpid")
        pid = machine_of(guest).process.process.pid
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: set(thread_states(pid)) == {"T"})
        with pytest.raises(GuestTimeout, match="no answer"):
            guest.call(SYSCALL, "getpid", timeout_s=0.5)
    assert eventually(lambda: not is_there(pid), 1)


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [(OOPS, 1, "the kernel complained: "), (HANG, 1, "no answer"), (returning(7), 0, "")],
    ids=["oops", "hang", "wrong"],
)
def test_the_command_ends_as_the_kernel_did(
    code: bytes, status: int, said: str, tmp_path: Path
) -> None:
    kernel = planted(code, tmp_path)
    done = trapgate(
        "call", "--kernel", kernel, "--accel", TCG.accelerator, "--timeout", "0.5", "getppid"
    )
    assert done.returncode == status, done.stderr
    assert said in done.stderr


def test_errors_keep_their_kinds() -> None:
    statuses = {kind.name: kind.value.exit_status for kind in OutcomeKind}
    assert {statuses[kind] for kind in ("FAIL", "SPLAT", "PANIC", "TIMEOUT")} == {1}
    assert {statuses[kind] for kind in ("LOST", "INFRASTRUCTURE")} == {2}
    assert TrapgateError.kind is OutcomeKind.INFRASTRUCTURE

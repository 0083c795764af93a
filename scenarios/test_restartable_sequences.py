# SPDX-License-Identifier: Apache-2.0
"""A restartable sequence that is interrupted: it is left for its other end, and only if within.

The interruption is a tracer's stop, for which another process runs.

Source: kernel/rseq.c rseq_ip_fixup, rseq_get_rseq_cs, in_rseq_cs (6.1); man 2 rseq.
"""

import struct
from errno import EFAULT, ENOSYS
from signal import SIGCHLD, SIGSEGV, SIGUSR1

import pytest

from harness.agent.arguments import Buffer
from harness.agent.ptrace import TRAP_STOP, Option, Request, Status
from harness.agent.puppet import INT3, start_puppet
from harness.agent.signals import FRAME_BYTES, SA_NODEFER, SA_RESTORER, SA_SIGINFO, frame_layout
from harness.agent.structures import ACTION
from harness.landscape import HOLE, PAGE

NOP = b"\x90"
SIGNATURE, AREA_BYTES = 0x5305_3053, 32
AREA, POINTER, SEQUENCE, STAGE_BYTES = 0x1000, 8, 0x1100, 0x10000
COMMIT, ABORT = 4, 16
CODE = (COMMIT * NOP + INT3).ljust(ABORT - 4, NOP) + struct.pack("<I", SIGNATURE) + NOP + INT3
LEFT = ABORT + 2


@pytest.fixture
def puppet(guest, abi):
    """Give a process with an area for restartable sequences, or skip where there are none."""
    with start_puppet(guest, abi) as puppet:
        area = puppet.strings.stage + AREA
        said = puppet.call(puppet.own_entry, "rseq", area, AREA_BYTES, 0, SIGNATURE)
        if said == -ENOSYS:
            pytest.skip("built without restartable sequences")
        assert said == 0
        yield puppet


def send_into(puppet, place, abort=ABORT):
    """Send it to a place on the stage, where a sequence is that it has begun."""
    start = puppet.strings.stage
    puppet.write(start + SEQUENCE, struct.pack("<IIQQQ", 0, 0, start, COMMIT, start + abort))
    puppet.write(start + AREA + POINTER, struct.pack("<Q", start + SEQUENCE))
    puppet.send_to(CODE)
    puppet.set_registers(ip=start + place)


def interrupt(puppet, place, abort=ABORT):
    """Have a sequence interrupted at a place on the stage, and return how it goes on."""
    send_into(puppet, place, abort)
    return puppet.resume()


def test_within_the_sequence_it_goes_on_at_the_other_end(puppet):
    seen = {}
    for place in (0, 1, COMMIT - 1, COMMIT):
        assert interrupt(puppet, place) == TRAP_STOP
        seen[place] = puppet.registers()["ip"] - puppet.strings.stage
        assert puppet.read(puppet.strings.stage + AREA + POINTER, 8) == bytes(8), place
    assert seen == {0: LEFT, 1: LEFT, COMMIT - 1: LEFT, COMMIT: COMMIT + 1}


def test_a_handler_returns_to_the_other_end(puppet):
    """Source: arch/x86/kernel/signal.c setup_rt_frame, rseq_signal_deliver (6.12)."""
    handler, action = puppet.strings.stage + 0x1200, puppet.strings.stage + 0x1300
    puppet.write(handler, INT3)
    flags = SA_SIGINFO | SA_RESTORER | SA_NODEFER
    fields = {"handler": handler, "flags": flags, "restorer": handler}
    puppet.write(action, ACTION[puppet.abi.name].encode(**fields))
    assert puppet.call(puppet.own_entry, "rt_sigaction", SIGUSR1, action, 0, 8) == 0
    seen = {}
    for place in (0, COMMIT - 1, COMMIT):
        send_into(puppet, place)
        puppet.signal(SIGUSR1)
        assert puppet.resume() == Status.stopped(SIGUSR1)
        assert puppet.resume(by_signal=SIGUSR1) == TRAP_STOP
        frame = puppet.read(puppet.registers()["sp"], FRAME_BYTES)
        back = frame_layout(puppet.abi, flags).decode(frame)["ip"]
        seen[place] = back - puppet.strings.stage
    assert seen == {0: ABORT, COMMIT - 1: ABORT, COMMIT: COMMIT}


def test_the_other_end_has_the_signature_before_it_and_lies_outside(puppet):
    assert interrupt(puppet, 0, abort=ABORT + 1) == Status.stopped(SIGSEGV)
    assert interrupt(puppet, 0, abort=COMMIT - 1) == Status.stopped(SIGSEGV)


def descriptor(start, length=COMMIT, abort=0, version=0):
    return struct.pack("<IIQQQ", version, 0, start, length, abort)


def stops_with(puppet, cases):
    """Return how it stops with each descriptor at its address."""
    seen, area = {}, puppet.strings.stage + AREA
    for says, (at, content) in cases.items():
        puppet.write(at if content else puppet.strings.stage + SEQUENCE, content or bytes(32))
        puppet.write(area + POINTER, struct.pack("<Q", at))
        puppet.send_to(CODE)
        seen[says] = puppet.resume()
        puppet.write(area + POINTER, bytes(8))
    return seen


def test_a_sequence_that_cannot_be_read_is_sigsegv(puppet):
    """Neither its descriptor nor the word before its other end.

    Source: kernel/rseq.c rseq_get_rseq_cs (6.1).
    """
    start = puppet.strings.stage
    cases = {
        "nothing there": (HOLE, b""),
        "half of it there": (start + STAGE_BYTES - 16, descriptor(start, abort=start + ABORT)[:16]),
        "of the kernel's": ((1 << 63) + 0x1000, b""),
        "its other end nowhere": (start + SEQUENCE, descriptor(start, abort=1 << 63)),
        "nothing before its other end": (start + SEQUENCE, descriptor(start, abort=HOLE)),
    }
    assert stops_with(puppet, cases) == dict.fromkeys(cases, Status.stopped(SIGSEGV))


@pytest.mark.needs(before="6.19")
def test_a_sequence_that_makes_no_sense_is_sigsegv(puppet):
    """Later kernels look at that in debugging only. Source: rseq.c rseq_get_rseq_cs (6.1)."""
    start, at = puppet.strings.stage, puppet.strings.stage + SEQUENCE
    other, last = start + ABORT, (1 << 64) - 1
    cases = {
        "a version": (at, descriptor(start, abort=other, version=1)),
        "begins nowhere": (at, descriptor(1 << 63, abort=other)),
        "too long": (at, descriptor(start, last - start - 8, other)),
        "longer than memory": (at, descriptor(start, last - 8, other)),
    }
    assert stops_with(puppet, cases) == dict.fromkeys(cases, Status.stopped(SIGSEGV))


@pytest.mark.needs(since="6.1", before="6.19")
def test_flags_of_a_sequence_are_none_any_more(puppet):
    """Source: kernel/rseq.c rseq_need_restart (6.1)."""
    start, seen = puppet.strings.stage, {}
    for says, at in (("the sequence's", SEQUENCE + 4), ("the area's", AREA + 16)):
        for flags in (1, 8):
            send_into(puppet, 0)
            puppet.write(start + at, struct.pack("<I", flags))
            seen[says, flags] = puppet.resume()
            puppet.write(start + at, bytes(4))
    assert seen == dict.fromkeys(seen, Status.stopped(SIGSEGV))


@pytest.mark.needs(since="6.12.50")
def test_what_an_area_points_to_at_first_is_forgotten(guest, abi):
    """Source: kernel/rseq.c sys_rseq, clear_rseq_cs (6.16)."""
    with start_puppet(guest, abi) as puppet:
        area = puppet.strings.stage + AREA
        puppet.write(area + POINTER, struct.pack("<Q", HOLE))
        nowhere = puppet.call(puppet.own_entry, "rseq", HOLE, AREA_BYTES, 0, SIGNATURE)
        if nowhere == -ENOSYS:
            pytest.skip("built without restartable sequences")
        assert nowhere == -EFAULT
        said = puppet.call(puppet.own_entry, "rseq", area, AREA_BYTES, 0, SIGNATURE)
        assert (said, puppet.read(area + POINTER, 8)) == (0, bytes(8))


def test_an_area_that_is_gone_is_sigsegv(puppet):
    """Source: kernel/rseq.c rseq_update_cpu_node_id (6.1)."""
    puppet.prepare(puppet.own_entry, "munmap", puppet.strings.stage + AREA, PAGE)
    status = puppet.resume()
    if status == TRAP_STOP:
        status = puppet.resume()
    assert status == Status.stopped(SIGSEGV)


def test_it_names_the_processor_again_after_each_interruption(puppet):
    area = puppet.strings.stage + AREA
    puppet.write(area, struct.pack("<II", 0x55, 0x66))
    puppet.send_to(CODE)
    assert puppet.resume() == TRAP_STOP
    assert puppet.read(area, 8) == bytes(8)


NODE, UNREGISTER, NOBODY = 20, 1, 0xFFFF_FFFF


@pytest.mark.needs(since="6.3")
def test_node_and_number_within_its_memory_are_said_and_taken_back(puppet):
    """And the tracer is told of no area then. Source: kernel/rseq.c sys_rseq (6.3)."""
    area, old = puppet.strings.stage + AREA, b"\x77" * 8
    puppet.write(area + NODE, old)
    puppet.send_to(CODE)
    assert puppet.resume() == TRAP_STOP
    assert puppet.read(area + NODE, 8) == bytes(8)
    puppet.go_home()
    puppet.prepare(puppet.own_entry, "rseq", area, AREA_BYTES, UNREGISTER, SIGNATURE)
    puppet.resume(Request.SYSCALL)
    puppet.write(area, old)
    puppet.write(area + NODE, old)
    list(puppet.stops(Request.SYSCALL))
    assert puppet.after()["ax"] == 0
    seen = puppet.read(area, 8), puppet.read(area + NODE, 8)
    assert seen == (struct.pack("<II", 0, NOBODY), bytes(8))
    said = puppet.ptrace(Request.GET_RSEQ_CONFIGURATION, 24, Buffer(24))
    assert said.memory[0] == bytes(24)


CLONE_VM = 0x100


@pytest.mark.needs(since="5.13")
def test_a_child_has_the_area_unless_memory_is_shared(puppet):
    """Source: include/linux/rseq.h rseq_fork (6.1)."""
    options, seen = Option.TRACEFORK | Option.TRACESYSGOOD, {}
    assert puppet.ptrace(Request.SETOPTIONS, 0, options).value == 0
    for flags in (0, CLONE_VM):
        puppet.prepare(puppet.own_entry, "clone", flags | SIGCHLD, 0, 0, 0, 0)
        puppet.resume()
        child = puppet.follow_child()
        said = child.ptrace(Request.GET_RSEQ_CONFIGURATION, 24, Buffer(24)).memory[0]
        seen[flags] = struct.unpack("<Q4xI", said[:16])
        child.kill()
        assert puppet.resume() == Status.stopped(SIGCHLD)
        assert puppet.resume() == TRAP_STOP
    own = puppet.strings.stage + AREA, SIGNATURE
    assert seen == {0: own, CLONE_VM: (0, 0)}


@pytest.mark.needs(since="5.13")
@pytest.mark.parametrize("room", [12, 24, 32])
def test_a_tracer_is_told_of_the_area_as_far_as_there_is_room(puppet, room):
    """Source: kernel/ptrace.c ptrace_get_rseq_configuration (6.1)."""
    whole = struct.pack("<QIIII", puppet.strings.stage + AREA, AREA_BYTES, SIGNATURE, 0, 0)
    said = puppet.ptrace(Request.GET_RSEQ_CONFIGURATION, room, Buffer(40))
    assert said.value == len(whole)
    assert said.memory[0] == whole[:room].ljust(40, b"\xa5")

# SPDX-License-Identifier: Apache-2.0
"""A recording under a debugger, which may go backwards in it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.build.initramfs import add_requests
from harness.deadline import Deadline
from harness.errors import HostError
from harness.evidence.inside import Inside
from harness.kernels.kernel import Kernel
from harness.machine.backwards import Debuggee, start_debuggee
from harness.machine.determined import Files, unlinked_file
from harness.machine.plan import MachineOptions
from harness.repro.debugging import Stopped, break_at, cut, write_kernel
from harness.repro.recorder import REPLAY_BOOTS, check_same, plan_played
from harness.repro.recording import Facts, Recording
from harness.script.statements import CallStatement
from harness.target.qemu import patience_for
from harness.target.spring import Spring

_PATIENT = "set remotetimeout 60"
"""Keeping the machine's state takes longer than gdb waits for an answer when nobody tells it."""
_NEAR = 10_000_000
"""How many instructions are played again for a step back from the call."""
_HOOK = """\
define hook-continue
monitor replay_break {last}
end
"""
"""Stops at the end of the recording: from behind it QEMU cannot go back, but aborts.
Source: softmmu/runstate.c runstate_transitions_def (QEMU 7.2)."""
_FIND = """\
commands
silent
monitor info replay
continue
end
continue
disconnect
"""
_FOUND = re.compile(r"instruction count = (\d+)")


@contextlib.contextmanager
def stopped_in_recording(recording: Recording, kernel: Kernel, gdb: Path) -> Iterator[Stopped]:
    """Stop a recording shortly before its last call; it is shut when the block is left.

    One of format 1 is stopped before its first instruction: QEMU would hang when it loads a later
    state of that machine.

    Args:
        recording: what is played.
        kernel: what it was made of.
        gdb: finds where the call is.

    Raises:
        DeclarationError: it was made of another kernel, or makes no call.
        HostError: this host has another QEMU, which failed, or the kernel does not show where its
            entry point is.
    """
    facts = recording.facts
    check_same(facts, kernel)
    before, call = cut(recording.script)
    made = len(before.statements) <= len(facts.answers)
    with tempfile.TemporaryDirectory(prefix="trapgate-gdb-") as folder:
        symbols, door, hook = (Path(folder, name) for name in ("kernel", "door", "hook"))
        hook.write_text(_HOOK.format(last=facts.instructions - 1))
        breakpoint_set = _look(call, kernel, facts, symbols)
        attach = (_PATIENT, f"target remote {door}", f"source {hook}")
        stopped = Stopped(call, (*attach, *([breakpoint_set] if made else ())), symbols, made)
        with _played(recording, kernel, door) as debuggee:
            if facts.saveable:
                limit_s = patience_for("tcg").boot_s * REPLAY_BOOTS
                debuggee.keep_state("begin")
                near = _find_near(stopped, gdb, limit_s) if made else facts.instructions - _NEAR
                debuggee.seek(max(0, near), Deadline.after(limit_s, "replay"))
            yield stopped


def _look(call: CallStatement, kernel: Kernel, facts: Facts, symbols: Path) -> str:
    """Write the kernel's symbols, and return the command for a breakpoint on the call.

    A guest that is not recorded shows them. They lie where the recording has them, for neither
    kernel moves itself (nokaslr).
    """
    options = MachineOptions(cpu=facts.cpu, accelerator="tcg")
    with Spring(kernel, options).start() as guest:
        inside = Inside(guest, kernel)
        write_kernel(symbols, inside)
        return break_at(call, inside)


@contextlib.contextmanager
def _played(recording: Recording, kernel: Kernel, door: Path) -> Iterator[Debuggee]:
    facts, files = recording.facts, recording.files
    plan = plan_played(facts, kernel)
    start_s = patience_for(plan.accelerator).start_s
    with (
        unlinked_file(add_requests(files["initramfs"], files["requests"])) as initramfs,
        unlinked_file(files["events"]) as events,
        start_debuggee(plan, Files(initramfs, events, facts.saveable), door, start_s) as debuggee,
    ):
        yield debuggee


def _find_near(stopped: Stopped, gdb: Path, limit_s: float) -> int:
    """Return how many instructions are executed until shortly before the call.

    Others before it may look like it; it is the last, and none is between there and it.
    """
    find = stopped.symbols.with_name("find")
    find.write_text(_FIND)
    said = _play(gdb, [*stopped.commands, f"source {find}"], stopped.symbols, limit_s)
    found = [0, *map(int, _FOUND.findall(said))]
    if len(found) == 1:
        raise HostError("gdb did not meet the call in the recording", evidence=said)
    return max(found[-1] - _NEAR, found[-2] + 1)


def _play(gdb: Path, commands: list[str], symbols: Path, limit_s: float) -> str:
    """Have gdb carry commands out while nobody looks, and return what it says."""
    given = [word for command in commands for word in ("-ex", command)]
    line = [str(gdb), "-nx", "-q", "-batch", str(symbols), "-iex", "set confirm off", *given]
    try:
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"gdb did not find the call within {limit_s:g} s") from error
    return done.stdout + done.stderr

# SPDX-License-Identifier: Apache-2.0
"""Scripts carried out deterministically: recorded once, and played again as often as one likes.

A guest that is recorded cannot be talked to, so it finds its requests in its initramfs. What they
are, a guest in the same machine that is talked to shows before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from harness.agent.channel import Channel, ChannelBroken, ChannelSilent, Port
from harness.agent.client import AgentClient
from harness.agent.determined import Held, OtherRequest, Overheard
from harness.agent.frames import FrameStream
from harness.agent.guest import Carrier, Guest
from harness.build.initramfs import add_requests
from harness.deadline import Deadline
from harness.errors import (
    DeclarationError,
    GuestLost,
    GuestPanic,
    GuestTimeout,
    HostError,
    OutcomeKind,
    TrapgateError,
)
from harness.kernels.kernel import Kernel
from harness.machine.console import find_panic, last_lines, read_trouble
from harness.machine.determined import Files, Mode, Run, content_of, run_determined, unlinked_file
from harness.machine.emulator import find_qemu_version
from harness.machine.machine import start_machine
from harness.machine.plan import MachineOptions, MachinePlan
from harness.release import own_version
from harness.repro.recording import Facts, Recording, make_facts
from harness.repro.result import Result, run_script
from harness.script.replay import Answered
from harness.script.statements import Header, Script
from harness.target.qemu import identify, patience_for, plan_guest

_ATTEMPTS = 5
_LIMIT_BOOTS = 2
REPLAY_BOOTS = 10
"""How long playing may take, in boots."""


@dataclass(frozen=True)
class Played:
    """What came of a deterministic run.

    Attributes:
        recording: the run.
        result: what came of its script.
        answers: the same, statement by statement.
    """

    recording: Recording
    result: Result
    answers: tuple[Answered, ...]


class Ended:
    """What explains why a guest has not answered any more, long after.

    Args:
        console: what its kernel printed.
    """

    def __init__(self, console: str) -> None:
        self._console = console

    def explain(self, error: TrapgateError) -> TrapgateError:
        """Return what happened, for the machine was reset."""
        del error
        panic = find_panic(self._console)
        if panic:
            said = f"the kernel panicked: {panic}"
            return GuestPanic(said, evidence=read_trouble(self._console))
        said = "the processor reset without a panic: a triple fault, or somebody's reboot"
        return GuestPanic(said, evidence=last_lines(self._console))


def plan_recorded(kernel: Kernel, options: MachineOptions) -> MachinePlan:
    """Decide on the machine of a run that is to be recorded.

    Raises:
        DeclarationError: it cannot be meant, or counts no instructions.
    """
    accelerator = "tcg" if options.accelerator == "auto" else options.accelerator
    return plan_guest(kernel, replace(options, accelerator=accelerator, counted=True))


def record(kernel: Kernel, plan: MachinePlan, script: Script) -> Played:
    """Carry a script out, and keep the run.

    Args:
        kernel: what is asked.
        plan: in what, see `plan_recorded`.
        script: what.

    Raises:
        DeclarationError: a statement cannot be carried out there.
        HostError: QEMU failed, or the guest does not answer the same each time.
        GuestTimeout: the guest falls silent, so that there is no end that could be recorded.
    """
    return _record(kernel, plan, script, _rehearse(kernel, plan, script), _ATTEMPTS)


def _rehearse(kernel: Kernel, plan: MachinePlan, script: Script) -> bytes:
    """Return what a guest has to be asked, all of it."""
    patience = patience_for(plan.accelerator)
    with start_machine(plan, patience) as machine:
        overheard = Overheard(Port(machine.process.frames))
        guest = _greet(overheard, machine, kernel, plan)
        result = run_script(guest, script, _ignore)
    if result.kind is OutcomeKind.TIMEOUT:
        raise GuestTimeout(result.message, evidence=result.console)
    if result.kind is OutcomeKind.LOST:
        raise GuestLost(result.message, evidence=result.console)
    return overheard.sent


def _ignore(answered: Answered) -> None:
    """Take what came of a statement that is only tried."""


def _record(
    kernel: Kernel, plan: MachinePlan, script: Script, requests: bytes, attempts: int
) -> Played:
    """Record; what depends on a number that was another in the rehearsal is asked anew."""
    given = {"initramfs": plan.initramfs.read_bytes(), "requests": requests}
    with unlinked_file() as events:
        run = _run(plan, Mode.RECORD, given, events)
        files = {**given, "events": content_of(events), "answers": run.answers}
    try:
        result, answers = _judge(kernel, plan, script, requests, run)
    except OtherRequest as other:
        if attempts == 1 or not other.corrected:
            raise
        return _record(kernel, plan, script, other.corrected, attempts - 1)
    facts = make_facts(kernel, plan, result, run.instructions, files)
    bare = replace(script, header=Header())  # what it says of the machine, the facts say
    return Played(Recording(facts, bare, files), result, answers)


def replay(recording: Recording, kernel: Kernel) -> Played:
    """Play a recording, instruction for instruction.

    Raises:
        DeclarationError: it was made of another kernel, or by a trapgate that asks otherwise.
        HostError: this host has another QEMU, or QEMU does not do the same again.
    """
    facts, files = recording.facts, recording.files
    check_same(facts, kernel)
    plan = plan_played(facts, kernel)
    with unlinked_file(files["events"]) as events:
        run = _run(plan, Mode.REPLAY, files, events, saveable=facts.saveable)
    _check_run(run, facts.instructions, files["answers"])
    try:
        result, answers = _judge(kernel, plan, recording.script, files["requests"], run)
    except OtherRequest as other:
        made_by = facts.versions.get("trapgate")
        said = f"trapgate {made_by} made the recording, and asks otherwise than {own_version()}"
        raise DeclarationError(said) from other
    return Played(recording, result, answers)


def _check_run(run: Run, instructions: int, answers: bytes) -> None:
    if run.instructions != instructions:
        said = f"expected {instructions} instructions, got {run.instructions}"
        raise HostError(f"qemu played another run than it recorded: {said}")
    if run.answers != answers:
        raise HostError("qemu played another run than it recorded: the guest answers otherwise")


def check_same(facts: Facts, kernel: Kernel) -> None:
    """See that a recording can be played here.

    Raises:
        DeclarationError: it was made of another kernel.
        HostError: this host has another QEMU.
    """
    expected, here = facts.kernel.get("sha256"), kernel.sha256
    if expected != here:
        raise DeclarationError(
            f"the recording is of {facts.kernel.get('spec')} ({facts.kernel.get('version')}) with "
            f"sha256 {expected}, and {kernel.spec} here has {here}",
            hint="give the kernel that it was made of with --kernel",
        )
    qemu, ours = facts.versions.get("qemu"), find_qemu_version()
    if qemu != ours:
        raise HostError(
            f"QEMU {qemu} made the recording, and only it can play it: here is {ours or 'none'}"
        )


def plan_played(facts: Facts, kernel: Kernel) -> MachinePlan:
    """Return the machine of a run that was recorded, without its initramfs."""
    return MachinePlan(
        arch=kernel.arch,
        kernel=kernel.boot_file,
        initramfs=Path(),
        accelerator="tcg",
        cpu=facts.cpu,
        memory_mib=facts.memory_mib,
        command_line=facts.command_line,
        counted=True,
    )


def _run(
    plan: MachinePlan,
    mode: Mode,
    given: Mapping[str, bytes],
    events: IO[bytes],
    *,
    saveable: bool = True,
) -> Run:
    """Let QEMU record or play a guest that has its requests."""
    patience = patience_for(plan.accelerator)
    limit_s = patience.boot_s * (_LIMIT_BOOTS if mode is Mode.RECORD else REPLAY_BOOTS)
    with unlinked_file(add_requests(given["initramfs"], given["requests"])) as initramfs:
        return run_determined(plan, mode, Files(initramfs, events, saveable), patience, limit_s)


def _judge(
    kernel: Kernel, plan: MachinePlan, script: Script, requests: bytes, run: Run
) -> tuple[Result, tuple[Answered, ...]]:
    """Return what came of a script, from what a guest has answered."""
    answers: list[Answered] = []
    guest = _greet(Held(requests, run.answers), Ended(run.console), kernel, plan)
    result = run_script(guest, script, answers.append)
    return result, tuple(answers)


def _greet(channel: Channel, carrier: Carrier, kernel: Kernel, plan: MachinePlan) -> Guest:
    """Return the guest at the other end of a channel, when its agent has said hello."""
    patience = patience_for(plan.accelerator)
    client = AgentClient(FrameStream(channel))
    try:
        client.greet(Deadline.after(patience.boot_s, f"boot of {kernel.spec}"))
    except (ChannelBroken, ChannelSilent) as error:
        raise carrier.explain(error) from error
    major, minor = find_qemu_version().split(".")[:2]
    identity = identify(kernel, plan, (int(major), int(minor)), "")
    return Guest(client, carrier, identity, patience)

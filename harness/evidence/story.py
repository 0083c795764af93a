# SPDX-License-Identifier: Apache-2.0
"""The way of one call through a kernel, told from evidence alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.agent.arguments import Argument
from harness.agent.calls import Outcome
from harness.agent.ptrace import LAYOUTS
from harness.arch import I386
from harness.entry import FUNCTIONS, EntryPath, entry_paths_of
from harness.evidence.entering import (
    Slot,
    argument_names,
    find_entry_point,
    find_slot,
    tell_entry,
    tell_slot,
    tell_way,
)
from harness.evidence.inside import Inside
from harness.evidence.step import NOT_SHOWN, Step, step_of, unshown
from harness.evidence.tracing import CALLS, FAULTS, Probe
from harness.evidence.trouble import NotShown
from harness.evidence.witness import ENTER, EXIT, FAULT, Moment, describe_fault, moments, of_call

ROUTINE, SEARCH = "routine", "search"
_MOST_FAULTS = 4
_INNER = 8


@dataclass(frozen=True)
class Story:
    """A call and its way.

    Attributes:
        outcome: what the call did.
        steps: in order.
    """

    outcome: Outcome
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Witness:
    """What was recorded while a call was made.

    Attributes:
        outcome: what the call did.
        moments: what its process did in the kernel meanwhile.
        refused: why the kernel did not take a probe, by the probe's name.
    """

    outcome: Outcome
    moments: tuple[Moment, ...]
    refused: Mapping[str, str]

    def all(self, name: str) -> list[Moment]:
        """Return the moments of one event."""
        return [moment for moment in self.moments if moment.event.name == name]


def witness_call(
    inside: Inside,
    path: EntryPath,
    number: int | str,
    arguments: Sequence[Argument] = (),
    *,
    probes: Sequence[Probe] = (),
    **registers: int,
) -> Witness:
    """Make a call, and record what it does in the kernel.

    Args:
        inside: the kernel.
        path: the way in.
        number: a number or a name.
        arguments: as `Guest.call` takes them.
        probes: places to look at.
        registers: as `Guest.call` takes them.

    Raises:
        NotShown: the kernel has no tracefs.
    """
    guest = inside.guest
    own = entry_paths_of(path.abi)[0]
    pid = guest.call(own, "getpid").value
    with recorded(inside, pid, probes, (*CALLS, *FAULTS)) as seen:
        outcome = guest.call(path, number, *arguments, **registers)
    found = of_call(seen, guest.table(own).number("gettid"))
    return Witness(outcome, tuple(found), dict(inside.recording.refused))


@contextlib.contextmanager
def recorded(
    inside: Inside, pid: int, probes: Sequence[Probe] = (), events: Sequence[str] = ()
) -> Iterator[list[Moment]]:
    """Record what a process does in the kernel while the block runs.

    Args:
        inside: the kernel.
        pid: the process.
        probes: places to look at.
        events: the kernel's own events, "SYSTEM/EVENT".

    Yields:
        A list that holds what was recorded once the block has been left.
    """
    seen: list[Moment] = []
    inside.recording.start(pid, probes, events)
    yield seen
    seen += moments(inside.recording.stop())


def tell_story(
    inside: Inside,
    path: EntryPath,
    number: int | str,
    arguments: Sequence[Argument] = (),
    **registers: int,
) -> Story:
    """Make a call, and tell its way through the kernel.

    Args:
        inside: the kernel; its guest makes the call.
        path: the way in, or what calls a function of the vDSO.
        number: a number or a name; the address of a function.
        arguments: as `Guest.call` takes them.
        registers: as `Guest.call` takes them.
    """
    code = inside.guest.table(path).number(number) if isinstance(number, str) else number
    code = registers.get(path.number, code)
    before, slot = ([], None) if path in FUNCTIONS else _prepared(inside, path, code)
    probes = [probe_of_search(inside)]
    if slot and slot.implemented:
        probes.insert(0, probe_of_routine(inside, slot))
    try:
        witness = witness_call(inside, path, number, arguments, probes=probes, **registers)
    except NotShown as error:
        outcome = inside.guest.call(path, number, *arguments, **registers)
        unseen = [unshown(title, error) for title in ("routine", "faults")]
        return Story(outcome, (*before, *unseen, _returned(Witness(outcome, (), {}))))
    return Story(witness.outcome, (*before, *_witnessed(inside, path, slot, witness)))


def probe_of_routine(inside: Inside, slot: Slot) -> Probe:
    """Return a probe that records ``struct pt_regs`` as a service routine is given it."""
    word = inside.abi.word_bytes
    places = inside.pt_regs.offsets if inside.pt_regs else _places(inside)
    names = [name for name in LAYOUTS[inside.abi] if name in places]
    fetched = {name: f"+{places[name]}({_first(inside)}):x{8 * word}" for name in names}
    return Probe(ROUTINE, hex(slot.address), fetched)


def probe_of_search(inside: Inside) -> Probe:
    """Return a probe that records for which instructions the exception table is searched."""
    places = inside.pt_regs.offsets if inside.pt_regs else _places(inside)
    return Probe(
        SEARCH, "fixup_exception", {"ip": f"+{places['ip']}({_first(inside)}):x{inside.abi.bits}"}
    )


def _first(inside: Inside) -> str:
    """Return the register of a function's first argument; i386 kernels are built with regparm=3."""
    return "%ax" if inside.abi is I386 else "%di"


def _places(inside: Inside) -> dict[str, int]:
    """Where ``struct pt_regs`` has its members, where the kernel has no type information.

    Source: arch/x86/include/uapi/asm/ptrace.h; a user_regs_struct begins in the same way.
    """
    word = inside.abi.word_bytes
    return {name: word * n for n, name in enumerate(LAYOUTS[inside.abi])}


def _prepared(inside: Inside, path: EntryPath, number: int) -> tuple[list[Step], Slot | None]:
    """Return the steps that can be told before the call, and where it will lead."""
    steps = [step_of("entry", lambda: tell_entry(inside, path))]
    try:
        way = inside.text.way_from(find_entry_point(inside, path))
    except NotShown as error:
        return [*steps, unshown("dispatcher", error)], None
    steps.append(tell_way(way))
    try:
        slot = find_slot(inside, way, path.table, number)
    except NotShown as error:
        return [*steps, unshown("slot", error)], None
    return [*steps, tell_slot(slot, inside.guest.table(path), number)], slot


def _witnessed(inside: Inside, path: EntryPath, slot: Slot | None, witness: Witness) -> list[Step]:
    entered = witness.all(ENTER)
    if path in FUNCTIONS and not entered:
        said = "the kernel was not entered: raw_syscalls:sys_enter recorded nothing"
        return [Step("entry", (said,), {"entered": False}), *_faults(inside, witness)]
    routine = step_of("routine", lambda: _routine(inside, path, slot, witness))
    return [routine, *_faults(inside, witness), _returned(witness)]


def _routine(inside: Inside, path: EntryPath, slot: Slot | None, witness: Witness) -> Step:
    calls = witness.all(ENTER)
    if path in FUNCTIONS:
        numbers = [moment.event["id"] for moment in calls]
        asked = [str(inside.guest.table(_own(path)).name(n) or n) for n in numbers]
        said = f"the kernel was entered for {', '.join(asked)}"
        return Step("routine", (said, _stack(inside, calls[0])), {"entered_for": asked})
    if slot is None:
        raise NotShown("which one it is")
    if not slot.implemented:
        said = "none: the number has no service routine"
        return Step("routine", (said, *(_stack(inside, m) for m in calls[:1])), {"ran": None})
    return _ran(inside, path, slot, witness)


def _ran(inside: Inside, path: EntryPath, slot: Slot, witness: Witness) -> Step:
    if ROUTINE in witness.refused:
        raise NotShown(witness.refused[ROUTINE])
    ran = witness.all(ROUTINE)
    if not ran:
        return Step("routine", (f"{slot.routine} did not run",), {"ran": False})
    event = ran[0].event
    names = (*argument_names(path.table), "orig_ax")
    values = {name: hex(event[name]) for name in names}
    shown = " ".join(f"{name}={value}" for name, value in values.items())
    lines = (f"{slot.routine} ran, with pt_regs {shown}", _stack(inside, ran[0]))
    return Step("routine", lines, {"ran": True, "pt_regs": values})


def _own(path: EntryPath) -> EntryPath:
    return entry_paths_of(path.abi)[0]


def _stack(inside: Inside, moment: Moment) -> str:
    places = [inside.symbols.at(address) for address in moment.stack]
    names = [place.names[0] for place in places if place]
    return f"stack: {' < '.join(names[:_INNER])}" if names else "stack: not shown"


def _faults(inside: Inside, witness: Witness) -> list[Step]:
    faults = witness.all(FAULT)
    if not faults:
        return [Step("faults", ("none in kernel mode",), {"faults": []})]
    told = [_fault(inside, moment, witness) for moment in faults[:_MOST_FAULTS]]
    more = len(faults) - len(told)
    lines = [line for step in told for line in step.lines]
    lines += [f"and {more} more"] if more else []
    return [Step("faults", tuple(lines), {"faults": [step.facts for step in told]})]


def _fault(inside: Inside, moment: Moment, witness: Witness) -> Step:
    event = moment.event
    address, ip = event["address"], event["ip"]
    where = inside.symbols.at(ip)
    what = describe_fault(event["error_code"])
    facts = {"address": hex(address), "ip": hex(ip), "symbol": str(where), "access": what}
    line = f"in kernel mode at {address:#x}, by {where} ({ip:#x}): {what}"
    try:
        said, fixup = _fixup(inside, ip, witness)
    except NotShown as error:
        return Step("fault", (line, f"  its fixup is {NOT_SHOWN}: {error.message}"), facts)
    return Step("fault", (line, f"  {said}"), facts | {"fixup": fixup})


def _fixup(inside: Inside, ip: int, witness: Witness) -> tuple[str, dict[str, object] | None]:
    """Return where the kernel went on after a fault, in words and as facts."""
    if SEARCH in witness.refused:
        raise NotShown(witness.refused[SEARCH])
    if ip not in [moment.event["ip"] for moment in witness.all(SEARCH)]:
        return "the page was brought in; no fixup", None
    fixup = inside.exceptions.find(ip)
    if not fixup:
        return "not in the exception table", None
    kind = fixup.type or str(inside.symbols.at(fixup.handler))
    target = inside.symbols.at(fixup.target)
    said = f"exception table, row {fixup.row} of {len(inside.exceptions.fixups)}: "
    said += f"goes on at {target} ({fixup.target:#x}), {kind}"
    row = {"row": fixup.row, "target": hex(fixup.target), "symbol": str(target), "type": kind}
    return said, row


def _returned(witness: Witness) -> Step:
    entered = [moment.event["id"] for moment in witness.all(ENTER)]
    left = [m.event for m in witness.all(EXIT) if [m.event["id"]] == entered[-1:]]
    ends = [event["ret"] for event in left]
    outcome = witness.outcome
    if outcome.signal:
        said = f"by {outcome.signal}"
    else:
        said = f"{outcome.value} in {outcome.call.entry.number}"
    seen = f"the kernel left with {ends[-1]}" if ends else "leaving the kernel was not seen"
    facts = {"value": None if outcome.signal else outcome.value, "sys_exit": ends[-1:] or None}
    return Step("return", (f"{said}; {seen}",), facts)

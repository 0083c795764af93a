# SPDX-License-Identifier: Apache-2.0
"""Measuring: the probe `cost` makes calls, and its readings of the counter become costs.

Each reading holds the frame that loads and stores the registers, too; the probe measures that
alone, with a jump for the instruction in question, and it is taken off.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from harness.agent.guest import Guest
from harness.cost.figures import Cost, Figures, Unit
from harness.cost.subjects import CLOCK, SUBJECTS, VDSO, Preparation, Subject
from harness.entry import ENTRY_PATHS, EntryPath, entry_paths_of, function_path
from harness.errors import GuestError, HostError

_WORD_BYTES = 8
_FRAME_JUMP = 1
_MOST_ERRNO = 4095
_VULNERABILITIES = "/sys/devices/system/cpu/vulnerabilities"
_WEAKNESSES = (
    *("gather_data_sampling", "ghostwrite", "indirect_target_selection", "itlb_multihit", "l1tf"),
    *("mds", "meltdown", "mmio_stale_data", "old_microcode", "reg_file_data_sampling", "retbleed"),
    *("spec_rstack_overflow", "spec_store_bypass", "spectre_v1", "spectre_v2", "srbds", "tsa"),
    *("tsx_async_abort", "vmscape"),
)
"""Source: drivers/base/cpu.c cpu_root_vulnerabilities_attrs (6.17)."""


@dataclass(frozen=True)
class Plan:
    """How a call is made.

    Attributes:
        calls: how many between two readings.
        batches: how many readings.
        preparation: what is done to the process before.
    """

    calls: int
    batches: int
    preparation: Preparation


def plan_for(subject: Subject, unit: Unit) -> Plan:
    """Return how a call is made.

    One instruction more or less is seen in a single call, while cycles take many, against their
    noise. To be counted, tracer and traced take turns, for a fair scheduler's arithmetic is not
    the same each time; their switches take some instructions more until the timer's next tick.
    """
    if unit is Unit.CYCLES:
        return Plan(64, 200, subject.preparation)
    if subject.preparation is Preparation.TRACED:
        return Plan(1, 500, Preparation.TRACED_BY_TURNS)
    return Plan(1, 40, subject.preparation)


def measure(guest: Guest, unit: Unit, sha256: str = "") -> Figures:
    """Measure every call through every entry path that the guest's processor has.

    Args:
        guest: in a counted machine for instructions, on a real processor for cycles.
        unit: what its time stamp counter counts.
        sha256: the hash of its image.

    Raises:
        GuestError: a probe failed.
    """
    said = guest.identity
    emulator = f"{said.accelerator}, QEMU {said.qemu[0]}.{said.qemu[1]}"
    return Figures(
        kernel=said.spec,
        release=f"{said.release} ({said.version})",
        arch=str(said.arch),
        sha256=sha256,
        cpu=said.cpu,
        emulator=emulator if any(said.qemu) else "the processor itself",
        unit=unit,
        mitigations=read_mitigations(guest),
        costs=tuple(_costs(guest, unit)),
    )


def read_mitigations(guest: Guest) -> dict[str, str]:
    """Return what the kernel says of each weakness that it knows of, in the order of names."""
    found = {}
    for name in _WEAKNESSES:
        try:
            found[name] = guest.read_file(f"{_VULNERABILITIES}/{name}").decode().strip()
        except HostError:  # this kernel is older than the weakness
            continue
    return found


def measure_call(guest: Guest, entry: EntryPath, subject: Subject, unit: Unit) -> Cost | None:
    """Measure one call through one entry path, or through the vDSO by its `FUNCTIONS` path.

    Returns:
        None where it does not answer what it is measured for: a kernel may lack a call.

    Raises:
        GuestError: the probe failed.
    """
    plan = plan_for(subject, unit)
    number = subject.call if isinstance(subject.call, int) else 0
    if isinstance(subject.call, str) and entry.name in ENTRY_PATHS:
        number = guest.table(entry).number(subject.call)
    arguments = subject.arguments_for(entry, guest.identity.arch)
    said = guest.probe(
        *(entry.abi, "cost", entry.place, plan.preparation, plan.calls, plan.batches),
        *(number, *arguments),
    )
    if "call" not in said or _errno(said["result"], entry) != subject.errno:
        return None
    frame, call = (_readings(said[name], plan) for name in ("frame", "call"))
    path = entry.name if entry.name in ENTRY_PATHS else VDSO
    return Cost(subject.name, entry.abi.name, path, *_values(frame, call, plan, unit))


def warm_up(guest: Guest) -> None:
    """Measure something in vain: a boot's first program may meet a kernel that does a little less.

    Measured with 6.1/i386: a long write takes it 31,226 instructions, and any later one 31,236.
    """
    measure_call(guest, entry_paths_of(guest.identity.arch.abi)[0], SUBJECTS[0], Unit.INSTRUCTIONS)


def _costs(guest: Guest, unit: Unit) -> Iterator[Cost]:
    abis = guest.identity.arch.abis
    entries = [e for e in ENTRY_PATHS.values() if not guest.why_not_asked(e)]
    if unit is Unit.INSTRUCTIONS:
        warm_up(guest)
    for subject in SUBJECTS:
        paths = [*entries, *map(function_path, abis)] if subject is CLOCK else entries
        costs = [measure_call(guest, e, subject, unit) for e in paths if subject.is_for(e)]
        yield from filter(None, costs)


def _readings(number: int, plan: Plan) -> list[int]:
    """Read a row of 64-bit numbers, which a probe reports as one."""
    try:
        row = number.to_bytes(plan.batches * _WORD_BYTES, "little")
    except OverflowError as error:
        raise GuestError(f"probe cost reports more than {plan.batches} readings") from error
    words = (row[at : at + _WORD_BYTES] for at in range(0, len(row), _WORD_BYTES))
    return [int.from_bytes(word, "little") for word in words]


def _values(
    frame: list[int], call: list[int], plan: Plan, unit: Unit
) -> tuple[float, float, float]:
    """Return value, low and high of one call."""
    if unit is Unit.INSTRUCTIONS:
        value = min(call) - min(frame) + _FRAME_JUMP
        return value, value, value
    off = statistics.median(frame)
    low, median, high = ((q - off) / plan.calls for q in statistics.quantiles(call, n=4))
    return round(median, 1), round(low, 1), round(high, 1)


def _errno(result: int, entry: EntryPath) -> int:
    signed = entry.abi.signed(result & entry.abi.mask)
    return -signed if -_MOST_ERRNO <= signed < 0 else 0

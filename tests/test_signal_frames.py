# SPDX-License-Identifier: Apache-2.0
"""Frames as scenarios read them, and the rows of numbers that probes are given."""

from __future__ import annotations

from itertools import pairwise

import pytest

from harness.agent.interruptions import BLOCKING
from harness.agent.pieces import CODE
from harness.agent.signals import (
    SA_RESTORER,
    SA_SIGINFO,
    Report,
    frame_kinds,
    frame_layout,
    read_registers,
)
from harness.arch import ABIS, I386, X86_64, Abi
from harness.landscape import REGIONS

LAYOUTS = [(abi, flags) for abi in ABIS.values() for flags in frame_kinds(abi).values()]


@pytest.mark.parametrize(("abi", "flags"), LAYOUTS)
def test_a_frame_has_every_general_register_and_no_two_in_one_place(abi: Abi, flags: int) -> None:
    fields = frame_layout(abi, flags).fields
    bits = abi.bits // 8
    places = sorted(fields[name] for name in abi.registers)
    assert {width for _, width in places} == {bits}
    assert all(start + bits <= later for (start, _), (later, _) in pairwise(places))


def test_the_last_fields_are_where_the_kernels_structures_end() -> None:
    assert frame_layout(X86_64, 0).fields["signo"] == (312, 4)
    assert frame_layout(I386, SA_SIGINFO).fields["mask"] == (252, 8)
    assert frame_layout(I386, SA_RESTORER).fields["mask_high"] == (720, 4)


def test_a_frame_is_read_little_endian() -> None:
    layout = frame_layout(I386, SA_SIGINFO)
    start, _ = layout.fields["eax"]
    frame = bytearray(768)
    frame[start : start + 4] = (0x1234_5678).to_bytes(4, "little")
    assert layout.decode(bytes(frame))["eax"] == 0x1234_5678


def test_memory_that_ends_in_zeros_keeps_its_length() -> None:
    report = Report({"block": 0x0201}, X86_64)
    assert report.memory("block", 4) == b"\x01\x02\0\0"
    assert report.memory("block", 1) == b"\x01"


def test_a_register_record_is_read_by_place() -> None:
    record = b"".join(n.to_bytes(8, "little") for n in range(24))
    registers = read_registers(record, X86_64)
    assert (registers["rax"], registers["r15"], registers["ip"], registers["gs"]) == (0, 15, 17, 23)


def test_every_blocking_call_that_says_what_is_left_is_given_a_thousand_seconds() -> None:
    timed = [call for call in BLOCKING.values() if call.left_at is not None]
    assert timed
    assert {call.words[0] for call in timed} == {1000}


def test_pieces_of_code_lie_beside_the_regions_that_executors_map() -> None:
    assert all(not region.start <= CODE < region.end for region in REGIONS)

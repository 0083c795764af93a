# SPDX-License-Identifier: Apache-2.0
"""Answers of clocks: when one holds a time, and which."""

from __future__ import annotations

import struct

import pytest

from harness.agent.clocks import FILL, SECOND, SLOT_BYTES, Answer, Pair

REST = bytes([FILL])


def answer(layout: str, *members: int, beside: bytes = b"") -> Answer:
    stored = struct.pack(layout, *members) + beside
    return Answer(0, stored + REST * (SLOT_BYTES - len(stored)))


@pytest.mark.parametrize("layout", ["<ii", "<qq"])
def test_a_time_is_held(layout: str) -> None:
    said = answer(layout, 7, SECOND - 1)
    assert said.holds(layout)
    assert said.time(layout) == 8 * SECOND - 1
    assert not said.untouched


@pytest.mark.parametrize("members", [(-1, 0), (0, -1), (0, SECOND)])
def test_a_time_out_of_range_is_none(members: tuple[int, int]) -> None:
    assert not answer("<qq", *members).holds("<qq")


def test_a_byte_beside_the_structure_is_noticed() -> None:
    assert not answer("<ii", 1, 2, beside=b"\0").holds("<ii")


def test_microseconds_are_counted_as_such() -> None:
    assert answer("<qq", 1, 2).time("<qq", 1000) == SECOND + 2000


def test_an_untouched_slot_is_no_time() -> None:
    said = Answer(-22, REST * SLOT_BYTES)
    assert said.untouched
    assert not said.holds("<ii")


def test_a_structure_knows_its_size() -> None:
    assert (Pair("f", "c", "<ii").size_bytes, Pair("f", "c", "<qq").size_bytes) == (8, 16)

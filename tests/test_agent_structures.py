# SPDX-License-Identifier: Apache-2.0
"""Structures field by field: as long as the kernel's, and the same after both ways."""

from __future__ import annotations

import struct

import pytest

from harness.agent.structures import (
    ACTION,
    ALTERNATE_STACK,
    EVENT,
    FLOCK,
    NARROW_FLOCK,
    NARROW_STAT,
    OLD_ACTION,
    STAT,
    STATFS,
    SYSINFO,
    Layout,
)

SIZES = [
    (STAT, 144, 96),
    (FLOCK, 32, 24),
    (STATFS, 120, 84),
    (SYSINFO, 112, 64),
    (ALTERNATE_STACK, 24, 12),
    (ACTION, 32, 20),
    (EVENT, 64, 64),
]


@pytest.mark.parametrize(("layouts", "wide", "narrow"), SIZES)
def test_each_is_as_long_as_the_kernels(layouts: dict[str, Layout], wide: int, narrow: int) -> None:
    assert (layouts["x86_64"].size_bytes, layouts["i386"].size_bytes) == (wide, narrow)


def test_those_of_the_i386_table_alone_are_as_long_as_the_kernels() -> None:
    sizes = [one.size_bytes for one in (NARROW_STAT, NARROW_FLOCK, OLD_ACTION)]
    assert sizes == [64, 16, 16]


@pytest.mark.parametrize("abi", ["i386", "x86_64"])
def test_what_was_encoded_is_decoded(abi: str) -> None:
    layout = ACTION[abi]
    values = {name: place + 1 for place, name in enumerate(layout.names)}
    memory = layout.encode(**values) + b"more"
    assert layout.decode(memory) == values


def test_fields_that_nobody_names_are_zero() -> None:
    assert FLOCK["x86_64"].encode(pid=7) == bytes(24) + struct.pack("<i4x", 7)


def test_memory_that_is_too_short_is_refused() -> None:
    with pytest.raises(struct.error):
        OLD_ACTION.decode(bytes(15))

# SPDX-License-Identifier: Apache-2.0
"""Evidence that lies or is cut short: one clear error, whatever came."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live import X86_64, Stable
from test_evidence import KALLSYMS, SWITCH, btf

from harness.arch import X86_64 as ABI
from harness.entry import SYSCALL
from harness.evidence.broken import break_function
from harness.evidence.btf import parse_layout
from harness.evidence.code import disassemble, find_table, follow_switch
from harness.evidence.elf import ElfSection, read_sections
from harness.evidence.events import Event, Format, decode_page, header_bytes, parse_format
from harness.evidence.exceptions import parse_exception_table
from harness.evidence.gates import decode_gates
from harness.evidence.inside import Inside
from harness.evidence.kcore import HEAD_BYTES, parse_kcore
from harness.evidence.paging import FOUR_LEVELS, walk
from harness.evidence.symbols import decode_symbols, parse_kallsyms
from harness.evidence.tracing import CALLS, Recording
from harness.evidence.trouble import BadEvidence, NotShown
from harness.kernels import find_source, obtain
from harness.kernels.kernel import Kernel
from harness.version import KernelVersion

Read = Callable[[bytes], object]
Damage = Callable[[bytes], bytes]
FUZZED = settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def damage(places: list[tuple[int, int]], cut: int | None, good: bytes) -> bytes:
    """Put other bytes at some places, and cut the rest off."""
    bad = bytearray(good)
    for place, byte in places:
        if bad:
            bad[place % len(bad)] = byte
    return bytes(bad if cut is None else bad[: cut % (len(bad) + 1)])


PLACES = st.integers(0, 200) | st.integers(0, 1 << 20)
DAMAGES: st.SearchStrategy[Damage] = st.builds(
    lambda places, cut: partial(damage, places, cut),
    st.lists(st.tuples(PLACES, st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))),
    st.none() | st.integers(0, 1 << 20),
)


def read_or_refuse(read: Read, content: bytes) -> None:
    """Read, or have it said in a sentence why that cannot be."""
    said = refusal_of(read, content)
    assert said != ""
    assert "\n" not in (said or "")


def refusal_of(read: Read, content: bytes) -> str | None:
    try:
        read(content)
    except (BadEvidence, NotShown) as error:
        return error.message
    return None


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return obtain(find_source(X86_64))


@pytest.fixture(scope="module")
def core_head(stable: Stable) -> bytes:
    return stable.guest(X86_64).read_part("/proc/kcore", 0, HEAD_BYTES)


@pytest.fixture(scope="module")
def page(stable: Stable, kernel: Kernel) -> tuple[bytes, int, list[Format]]:
    """Return a page of events that a real kernel has recorded, and how to read it."""
    guest = stable.guest(X86_64)
    recording = Recording(guest, Inside(guest, kernel).native)
    recording.start(guest.call(SYSCALL, "getpid").value, (), CALLS)
    guest.call(SYSCALL, "getppid")
    recording._write("tracing_on", "0")
    formats = [parse_format(recording._read(f"events/{event}/format")) for event in CALLS]
    header = header_bytes(recording._read("events/header_page"))
    return next(iter(recording._pages())), header, formats


@pytest.mark.parametrize(
    ("good", "read"),
    [
        pytest.param(KALLSYMS, parse_kallsyms, id="kallsyms"),
        pytest.param(parse_kallsyms(KALLSYMS).encode(), decode_symbols, id="kept symbols"),
        pytest.param(btf(), lambda raw: parse_layout(raw, "pt_regs"), id="btf"),
        pytest.param(bytes(4096), lambda raw: decode_gates(raw, ABI), id="gates"),
        pytest.param(
            bytes(range(240)),
            lambda raw: parse_exception_table(ElfSection(0, raw), KernelVersion(6, 1), 64),
            id="exception table",
        ),
        pytest.param(
            b"name: x\nID: 1\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n",
            lambda raw: parse_format(raw.decode("latin-1")),
            id="format",
        ),
        pytest.param(
            SWITCH, lambda raw: follow_switch(disassemble(raw, 0x1000, 64), 5), id="switch"
        ),
        pytest.param(SWITCH, lambda raw: find_table(disassemble(raw, 0, 32), 4), id="table"),
        pytest.param(
            bytes(64),
            lambda raw: walk(0, 0, FOUR_LEVELS, lambda at, size: raw[at % 64 :][:size]),
            id="page tables",
        ),
    ],
)
@FUZZED
@given(spoil=DAMAGES)
def test_what_is_damaged_is_read_or_refused(good: bytes, read: Read, spoil: Damage) -> None:
    read_or_refuse(read, spoil(good))


@FUZZED
@given(spoil=DAMAGES)
def test_a_damaged_head_of_kcore_is_read_or_refused(core_head: bytes, spoil: Damage) -> None:
    read_or_refuse(parse_kcore, spoil(core_head))


@FUZZED
@given(spoil=DAMAGES)
def test_a_damaged_elf_file_is_read_or_refused(
    kernel: Kernel, tmp_path: Path, spoil: Damage
) -> None:
    place = tmp_path / "module"

    def read(content: bytes) -> None:
        place.write_bytes(content)
        read_sections(place, ".text", ".symtab")

    read_or_refuse(read, spoil(kernel.modules["msr"].read_bytes()))


@FUZZED
@given(spoil=DAMAGES)
def test_a_damaged_module_is_broken_or_refused(kernel: Kernel, spoil: Damage) -> None:
    module = spoil(kernel.modules["msr"].read_bytes())
    read_or_refuse(lambda raw: break_function(raw, "msr_read", 16, ABI), module)


@FUZZED
@given(spoil=DAMAGES)
def test_a_damaged_page_of_events_is_read_or_refused(
    page: tuple[bytes, int, list[Format]], spoil: Damage
) -> None:
    content, header, formats = page
    read_or_refuse(lambda raw: decode_page(raw, header, formats, 8), spoil(content))


def test_a_whole_page_is_read(page: tuple[bytes, int, list[Format]]) -> None:
    content, header, formats = page
    events: list[Event] = decode_page(content, header, formats, 8)
    assert {event.name for event in events} == {"sys_enter", "sys_exit"}
    assert 110 in [event["id"] for event in events], "getppid"
    assert len(next(event for event in events if event.name == "sys_enter").array("args")) == 6

# SPDX-License-Identifier: Apache-2.0
"""Reading evidence: what real kernels show, and what the readers make of it."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from live import I386, X86_64, on

from harness.agent.guest import Guest
from harness.arch import I386 as ABI32
from harness.arch import X86_64 as ABI64
from harness.entry import SYSCALL
from harness.evidence.broken import break_function
from harness.evidence.btf import parse_layout
from harness.evidence.code import Dispatch, disassemble, find_table, follow_switch
from harness.evidence.elf import ElfSection, read_sections
from harness.evidence.exceptions import parse_exception_table
from harness.evidence.gates import decode_gates
from harness.evidence.inside import Inside
from harness.evidence.kcore import Kcore, Range
from harness.evidence.msr import BY_EMULATOR, BY_MODULE, Msr
from harness.evidence.paging import FOUR_LEVELS, PAE, TWO_LEVELS, Paging, walk
from harness.evidence.step import step_of
from harness.evidence.story import witness_call
from harness.evidence.symbols import Symbols, decode_symbols, parse_kallsyms
from harness.evidence.tables import Row, Table, compare
from harness.evidence.tracing import Probe
from harness.evidence.trouble import BadEvidence, NotShown
from harness.evidence.witness import ENTER, describe_fault
from harness.kernels import find_source, obtain
from harness.machine.plan import MachineOptions
from harness.target.spring import start_guest
from harness.version import KernelVersion

KALLSYMS = b"""\
0000000000006000 A cpu_tss_rw
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000080 T entry_SYSCALL_64
ffffffffc0000000 t init\t[msr]
"""


def inside_of(guest: Guest) -> Inside:
    return Inside(guest, obtain(find_source(guest.identity.spec)))


def test_symbols_are_found_by_name_and_by_address() -> None:
    symbols = parse_kallsyms(KALLSYMS)
    assert symbols["entry_SYSCALL_64"] == 0xFFFF_FFFF_8100_0080
    assert symbols.find("nobody") is None
    assert str(symbols.at(0xFFFF_FFFF_8100_0084)) == "entry_SYSCALL_64+0x4"
    stext = symbols.at(0xFFFF_FFFF_8100_0000)
    assert stext
    assert stext.names == ("_stext", "_text")
    assert symbols.at(1) is None
    assert symbols.end_of(0xFFFF_FFFF_8100_0000) == 0xFFFF_FFFF_8100_0080


def test_of_several_names_that_of_a_service_routine_comes_first() -> None:
    symbols = Symbols([16, 16, 16], ["sys_x", "__do_sys_x", "__x64_sys_x"])
    assert str(symbols.at(16)) == "__x64_sys_x"


def test_kept_symbols_are_the_same_and_move_with_the_kernel() -> None:
    kept = decode_symbols(parse_kallsyms(KALLSYMS).encode())
    moved = kept.moved(0x1000, above=kept["_stext"])
    assert moved["entry_SYSCALL_64"] == kept["entry_SYSCALL_64"] + 0x1000
    assert moved["cpu_tss_rw"] == 0x6000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "it is empty"),
        (KALLSYMS[:-20], "it ends inside a line"),
        (KALLSYMS.replace(b" T ", b" ", 1), "line 2 is no symbol"),
        (b"ELF" * 9 + b"\n", "line 1 is no symbol"),
        (b"0000000000000000 T _stext\n", "all addresses are hidden"),
    ],
)
def test_what_is_no_kallsyms(text: bytes, said: str) -> None:
    with pytest.raises(BadEvidence, match=said):
        parse_kallsyms(text)


@pytest.mark.parametrize("content", [b"", b"symbols1", parse_kallsyms(KALLSYMS).encode()[:-40]])
def test_what_are_no_kept_symbols(content: bytes) -> None:
    with pytest.raises(BadEvidence):
        decode_symbols(content)


def test_gates_of_both_kinds_of_kernels() -> None:
    trap = struct.pack("<HHHH", 0x5678, 0x60, 0xEF00, 0x1234)
    assert (gate := decode_gates(trap * 256, ABI32)[0x80]).handler == 0x12345678
    assert (gate.kind, gate.dpl, gate.present, gate.selector) == ("trap gate", 3, True, 0x60)
    wide = struct.pack("<HHHHII", 0x5678, 0x10, 0x8E01, 0x1234, 0xFFFFFFFF, 0)
    assert (gate := decode_gates(wide * 256, ABI64)[8]).handler == 0xFFFF_FFFF_1234_5678
    assert (gate.kind, gate.dpl, gate.stack) == ("interrupt gate", 0, 1)
    with pytest.raises(BadEvidence, match="expected 256 gates of 8 bytes"):
        decode_gates(trap, ABI32)


@pytest.mark.parametrize("paging", [TWO_LEVELS, PAE, FOUR_LEVELS])
def test_page_tables_are_walked_to_small_pages(paging: Paging) -> None:
    """Every table is one page, and every entry of it leads to the next page."""
    size = paging.entry_bytes

    def read(address: int, size_bytes: int) -> bytes:
        return ((address // 4096 + 1) * 4096 | 1).to_bytes(size_bytes, "little")

    assert walk(0xC012_3456, 0x8000, paging, read) == 0x8000 + paging.levels * 4096 + 0x456
    assert size in (4, 8)


@pytest.mark.parametrize(("paging", "offset"), [(TWO_LEVELS, 0x12_3456), (PAE, 0x12_3456)])
def test_page_tables_are_walked_to_large_pages(paging: Paging, offset: int) -> None:
    def read(address: int, size_bytes: int) -> bytes:
        entry = 0x0080_0081 if paging is TWO_LEVELS or address >= 0x9000 else 0x9001
        return entry.to_bytes(size_bytes, "little")

    assert walk(0xC000_0000 + offset, 0x8000, paging, read) == 0x0080_0000 + offset


def test_what_is_not_mapped_is_said() -> None:
    with pytest.raises(BadEvidence, match="map nothing at 0xc0000000"):
        walk(0xC000_0000, 0, PAE, lambda _, size: bytes(size))


def test_memory_that_kcore_lacks_is_not_found() -> None:
    kcore = Kcore((Range(0x1000, 0x1000, 0x40, 0), Range(0x8000, 16, 0x2000, None)), {})
    assert kcore.offset_of(0x1800, 0x800) == 0x840
    assert kcore.offset_of(0x1800, 0x801) is None
    assert kcore.physical_offset_of(0x10, 4) == 0x50
    assert kcore.physical_of(0x8004) is None
    with pytest.raises(BadEvidence, match="no address of _stext"):
        kcore.symbol("_stext")


def test_both_formats_of_the_exception_table() -> None:
    section = ElfSection(0x1000, struct.pack("<iii", -0x100, 0x20, 3))
    (typed,) = parse_exception_table(section, KernelVersion(6, 1), 64, slide=0x10).fixups
    assert (typed.instruction, typed.target, typed.type) == (0xF10, 0x1034, "UACCESS")
    (handled,) = parse_exception_table(section, KernelVersion(5, 10), 32).fixups
    assert (handled.instruction, handled.handler, handled.type) == (0xF00, 0x100B, "")
    with pytest.raises(BadEvidence, match="11 bytes are no whole entries"):
        parse_exception_table(ElfSection(0, bytes(11)), KernelVersion(6, 1), 64)


SWITCH = bytes.fromhex(
    "81fe05000000 740a 83ee01 740a e9ee0f0000 e9f90f0000 e904100000"
    # cmp esi, 5; je; sub esi, 1; je; jmp 0x2000; jmp 0x2010; jmp 0x2020
)


def test_a_switch_is_followed_by_what_it_compares() -> None:
    code = disassemble(SWITCH, 0x1000, 64)
    led = {number: follow_switch(code, number) for number in (5, 1, 2)}
    assert led == {5: 0x2010, 1: 0x2020, 2: 0x2000}


def test_a_switch_that_jumps_through_a_table_does_not_say() -> None:
    with pytest.raises(NotShown, match="does not say where number 5 leads"):
        follow_switch(disassemble(bytes.fromhex("ff24f500000000"), 0, 64), 5)


def test_an_indexed_table_is_found_with_its_bound() -> None:
    code = disassemble(bytes.fromhex("3db8010000 8b1485c0a281c6"), 0, 32)
    assert find_table(code, 4) == Dispatch(table=0xC681A2C0, bound=440)
    assert find_table(code, 8) is None


def btf(*, members: int = 2) -> bytes:
    """Return type information of one structure with a named member and a union without a name."""
    strings = b"\0pt_regs\0bx\0cs\0csx\0"
    own = struct.pack("<III", 1, 4 << 24 | members, 16) + struct.pack("<III", 9, 0, 0)
    own += struct.pack("<III", 0, 2, 64)
    union = struct.pack("<III", 0, 5 << 24 | 2, 8)
    union += struct.pack("<III", 12, 0, 0) + struct.pack("<III", 15, 0, 0)
    types = own + union
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return head + types + strings


def test_members_of_unnamed_unions_are_the_structures() -> None:
    layout = parse_layout(btf(), "pt_regs")
    assert layout
    assert (layout.size_bytes, dict(layout.offsets)) == (16, {"bx": 0, "cs": 8, "csx": 8})
    assert parse_layout(btf(), "task_struct") is None


@pytest.mark.parametrize(
    "section", [b"", btf()[:40], btf(members=900), b"\x9f\xeb\x02" + bytes(40)]
)
def test_what_is_no_type_information(section: bytes) -> None:
    with pytest.raises(BadEvidence, match="BTF makes no sense"):
        parse_layout(section, "pt_regs")


def test_a_file_that_is_no_elf_is_said_to_be_none(tmp_path: Path) -> None:
    place = tmp_path / "vmlinux"
    for content in (b"", b"\x7fELF", b"no kernel" * 99):
        place.write_bytes(content)
        with pytest.raises(BadEvidence, match="no whole ELF file"):
            read_sections(place, ".text")


def test_changes_of_a_table_are_named() -> None:
    def table(*rows: Row) -> Table:
        return Table(ABI64, Dispatch(switch=1), rows)

    before = table(
        Row(0, "read", "__x64_sys_read"),
        Row(1, "old", "__x64_sys_old"),
        Row(2, "turned", "__x64_sys_turned"),
        Row(3, "free", "__x64_sys_ni_syscall"),
        Row(4, "walks", "__x64_sys_walks"),
    )
    after = table(
        Row(0, "read", "__ia32_sys_read"),
        Row(2, "turned", "__x64_sys_twisted"),
        Row(3, "new", "__x64_sys_new"),
        Row(5, "walks", "__x64_sys_walks"),
    )
    said = [(c.kind, c.number, c.name, c.says) for c in compare(before, after)]
    assert said == [
        ("removed", 1, "old", "sys_old"),
        ("renamed", 2, "turned", "sys_turned > sys_twisted"),
        ("added", 3, "new", "sys_new"),
        ("moved", 5, "walks", "4 > 5"),
    ]


def test_what_is_not_shown_is_a_step_that_says_so() -> None:
    def tell() -> None:
        raise NotShown("there is none")

    step = step_of("entry", tell)  # type: ignore[arg-type]
    assert (step.lines, dict(step.facts)) == (
        ("not shown: there is none",),
        {"not shown": "there is none"},
    )


def test_faults_and_probes_in_words() -> None:
    assert describe_fault(2) == "write, nothing mapped"
    assert describe_fault(1) == "read, not allowed"
    assert str(Probe("x", "0x10", {"ip": "%ip"})) == "p:trapgate/x 0x10 ip=%ip"


@on(I386)
def test_an_i386_kernels_table_is_found_without_its_symbol(booted: Guest) -> None:
    inside = inside_of(booted)
    assert inside.symbols.find("idt_table") is None
    assert inside.gates[8].kind == "task gate"
    assert str(inside.symbols.at(inside.gates[0x80].handler)) == "entry_INT80_32"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have symbols kept elsewhere from now on."""
    monkeypatch.setattr("harness.evidence.storage.cache_dir", lambda: tmp_path)
    return tmp_path


@on(X86_64)
def test_symbols_are_kept_by_build_and_a_damaged_file_is_replaced(
    booted: Guest, empty_cache: Path
) -> None:
    entry = inside_of(booted).symbols["entry_SYSCALL_64"]
    (kept,) = (empty_cache / "symbols").iterdir()
    assert kept.name == f"{inside_of(booted).memory.kcore.info['BUILD-ID']}.symbols"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:1000])
    assert inside_of(booted).symbols["entry_SYSCALL_64"] == entry
    assert kept.read_bytes() == whole


@on(X86_64)
def test_a_kernels_own_module_reads_its_registers(booted: Guest) -> None:
    inside = inside_of(booted)
    assert inside.msrs.source == BY_MODULE
    assert inside.msrs[Msr.LSTAR] == inside.symbols["entry_SYSCALL_64"]


@on(X86_64)
def test_a_machine_that_was_booted_has_nothing_saved(booted: Guest) -> None:
    kernel = replace(obtain(find_source(X86_64)), modules={})
    with pytest.raises(NotShown, match="no emulator saved any"):
        _ = Inside(booted, kernel).msrs


def test_a_clones_registers_are_what_the_emulator_has_saved() -> None:
    kernel = replace(obtain(find_source(X86_64)), modules={})
    with start_guest(kernel, MachineOptions(accelerator="tcg")) as guest:
        inside = Inside(guest, kernel)
        assert inside.msrs.source == BY_EMULATOR
        assert inside.msrs[Msr.LSTAR] == inside.symbols["entry_SYSCALL_64"]
        assert inside.msrs[Msr.STAR] >> 32 == 0x0023_0010


def test_a_table_that_the_processor_hides_is_not_shown() -> None:
    kernel = obtain(find_source(I386))
    options = MachineOptions(accelerator="tcg", cpu="max,-smap")
    with start_guest(kernel, options) as guest, pytest.raises(NotShown, match="UMIP"):
        _ = Inside(guest, kernel).gates


@on(X86_64)
def test_probes_that_the_kernel_refuses_are_named(booted: Guest) -> None:
    inside = inside_of(booted)
    probes = [Probe("none", "no_such_symbol"), Probe("some", "__x64_sys_getppid")]
    seen = witness_call(inside, SYSCALL, "getppid", probes=probes)
    assert set(seen.refused) == {"none"}
    assert len(seen.all("some")) == 1
    assert [m.event["id"] for m in seen.all(ENTER)] == [booted.table(SYSCALL).number("getppid")]


@on(X86_64)
def test_what_kcore_lacks_cannot_be_read(booted: Guest) -> None:
    memory = inside_of(booted).memory
    with pytest.raises(BadEvidence, match="page tables map nothing"):
        memory.read(0x1000, 8)
    with pytest.raises(BadEvidence, match="not read at once"):
        memory.read(memory.kcore.symbol("_stext"), 2 << 20)


@pytest.mark.parametrize("spec", [I386, X86_64])
def test_a_function_of_a_module_is_broken_and_nothing_else(spec: str) -> None:
    kernel = obtain(find_source(spec))
    module = kernel.modules["msr"].read_bytes()
    broken = break_function(module, "msr_read", 0x2F000000, kernel.arch.abi)
    changed = [at for at, byte in enumerate(broken) if byte != module[at]]
    assert 0 < changed[-1] - changed[0] < 8
    assert b"signature appended" not in broken
    with pytest.raises(BadEvidence, match="no function nobody"):
        break_function(module, "nobody", 0, kernel.arch.abi)

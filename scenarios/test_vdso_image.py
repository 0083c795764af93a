# SPDX-License-Identifier: Apache-2.0
"""The vDSO as an ELF file: what a dynamic linker, a debugger and an unwinder read in it holds.

Source: System V gABI, chapter 5; arch/x86/entry/vdso/vdso-layout.lds.S, vdso-note.S, vdso2c.h;
vdso32/sigreturn.S (6.1).
"""

import pytest
from elftools.dwarf.callframe import FDE

from harness.agent.vdso import read_vdso

READ_EXECUTE, WRITE = 5, 2
RELOCATIONS = {"DT_REL", "DT_RELA", "DT_RELR", "DT_JMPREL", "DT_TEXTREL", "DT_NEEDED", "DT_INIT"}
TABLES = {
    "DT_HASH": ".hash",
    "DT_GNU_HASH": ".gnu.hash",
    "DT_SYMTAB": ".dynsym",
    "DT_STRTAB": ".dynstr",
    "DT_VERSYM": ".gnu.version",
    "DT_VERDEF": ".gnu.version_d",
}
ENCLAVE = "__vdso_sgx_enter_enclave"
"""An unwinder's entry for it may begin behind its ENDBR64 (6.12)."""
BREG_ESP, DEREFERENCE = 0x74, 0x06
CONTEXT = {"eax": 44, "ecx": 40, "edx": 36, "ebx": 32, "esp": 28, "ebp": 24, "esi": 20, "edi": 16}
SAVED = (*CONTEXT.values(), 56)
"""Where struct sigcontext_32 has the registers, by their DWARF numbers; the last one is eip."""
CONTEXT_AT = {
    ("__kernel_sigreturn", 0): 4,
    ("__kernel_sigreturn", 1): 0,
    ("__kernel_sigreturn", 6): 0,
    ("__kernel_rt_sigreturn", 0): 160,
    ("__kernel_rt_sigreturn", 5): 160,
}
"""How far above esp the context lies, at an instruction of a trampoline: the first pops 4 bytes;
struct rt_sigframe_ia32 has it behind three words, a siginfo of 128 bytes and 20 of ucontext."""


@pytest.fixture
def vdso(guest, abi):
    """Give the image as it lies in the executor's memory."""
    return read_vdso(guest, abi)


def tags(vdso):
    return {
        tag["d_tag"]: tag["d_val"] for tag in vdso.elf.get_section_by_name(".dynamic").iter_tags()
    }


def frames(vdso):
    """Return what the unwinder knows, by where it begins."""
    entries = vdso.elf.get_dwarf_info().EH_CFI_entries()
    return {e.header["initial_location"]: e for e in entries if isinstance(e, FDE)}


def frame_at(vdso, place):
    """Return the entry that covers an address of the image; None where there is none."""
    return next((f for f in frames(vdso).values() if place in reach(f)), None)


def reach(frame):
    start = frame.header["initial_location"]
    return range(start, start + frame.header["address_range"])


def functions(vdso, *others):
    """Return each function's start and size in the image, by name, without some others."""
    return {
        name: (vdso.address(name, version) - vdso.base, len(vdso.code(name, version)))
        for version, names in vdso.exports.items()
        for name in names - set(others)
    }


def test_one_segment_is_loaded_and_none_is_writable(vdso):
    segments = list(vdso.elf.iter_segments())
    (loaded,) = (segment for segment in segments if segment["p_type"] == "PT_LOAD")
    assert (loaded["p_offset"], loaded["p_vaddr"], loaded["p_flags"]) == (0, 0, READ_EXECUTE)
    assert loaded["p_filesz"] == loaded["p_memsz"] <= vdso.size_bytes
    used = [segment for segment in segments if segment["p_memsz"]]
    assert [s["p_type"] for s in used if s["p_flags"] & WRITE] == []
    assert [s["p_type"] for s in used if s["p_vaddr"] + s["p_memsz"] > loaded["p_memsz"]] == []


def test_it_wants_neither_relocation_nor_another_library(vdso):
    assert set(tags(vdso)) & RELOCATIONS == set()


def test_each_dynamic_tag_leads_to_its_table(vdso):
    found = tags(vdso)
    assert {tag: found.get(tag) for tag in TABLES} == {
        tag: vdso.elf.get_section_by_name(name)["sh_addr"] for tag, name in TABLES.items()
    }


@pytest.mark.parametrize("table", [".hash", ".gnu.hash"])
def test_a_hash_table_leads_to_every_function(vdso, table):
    section = vdso.elf.get_section_by_name(table)
    names = {name for names in vdso.exports.values() for name in names}
    assert {name for name in names if not section.get_symbol(name)} == set()
    assert section.get_symbol("__vdso_of_nothing") is None


def test_functions_lie_in_its_code_and_not_over_each_other(vdso):
    text = vdso.elf.get_section_by_name(".text")
    spans = sorted(set(functions(vdso).values()))
    ends = [text["sh_addr"], *(start + size for start, size in spans)]
    assert [
        f"{start:#x}" for (start, _), end in zip(spans, ends, strict=False) if start < end
    ] == []
    assert ends[-1] <= text["sh_addr"] + text["sh_size"]
    assert all(size for _, size in spans)


def test_a_note_names_the_kernels_version(guest, vdso):
    segments = (s for s in vdso.elf.iter_segments() if s["p_type"] == "PT_NOTE")
    notes = {(n["n_name"], n["n_type"]): n["n_desc"] for s in segments for n in s.iter_notes()}
    code = int.from_bytes(notes["Linux", 0], "little")
    version = guest.identity.version
    assert (code >> 16, code >> 8 & 0xFF) == (version.major, version.minor)
    assert ("GNU", "NT_GNU_BUILD_ID") in notes


def test_an_unwinder_finds_a_function_whole(vdso, abi):
    described = vdso.exports[{"i386": "LINUX_2.5", "x86_64": "LINUX_2.6"}[abi.name]]
    spans = {n: span for n, span in functions(vdso, ENCLAVE).items() if n in described}
    found = {name: frame_at(vdso, start) for name, (start, _) in spans.items()}
    assert [name for name, frame in found.items() if not frame] == []
    # a trampoline's last byte is a filler
    ends = {name: start + size - 2 for name, (start, size) in spans.items()}
    assert [name for name, frame in found.items() if ends[name] not in reach(frame)] == []


def test_the_unwinders_search_table_has_every_entry_in_order(vdso):
    section = vdso.elf.get_section_by_name(".eh_frame_hdr")
    words = [
        int.from_bytes(section.data()[at : at + 4], "little", signed=True)
        for at in range(0, section["sh_size"], 4)
    ]
    assert section.data()[:4] == bytes([1, 0x1B, 0x03, 0x3B])
    assert section["sh_addr"] + 4 + words[1] == vdso.elf.get_section_by_name(".eh_frame")["sh_addr"]
    starts = [section["sh_addr"] + word for word in words[3 : 3 + 2 * words[2] : 2]]
    assert starts == sorted(frames(vdso))


@pytest.mark.abis("x86_64")
def test_an_unwinder_begins_a_function_above_its_return_address(vdso):
    rsp, wrong = 7, {}
    for name, (start, _) in functions(vdso, ENCLAVE).items():
        row = frame_at(vdso, start).get_decoded().table[0]
        if (row["pc"], row["cfa"].reg, row["cfa"].offset) != (start, rsp, 8):
            wrong[name] = row
    assert wrong == {}


def saved_by(row):
    """Return where above esp each register is saved, in the order of `SAVED`."""
    frame = row["cfa"]
    if frame.expr is None:
        return tuple(frame.offset + row[number].arg for number in range(9))
    found = {number: offset_of(row[number].arg) for number in range(9) if number in row}
    assert frame.expr[-1] == DEREFERENCE
    return tuple(found.get(number, offset_of(frame.expr[:-1])) for number in range(9))


def offset_of(expression):
    """Return the number in DW_OP_breg4, a signed LEB128 of two bytes at most."""
    operation, low, *high = expression
    assert operation == BREG_ESP
    return low & 0x7F | high[0] << 7 if high else low - (low << 1 & 0x80)


@pytest.mark.abis("i386")
def test_an_unwinder_finds_what_a_signal_saved(vdso):
    found = {}
    for name, at in CONTEXT_AT:
        place = vdso.address(name, "LINUX_2.5") - vdso.base + at
        frame = frame_at(vdso, place)
        row = [row for row in frame.get_decoded().table if row["pc"] <= place][-1]
        found[name, at] = saved_by(row)
        assert frame.cie.header["augmentation"].endswith(b"S"), "not marked as a signal's frame"
    assert found == {
        key: tuple(context + offset for offset in SAVED) for key, context in CONTEXT_AT.items()
    }


@pytest.mark.abis("i386")
@pytest.mark.needs(before="7.0")
@pytest.mark.parametrize("name", ["__kernel_sigreturn", "__kernel_rt_sigreturn"])
def test_an_unwinder_finds_a_trampoline_by_the_byte_before_it(vdso, name):
    assert frame_at(vdso, vdso.address(name, "LINUX_2.5") - vdso.base - 1)

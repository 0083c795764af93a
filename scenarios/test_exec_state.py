# SPDX-License-Identifier: Apache-2.0
"""What a new program finds: its registers, its stack, its auxiliary vector.

Source: arch/x86/include/asm/elf.h ELF_PLAT_INIT, ARCH_DLINFO; arch/x86/kernel/process_32.c,
process_64.c start_thread; fs/binfmt_elf.c create_elf_tables (6.1).
"""

import io
from errno import EINVAL

import pytest
from elftools.elf.elffile import ELFFile

from harness.agent.about import AT_RANDOM, AT_SYSINFO, AT_SYSINFO_EHDR
from harness.agent.arguments import Buffer
from harness.agent.ptrace import CALL_STOP, Request, words
from harness.agent.puppet import start_puppet
from harness.arch import ABIS, I386
from harness.entry import entry_paths_of

PLAIN_FLAGS = 0x202
AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_FLAGS, AT_ENTRY = 3, 4, 5, 6, 7, 8, 9
AT_UID, AT_EUID, AT_GID, AT_EGID, AT_PLATFORM, AT_HWCAP, AT_CLKTCK = 11, 12, 13, 14, 15, 16, 17
AT_SECURE, AT_RSEQ_SIZE, AT_RSEQ_ALIGN, AT_EXECFN, AT_MINSIGSTKSZ = 23, 27, 28, 31, 51
GET_AUXV = 0x4155_5856

SEGMENTS = {
    ("i386", "i386"): {"cs": 0x73, "ss": 0x7B, "ds": 0x7B, "es": 0x7B, "fs": 0, "gs": 0},
    ("x86_64", "i386"): {"cs": 0x23, "ss": 0x2B, "ds": 0x2B, "es": 0x2B, "fs": 0, "gs": 0},
    ("x86_64", "x86_64"): {"cs": 0x33, "ss": 0x2B, "ds": 0, "es": 0, "fs": 0, "gs": 0},
}
"""By the kernel's architecture and the program's ABI. Source: asm/segment.h (6.1)."""
VECTORS = {"fcw": 0x37F, "ftw": 0, "mxcsr": 0x1F80, "x87 bytes": 0, "xmm bytes": 0}

SS_DISABLE = 2


def stack_of(abi):
    return abi.registers[7]


def expected(guest, abi):
    """Return every register at the first instruction, but the stack pointer."""
    general = dict.fromkeys(set(abi.registers) - {stack_of(abi)}, 0)
    return general | {"flags": PLAIN_FLAGS} | SEGMENTS[guest.identity.arch.name, abi.name]


def test_registers_are_zero_at_the_first_instruction(guest, abi):
    found = dict(guest.about(abi).registers)
    del found[stack_of(abi)], found["ip"]
    assert found == expected(guest, abi)


@pytest.mark.parametrize("before", ABIS)
def test_nothing_of_the_old_program_comes_through_an_exec(guest, abi, before):
    if ABIS[before] not in guest.identity.arch.abis:
        pytest.skip(f"the kernel runs no {before} programs")
    guest.probe(abi, "after_exec", 1)
    seen = guest.probe(ABIS[before], "after_exec", 0, abi.bits)
    bases = {"fs base": 0, "gs base": 0} if abi.name == "x86_64" else {}
    assert seen.pop(stack_of(abi)) % 16 == 0
    signals = {"alternate stack": 0, "alternate stack's flags": SS_DISABLE, "handler": 0}
    assert {name: seen.pop(name) for name in signals} == signals
    assert seen.pop("ignored") == 1, "an action that is no handler stays"
    assert seen == {**expected(guest, abi), **VECTORS, **bases, "no descriptor free": 0}


@pytest.mark.room("the root folder is a guest's")
def test_the_stack_is_aligned_and_begins_with_the_arguments(guest, abi):
    top = guest.about(abi).registers[stack_of(abi)]
    width = abi.bits // 8
    count, path = (
        int.from_bytes(guest.read(abi, top + at * width, width), "little") for at in (0, 1)
    )
    assert top % 16 == 0
    assert count == 1
    assert guest.read(abi, path, 32).split(b"\0")[0].decode() == f"/executor.{abi}"


def test_the_auxiliary_vector_describes_the_program(guest, abi):
    program = ELFFile(io.BytesIO(guest.read_file(f"/executor.{abi}")))
    auxv = guest.about(abi).auxv
    shown = {key: auxv.get(key) for key in (AT_PHENT, AT_PHNUM, AT_ENTRY, AT_BASE, AT_FLAGS)}
    assert shown == {
        AT_PHENT: program["e_phentsize"],
        AT_PHNUM: program["e_phnum"],
        AT_ENTRY: program["e_entry"],
        AT_BASE: 0,
        AT_FLAGS: 0,
    }
    headers = guest.read(abi, auxv[AT_PHDR], program["e_phnum"] * program["e_phentsize"])
    assert headers == guest.read_file(f"/executor.{abi}")[program["e_phoff"] :][: len(headers)]


@pytest.mark.room("the root folder is a guest's")
def test_the_auxiliary_vector_describes_process_and_machine(guest, abi):
    auxv = guest.about(abi).auxv
    plain = {AT_PAGESZ: 4096, AT_CLKTCK: 100, AT_SECURE: 0}
    ids = dict.fromkeys((AT_UID, AT_EUID, AT_GID, AT_EGID), 0)
    assert {key: auxv.get(key) for key in plain | ids} == plain | ids
    texts = {
        key: guest.read(abi, auxv[key], 32).split(b"\0")[0] for key in (AT_EXECFN, AT_PLATFORM)
    }
    platform = {"i386": b"i686", "x86_64": b"x86_64"}[abi.name]
    assert texts == {AT_EXECFN: f"/executor.{abi}".encode(), AT_PLATFORM: platform}


@pytest.mark.room("the root folder is a guest's")
def test_the_auxiliary_vector_tells_each_id_and_who_runs_for_another(guest, abi):
    """Source: security/commoncap.c cap_bprm_creds_from_file (6.1)."""
    with start_puppet(guest, abi) as puppet:
        wide = "32" if abi is I386 else ""
        assert puppet.call(puppet.own_entry, f"setresgid{wide}", 2001, 2002, 2003) == 0
        assert puppet.call(puppet.own_entry, f"setresuid{wide}", 1001, 1002, 1003) == 0
        puppet.prepare_exec()
        assert [puppet.resume(Request.SYSCALL) for _ in range(2)] == [CALL_STOP, CALL_STOP]
        told = words(guest.read_file(f"/proc/{puppet.pid}/auxv"), abi)
    auxv = dict(zip(told[::2], told[1::2], strict=True))
    keys = {"uid": AT_UID, "euid": AT_EUID, "gid": AT_GID, "egid": AT_EGID, "secure": AT_SECURE}
    expected = {"uid": 1001, "euid": 1002, "gid": 2001, "egid": 2002, "secure": 1}
    assert {name: auxv.get(key) for name, key in keys.items()} == expected


def test_random_bytes_lie_on_the_stack_and_are_the_programs_own(guest, abi):
    first = guest.read(abi, guest.about(abi).auxv[AT_RANDOM], 16)
    guest.renew()
    second = guest.read(abi, guest.about(abi).auxv[AT_RANDOM], 16)
    assert len(first) == len(second) == 16
    assert len({first, second, bytes(16)}) == 3


@pytest.mark.claim(48)
@pytest.mark.claim(49)
def test_only_32_bit_programs_are_told_of_the_vdsos_entry(guest, abi):
    auxv = guest.about(abi).auxv
    assert AT_SYSINFO_EHDR in auxv
    assert (AT_SYSINFO in auxv) == (abi.name == "i386")


@pytest.mark.needs(since="5.14")
def test_a_signals_frame_has_a_least_size(guest, abi):
    assert 512 < guest.about(abi).auxv[AT_MINSIGSTKSZ] < 65536


@pytest.mark.needs(since="6.3")
def test_a_program_is_told_how_large_a_restartable_sequences_area_is(guest, abi):
    """Where its last field ends, and its alignment: include/uapi/linux/rseq.h (6.12, 7.2)."""
    auxv = guest.about(abi).auxv
    assert (auxv.get(AT_RSEQ_SIZE), auxv.get(AT_RSEQ_ALIGN)) in {(28, 32), (33, 64)}


def test_a_file_has_the_auxiliary_vector_as_the_program_was_given_it(guest, abi):
    """Source: fs/proc/base.c proc_pid_auxv; kernel/sys.c prctl_get_auxv (6.4)."""
    entry = entry_paths_of(abi)[0]
    given = words(guest.read_file(f"/proc/{guest.call(entry, 'getpid').value}/auxv"), abi)
    assert dict(zip(given[::2], given[1::2], strict=True)) == guest.about(abi).auxv
    assert given[-2:] == (0, 0)
    said = guest.call(entry, "prctl", GET_AUXV, Buffer(1024), 1024, 0, 0)
    if said.errno != EINVAL:
        assert words(said.memory[0], abi)[: len(given)] == given

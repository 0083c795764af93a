# SPDX-License-Identifier: Apache-2.0
"""A module of the kernel's package with one bug: what a kernel does about its own bad access."""

from __future__ import annotations

import io
import struct

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from harness.arch import Abi
from harness.evidence.elf import ELF_DAMAGE
from harness.evidence.trouble import BadEvidence

_LOAD = {64: bytes.fromhex("488b0425"), 32: bytes.fromhex("a1")}
"""A load of the accumulator from an absolute address, which follows."""
_SIGNED = b"~Module signature appended~\n"
_SIGNATURE_BYTES = 12
_HOOK_BYTES = 8
"""How far into a function the call for tracers may begin, behind its landing pad."""


def break_function(module: bytes, function: str, address: int, abi: Abi) -> bytes:
    """Return a module in which a function begins with a load from an address.

    What the kernel patches as it loads the module, relocations and the hook for tracers, stays.

    Args:
        module: a kernel module.
        function: one of its functions.
        address: what is loaded from; below 2 GiB.
        abi: the kernel's.

    Raises:
        BadEvidence: it is no such module, or the function has no room before a relocation.
    """
    code = _LOAD[abi.bits] + struct.pack("<I", address)
    try:
        at, start, taken = _find(module, function)
    except ELF_DAMAGE as error:
        raise BadEvidence(f"no function {function} in this module: {error!r}") from error
    hook = max(
        (place + 4 for place in taken if start <= place < start + _HOOK_BYTES), default=start
    )
    if any(hook <= place < hook + len(code) for place in taken):
        raise BadEvidence(f"{function} has no {len(code)} bytes without a relocation")
    place = at + hook - start
    return _unsigned(module[:place] + code + module[place + len(code) :])


def _unsigned(module: bytes) -> bytes:
    """Cut a signature off: without one a module taints, with a wrong one it is refused.

    Source: kernel/module/signing.c, include/linux/module_signature.h (6.1).
    """
    if not module.endswith(_SIGNED):
        return module
    end = len(module) - len(_SIGNED)
    length = int.from_bytes(module[end - 4 : end], "big")
    return module[: end - _SIGNATURE_BYTES - length]


def _find(module: bytes, function: str) -> tuple[int, int, list[int]]:
    """Return a function's place in the file and in its section, and that section's relocations."""
    elf = ELFFile(io.BytesIO(module))
    symbols = elf.get_section_by_name(".symtab")
    if not isinstance(symbols, SymbolTableSection):
        raise TypeError("no symbols")
    found = symbols.get_symbol_by_name(function)
    if not found:
        raise LookupError("no such symbol")
    symbol = found[0]
    index, start = symbol["st_shndx"], symbol["st_value"]
    taken = [
        relocation["r_offset"]
        for section in elf.iter_sections()
        if isinstance(section, RelocationSection) and section["sh_info"] == index
        for relocation in section.iter_relocations()
    ]
    return elf.get_section(index)["sh_offset"] + start, start, taken

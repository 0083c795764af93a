# SPDX-License-Identifier: Apache-2.0
"""A user's program that is not plainly right: what it is, and so what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness.arch import ABIS, Abi
from harness.errors import DeclarationError


def examine(path: Path) -> Abi:
    """Return the interface that a program was built for.

    Raises:
        DeclarationError: it cannot be read, or is no program that a guest could start.
    """
    try:
        with path.open("rb") as file:
            return _abi_of(ELFFile(file), path)
    except OSError as error:
        raise DeclarationError(f"program {path} cannot be read: {error.strerror}") from error
    except (ELFError, UnicodeDecodeError, ValueError) as error:
        raise DeclarationError(
            f"program {path} is no ELF file: {error}",
            hint="a guest has no interpreter for scripts; give a static program, such as busybox",
        ) from error


def _abi_of(elf: ELFFile, path: Path) -> Abi:
    found = [abi for abi in ABIS.values() if _is_for(elf, abi)]
    if not found or elf["e_type"] not in ("ET_EXEC", "ET_DYN"):
        raise DeclarationError(
            f"program {path}: expected an executable for i386 or x86_64, "
            f"got {elf['e_type']} for {elf['e_machine']} with {elf.elfclass} bits"
        )
    if any(segment["p_type"] == "PT_INTERP" for segment in elf.iter_segments()):
        raise DeclarationError(
            f"program {path} is linked dynamically, and a guest has no libraries",
            hint="link it with -static",
        )
    return found[0]


def _is_for(elf: ELFFile, abi: Abi) -> bool:
    return bool(elf["e_machine"] == abi.elf_machine and elf.elfclass == abi.bits)

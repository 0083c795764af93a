# SPDX-License-Identifier: Apache-2.0
"""Try whether the compiler makes freestanding programs for every binary interface."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness.arch import ABIS, Abi
from harness.doctor.command import Ended, run
from harness.doctor.finding import Finding, Standing
from harness.tools import find_tool

_PATIENCE_S = 60
_FLAGS = ("-ffreestanding", "-nostdlib", "-static", "-O2", "-Wall", "-Werror")
_PROGRAM = """\
#include <stddef.h>
#include <stdint.h>

volatile uint32_t word;

void _start(void)
{
	for (;;)
		word += sizeof(size_t);
}
"""


def examine_compiler() -> Iterator[Finding]:
    """Compile and link a tiny program without a C library for each of `harness.arch.ABIS`.

    Returns:
        One finding for each binary interface, none where there is no compiler.
    """
    compiler = find_tool("cc")
    if compiler:
        yield from (_examine_abi(compiler, abi) for abi in ABIS.values())


def _examine_abi(compiler: Path, abi: Abi) -> Finding:
    with tempfile.TemporaryDirectory(prefix="trapgate-doctor-") as folder:
        trouble = _try_build(compiler, abi, Path(folder))
    name = f"cc {abi.compiler_flag}"
    if trouble:
        hint = "install gcc and binutils that know x86, or name such a compiler in CC"
        return Finding(name, Standing.FAILED, trouble, required=True, remedy=hint)
    detail = f"builds freestanding {abi} programs"
    return Finding(name, Standing.OK, detail, required=True)


def _try_build(compiler: Path, abi: Abi, folder: Path) -> str:
    source, program = folder / "try.c", folder / "try"
    source.write_text(_PROGRAM)
    command: list[str | Path] = [compiler, *_FLAGS, abi.compiler_flag, "-o", program, source]
    ended = run(command, timeout_s=_PATIENCE_S)
    if ended.status != 0:
        return _reason(ended)
    machine = _read_machine(program)
    return "" if machine == abi.elf_machine else f"expected {abi.elf_machine}, got {machine}"


def _reason(ended: Ended) -> str:
    errors = (line for line in ended.output.splitlines() if "error" in line)
    return next(errors, ended.last_lines(1)) or f"the compiler ended with status {ended.status}"


def _read_machine(program: Path) -> str:
    try:
        with program.open("rb") as file:
            return str(ELFFile(file)["e_machine"])
    except (ELFError, OSError) as error:
        return f"no ELF program: {error}"

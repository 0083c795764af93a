# SPDX-License-Identifier: Apache-2.0
"""Guest programs: freestanding C and assembly, built once for what went into them."""

from __future__ import annotations

import functools
import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.arch import Abi
from harness.build.facts import render_facts
from harness.entry import entry_paths_of
from harness.errors import DeclarationError, HostError
from harness.kernels.assembly import translated
from harness.places import cache_dir, data_dir
from harness.suggest import nearest
from harness.tools import require_tool

_FLAGS = (
    *("-std=gnu11", "-Os", "-ffreestanding", "-nostdlib", "-static", "-fno-pic", "-no-pie"),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing"),
    *("-fcf-protection=none", "-mgeneral-regs-only", "-fno-tree-loop-distribute-patterns"),
    *("-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes", "-Werror"),
    *("-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-Ttext-segment=0x10000000", "-s"),
)
_AGENT = ("agent", "frames", "run", "files", "log", "spawn", "window", "settle")
_EXECUTOR = ("executor", "signals", "landscape")
_PROBE = ("report", "vdso", "enter", "catch")


@dataclass(frozen=True)
class Recipe:
    """What one program is made of.

    Attributes:
        name: the file's name, without the ABI.
        sources: paths of C and assembly, below ``guest/`` where they are not absolute.
    """

    name: str
    sources: tuple[str, ...]


def agent_recipe() -> Recipe:
    """Return what the first process of a guest is made of."""
    return Recipe("agent", tuple(f"agent/{name}.c" for name in _AGENT))


def executor_recipe(abi: Abi) -> Recipe:
    """Return what carries out calls of `abi`."""
    own = (f"agent/{name}.c" for name in _EXECUTOR)
    return Recipe("executor", (*own, *_entry_sources(abi)))


def probe_recipe(name: str, abi: Abi) -> Recipe:
    """Return what the probe called `name` is made of: its one file, and what all probes share.

    Raises:
        DeclarationError: there is no such probe.
    """
    folder = data_dir("guest") / "probes"
    source = folder / f"{name}.c"
    if not source.is_file():
        known = [path.stem for path in folder.glob("*.c")]
        raise DeclarationError(f"there is no probe {name!r}", hint=nearest(name, known))
    return recipe_of_probe(source, abi)


def recipe_of_probe(source: Path, abi: Abi) -> Recipe:
    """Return what a probe is made of, wherever its file lies."""
    shared = (f"lib/{part}.c" for part in _PROBE)
    own = (str(source), "lib/execute.S", f"lib/catch_{abi}.S")
    return Recipe(f"probe.{source.stem}", (*own, *shared, *_entry_sources(abi)))


def build_program(recipe: Recipe, abi: Abi) -> Path:
    """Compile one program, unless the cache has it.

    Returns:
        A static ELF file.

    Raises:
        HostError: there is no compiler, it does not compile our code, or the cache cannot be
            written.
    """
    compiler = require_tool("cc")
    key = _fingerprint(recipe, abi, compiler)
    built = cache_dir() / "guest" / f"{recipe.name}.{abi}-{key}"
    if not built.is_file():
        with translated(built):
            _build(recipe, abi, compiler, built)
    return built


def _entry_sources(abi: Abi) -> Iterator[str]:
    yield f"agent/resume_{abi.name}.S"
    yield from (f"entry/{path.name}.S" for path in entry_paths_of(abi))


def _common_sources(abi: Abi) -> tuple[str, ...]:
    return ("lib/lib.c", f"lib/start_{abi.name}.S")


def _sources(recipe: Recipe, abi: Abi) -> list[Path]:
    return [data_dir("guest") / source for source in (*recipe.sources, *_common_sources(abi))]


def _fingerprint(recipe: Recipe, abi: Abi, compiler: Path) -> str:
    digest = hashlib.sha256(repr((abi, _FLAGS)).encode())
    digest.update(_compiler_version(compiler).encode())
    digest.update(_facts(abi).encode())
    headers = sorted(data_dir("guest").rglob("*.h"))
    for path in (*headers, *_sources(recipe, abi)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _compiler_version(compiler: Path) -> str:
    return subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=False
    ).stdout


@functools.cache
def _facts(abi: Abi) -> str:
    return render_facts(data_dir("guest") / "include/facts.h.j2", abi)


def _build(recipe: Recipe, abi: Abi, compiler: Path, built: Path) -> None:
    """Build beside the final place and rename: of two that do so, the last one wins."""
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=built.parent) as scratch:
        folder = Path(scratch)
        (folder / "facts.h").write_text(_facts(abi), encoding="utf-8")
        _compile(recipe, abi, compiler, folder)
        (folder / recipe.name).rename(built)


def _compile(recipe: Recipe, abi: Abi, compiler: Path, folder: Path) -> None:
    command = [str(compiler), abi.compiler_flag, *_FLAGS]
    command += ["-I", str(data_dir("guest") / "include"), "-I", str(folder)]
    command += ["-o", str(folder / recipe.name), *map(str, _sources(recipe, abi))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(
            f"{compiler.name} could not build {recipe.name} for {abi}", evidence=done.stderr.strip()
        )

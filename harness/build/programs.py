# SPDX-License-Identifier: Apache-2.0
"""Guest programs: freestanding C and assembly, built once for what went into them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.arch import Abi
from harness.entry import entry_paths_of
from harness.errors import DeclarationError
from harness.kernels.storing import translated
from harness.places import cache_dir, data_dir
from harness.suggest import nearest
from harness.tools import require_tool, stamp_of

_FLAGS = (
    *("-std=gnu11", "-Os", "-ffreestanding", "-nostdlib", "-static", "-fno-pic", "-no-pie"),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing"),
    *("-fcf-protection=none", "-mgeneral-regs-only", "-fno-tree-loop-distribute-patterns"),
    *("-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes", "-Werror"),
    *("-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-Ttext-segment=0x10000000", "-s"),
)
_AGENT = (
    *("agent", "frames", "run", "files", "log", "spawn", "input", "window", "settle", "requests"),
    *("host", "room", "message"),
)
_EXECUTOR = ("executor", "signals", "landscape", "message")
_PROBE = ("report", "vdso", "enter", "catch")

STANDING_PROBES = ("deliver", "puppet")
"""Probes that lie in every guest from its start, since many tests drive them: a clone need not be
brought them, and what TCG has translated of them stays from one test to the next."""

SHAPING = ("build/compilation", "build/facts", "arch", "entry", "landscape", "wire")
"""Modules whose text decides what comes out of the same sources; a fingerprint reads them as files,
so that finding what was built costs no template and no compiler."""
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Recipe:
    """What one program is made of.

    Attributes:
        name: the file's name, without the ABI.
        sources: paths of C and assembly, below ``guest/`` where they are not absolute.
    """

    name: str
    sources: tuple[str, ...]


def agent_recipe(abi: Abi) -> Recipe:
    """Return what the first process of a guest is made of, where programs of `abi` run."""
    own = (f"agent/{name}.c" for name in _AGENT)
    return Recipe("agent", (*own, f"agent/child_{abi.name}.S"))


def executor_recipe(abi: Abi) -> Recipe:
    """Return what carries out calls of `abi`."""
    own = (f"agent/{name}.c" for name in _EXECUTOR)
    return Recipe("executor", (*own, *_entry_sources(abi)))


def probe_path(name: str, abi: Abi) -> str:
    """Return where a guest has a probe, brought or standing, below its root."""
    return f"probes/{name}.{abi}"


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
    return build_programs([(recipe, abi)])[0]


def build_programs(recipes: Sequence[tuple[Recipe, Abi]]) -> list[Path]:
    """Compile programs as `build_program` does, those that are missing side by side."""
    compiler = require_tool("cc")
    built = {_place(recipe, abi, compiler): (recipe, abi) for recipe, abi in recipes}
    missing = [path for path in built if not path.is_file()]
    if missing:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - usually nothing is

        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda path: _compile(*built[path], compiler, path), missing))
    return list(built)


def _place(recipe: Recipe, abi: Abi, compiler: Path) -> Path:
    """Return where a program is kept, compiled or not."""
    key = _fingerprint(recipe, abi, compiler)
    return cache_dir() / "guest" / f"{recipe.name}.{abi}-{key}"


def _compile(recipe: Recipe, abi: Abi, compiler: Path, built: Path) -> None:
    from harness.build.compilation import compile_program  # noqa: PLC0415 - it loads jinja2

    with translated(built):
        command = [str(compiler), abi.compiler_flag, *_FLAGS]
        command += ["-I", str(data_dir("guest") / "include")]
        compile_program([*command, *map(str, _sources(recipe, abi))], abi, built)


def _entry_sources(abi: Abi) -> Iterator[str]:
    yield f"agent/resume_{abi.name}.S"
    yield from (f"entry/{path.name}.S" for path in entry_paths_of(abi))


def _common_sources(abi: Abi) -> tuple[str, ...]:
    return ("lib/lib.c", f"lib/start_{abi.name}.S")


def _sources(recipe: Recipe, abi: Abi) -> list[Path]:
    return [data_dir("guest") / source for source in (*recipe.sources, *_common_sources(abi))]


def _fingerprint(recipe: Recipe, abi: Abi, compiler: Path) -> str:
    digest = hashlib.sha256(repr((abi, _FLAGS, stamp_of(compiler))).encode() + _shared_input())
    for path in _sources(recipe, abi):
        digest.update(_named_content(path))
    return digest.hexdigest()[:16]


@functools.cache
def _shared_input() -> bytes:
    """What every program is made from: headers, and what decides on ``facts.h``."""
    guest = data_dir("guest")
    headers = sorted([*guest.rglob("*.h"), *guest.rglob("*.h.j2")])
    shaping = (_PACKAGE / f"{module}.py" for module in SHAPING)
    return b"".join(map(_named_content, (*headers, *shaping)))


def _named_content(path: Path) -> bytes:
    return path.name.encode() + b"\0" + path.read_bytes()

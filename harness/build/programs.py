# SPDX-License-Identifier: Apache-2.0
"""Guest programs: freestanding C and assembly, built once for what went into them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.arch import Abi
from harness.build.facts import render_facts
from harness.entry import entry_paths_of
from harness.errors import HostError
from harness.kernels.assembly import translated
from harness.places import cache_dir, data_dir
from harness.tools import require_tool

_FLAGS = (
    *("-std=gnu11", "-Os", "-ffreestanding", "-nostdlib", "-static", "-fno-pic", "-no-pie"),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing"),
    *("-fcf-protection=none", "-mgeneral-regs-only", "-fno-tree-loop-distribute-patterns"),
    *("-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes", "-Werror"),
    *("-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-Ttext-segment=0x10000000", "-s"),
)
_AGENT = ("agent", "frames", "run", "files", "log", "spawn", "window")
_EXECUTOR = ("executor", "signals", "landscape", "settle")


@dataclass(frozen=True)
class Recipe:
    """What one program is made of.

    Attributes:
        name: the file's name in the guest, without the ABI.
        sources: paths below ``guest/``; ``{abi}`` stands for the ABI's name.
    """

    name: str
    sources: tuple[str, ...]


def recipes(abi: Abi) -> tuple[Recipe, ...]:
    """Return what is built for `abi`: the agent, the executor and every probe."""
    probes = sorted((data_dir("guest") / "probes").glob("*.c"))
    return (
        Recipe("agent", tuple(f"agent/{name}.c" for name in _AGENT)),
        Recipe("executor", tuple(_executor_sources(abi))),
        *(Recipe(f"probe.{path.stem}", _probe_sources(path.name)) for path in probes),
    )


def build_programs(abi: Abi) -> Path:
    """Compile the guest's programs for `abi`, unless the cache has them.

    Returns:
        A folder with one static ELF file a recipe, called by the recipe's name.

    Raises:
        HostError: there is no compiler, it does not compile our code, or the cache cannot be
            written.
    """
    compiler = require_tool("cc")
    key = _fingerprint(abi, compiler)
    built = cache_dir() / "guest" / f"{abi.name}-{key}"
    if not built.is_dir():
        with translated(built):
            _build_into(built, abi, compiler)
    return built


def _probe_sources(name: str) -> tuple[str, ...]:
    return (f"probes/{name}", "lib/report.c", "lib/vdso.c")


def _executor_sources(abi: Abi) -> Iterator[str]:
    yield from (f"agent/{name}.c" for name in _EXECUTOR)
    yield f"agent/resume_{abi.name}.S"
    yield from (f"entry/{path.name}.S" for path in entry_paths_of(abi))


def _fingerprint(abi: Abi, compiler: Path) -> str:
    guest = data_dir("guest")
    digest = hashlib.sha256(repr((abi, _FLAGS, recipes(abi))).encode())
    digest.update(_compiler_version(compiler).encode())
    digest.update(render_facts(guest / "include/facts.h.j2", abi).encode())
    for path in sorted(guest.rglob("*.[chS]")):
        digest.update(path.relative_to(guest).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _compiler_version(compiler: Path) -> str:
    return subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=False
    ).stdout


def _build_into(built: Path, abi: Abi, compiler: Path) -> None:
    """Build beside the final place and rename: whoever comes second finds it there already."""
    built.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=built.parent))
    try:
        facts = render_facts(data_dir("guest") / "include/facts.h.j2", abi)
        (scratch / "facts.h").write_text(facts, encoding="utf-8")
        for recipe in recipes(abi):
            _compile(recipe, abi, compiler, scratch)
        scratch.rename(built)
    except OSError:
        if not built.is_dir():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _compile(recipe: Recipe, abi: Abi, compiler: Path, folder: Path) -> None:
    guest = data_dir("guest")
    common = ("lib/lib.c", f"lib/start_{abi.name}.S")
    command = [str(compiler), abi.compiler_flag, *_FLAGS]
    command += ["-I", str(guest / "include"), "-I", str(folder), "-o", str(folder / recipe.name)]
    command += [str(guest / source) for source in (*recipe.sources, *common)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(
            f"{compiler.name} could not build {recipe.name} for {abi}", evidence=done.stderr.strip()
        )

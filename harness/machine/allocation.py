# SPDX-License-Identifier: Apache-2.0
"""What QEMU has freed it keeps, for it will want it again.

Whenever QEMU's thread for deferred frees has nothing left to do, it gives free memory back to the
host, and a rewind makes it do so each time: a fifth of what a rewind and new executors cost went
there. A library with another `malloc_trim`, which comes before the C library's, leaves memory where
it is. Source: QEMU 7.2, util/rcu.c call_rcu_thread; glibc 2.36, malloc/malloc.c __malloc_trim.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from pathlib import Path

from harness.places import cache_dir
from harness.tools import find_tool
from harness.whole import replacing

_SOURCE = """
int malloc_trim(unsigned long pad);

int malloc_trim(unsigned long pad)
{
	(void)pad;
	return 0;
}
"""
_FLAGS = ("-shared", "-fPIC", "-nostdlib", "-Os", "-s", "-Wall", "-Wextra", "-x", "c", "-")
_SEPARATORS = frozenset(": ")
"""Of paths in LD_PRELOAD, which knows no quotes. Source: man 8 ld.so."""
_PATIENCE_S = 20


def emulator_environment() -> dict[str, str]:
    """Return the environment that QEMU runs in: ours, and the library where one can be built."""
    library = _keeping_library()
    wanted = filter(None, (str(library or ""), os.environ.get("LD_PRELOAD")))
    return {**os.environ, "LD_PRELOAD": ":".join(wanted)} if library else dict(os.environ)


def _keeping_library() -> Path | None:
    """Return the library, built once for a compiler; without it all goes on, more slowly."""
    compiler = find_tool("cc")
    key = hashlib.sha256(f"{compiler} {_FLAGS} {_SOURCE}".encode()).hexdigest()[:16]
    built = cache_dir().absolute() / "host" / f"keep-{key}.so"
    if not compiler or _SEPARATORS.intersection(str(built)):
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if not built.is_file():
            _build(str(compiler), built)
        return built
    return None


def _build(compiler: str, built: Path) -> None:
    built.parent.mkdir(parents=True, exist_ok=True)
    with replacing(built) as made:
        subprocess.run(
            [compiler, *_FLAGS, "-o", made],
            input=_SOURCE.encode(),
            capture_output=True,
            timeout=_PATIENCE_S,
            check=True,
        )

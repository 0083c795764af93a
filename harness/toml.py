# SPDX-License-Identifier: Apache-2.0
"""Our TOML files as data; what was read once is kept in the cache as JSON.

Parsing the table of system calls takes ten times what a whole call may take besides.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from harness.places import cache_dir
from harness.whole import write_whole


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a file holds.

    Args:
        path: a TOML file of numbers, texts, truth values, lists and tables.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not TOML.
    """
    stat = path.stat()
    stamp = [str(path), stat.st_size, stat.st_mtime_ns]
    kept = cache_dir() / "toml" / f"{path.stem}-{zlib.crc32(os.fsencode(path)):08x}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(kept.read_bytes())
        if found["stamp"] == stamp:
            return dict(found["data"])
    return _read(path, stamp, kept)


def _read(path: Path, stamp: list[object], kept: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only for what has not been read yet

    data = tomllib.loads(path.read_text(encoding="utf-8"))
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, json.dumps({"stamp": stamp, "data": data}))
    return data

# SPDX-License-Identifier: Apache-2.0
"""Where things lie: the data that travels with the package, the cache, the state."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parent


def data_dir(name: str) -> Path:
    """Return the folder of data called `name` ("guest", "kernels", "scenarios").

    In a checkout these folders stand beside the package; in a wheel they are inside it.
    """
    beside = _PACKAGE.parent / name
    return beside if (_PACKAGE.parent / "pyproject.toml").is_file() else _PACKAGE / "data" / name


def cache_dir() -> Path:
    """Return the folder for what can be made again: kernels, builds, boot states.

    ``TRAPGATE_CACHE`` names another one; else it follows the XDG base directories.
    """
    named = os.environ.get("TRAPGATE_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("trapgate"))


def state_dir() -> Path:
    """Return the folder for what has to stay: package indexes, verdicts, records of runs.

    ``TRAPGATE_STATE`` names another one; else it follows the XDG base directories.
    """
    named = os.environ.get("TRAPGATE_STATE")
    return Path(named) if named else Path(platformdirs.user_state_dir("trapgate"))


def keep_bytecode() -> None:
    """Keep what Python compiles in the cache, where it may not lie beside its source.

    Whoever forbids that (``PYTHONDONTWRITEBYTECODE``) wants clean folders, and no compiling of the
    same modules in each process of each run.
    """
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(cache_dir() / "bytecode")

# SPDX-License-Identifier: Apache-2.0
"""Which release of the harness this is."""

from __future__ import annotations

import functools
import importlib.metadata
import tomllib
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


@functools.cache
def own_version() -> str:
    """Return the harness's version: the checkout's where this is one, else the package's."""
    if _PROJECT.is_file():
        return str(tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"])
    return importlib.metadata.version("trapgate")

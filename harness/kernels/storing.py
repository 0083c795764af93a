# SPDX-License-Identifier: Apache-2.0
"""What to say when the cache cannot be written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HostError


@contextlib.contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Turn an operating system's error into one sentence about the cache.

    Raises:
        HostError: the body raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise HostError(
            f"cannot store {folder.name} in {folder.parent}: {error.strerror or error}",
            hint="make room there, or name another folder with TRAPGATE_CACHE or TRAPGATE_STATE",
        ) from error

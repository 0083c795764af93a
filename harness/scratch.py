# SPDX-License-Identifier: Apache-2.0
"""Folders for as long as a piece of work takes; the next one removes what a killed one has left.

They lie in the cache. Each is locked by who uses it, so that living ones are told from dead ones.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import HostError
from harness.places import cache_dir

_LOCK = ".lock"
_PATIENCE_S = 20


@contextlib.contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """Give a folder of its own that is removed when the block is left.

    Args:
        purpose: what its name begins with.

    Raises:
        HostError: the cache cannot be written.
    """
    parent = cache_dir() / "scratch"
    try:
        folder, lock = _make(parent, purpose)
    except OSError as error:
        raise HostError(f"{parent}: no folder can be made there: {error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _make(parent: Path, purpose: str) -> tuple[Path, FileLock]:
    """Make a folder that is locked before anybody can take it for one that was left."""
    parent.mkdir(parents=True, exist_ok=True)
    with FileLock(parent / _LOCK, timeout=_PATIENCE_S):
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=parent))
        lock = FileLock(folder / _LOCK)
        lock.acquire()
        return folder, lock


def _sweep(parent: Path) -> None:
    for folder in filter(Path.is_dir, parent.iterdir()):
        with contextlib.suppress(Timeout), FileLock(folder / _LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)

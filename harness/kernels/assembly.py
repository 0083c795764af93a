# SPDX-License-Identifier: Apache-2.0
"""Filling the cache so that a kernel's folder is whole or not there, whoever dies or races.

A folder is assembled under another name and renamed. Both names belong to whoever holds the
kernel's lock, so what a killed process left can be told from what another one is just writing.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock

from harness.errors import HostError
from harness.kernels.reporter import Reporter
from harness.kernels.storing import translated

_PART, _LOCK = ".part", ".lock"
_AT_ONCE_S, _LONGEST_S = 0.5, 1800


@contextlib.contextmanager
def locked(folder: Path, reporter: Reporter) -> Iterator[None]:
    """Hold the lock of a cache folder, waiting for another process that does.

    Args:
        folder: the folder; it need not be there.
        reporter: is told when there is somebody to wait for.

    Raises:
        HostError: the other process has not finished after half an hour, or the cache cannot be
            written.
    """
    with translated(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(f"{folder}{_LOCK}")
        if not _acquired(lock, _AT_ONCE_S):
            reporter.say(f"waiting for another process that is fetching {folder.name}")
            if not _acquired(lock, _LONGEST_S):
                raise HostError(f"{folder}{_LOCK} was not released in {_LONGEST_S} s")
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def assembling(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `folder` unless an error is raised.

    Args:
        folder: the final name; the caller holds its lock.

    Raises:
        HostError: the disk is full or cannot be written.
    """
    with scratch(folder) as part:
        yield part
        with translated(folder):
            shutil.rmtree(folder, ignore_errors=True)  # a damaged one may be in the way
            part.rename(folder)


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`, on the same filesystem, that is removed afterwards.

    Args:
        folder: what it is for; the caller holds its lock.

    Raises:
        HostError: the disk is full or cannot be written.
    """
    part = folder.with_name(folder.name + _PART)
    shutil.rmtree(part, ignore_errors=True)
    try:
        with translated(folder):
            part.mkdir(parents=True)
            yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove what killed processes left in a folder of the cache."""
    for part in parent.glob(f"*{_PART}"):
        lock = filelock.FileLock(f"{part.with_suffix('')}{_LOCK}")
        with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
            shutil.rmtree(part, ignore_errors=True)


def _acquired(lock: filelock.BaseFileLock, timeout_s: float) -> bool:
    try:
        lock.acquire(timeout=timeout_s)
    except filelock.Timeout:
        return False
    return True

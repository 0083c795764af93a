# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all, whoever reads or writes them at the same time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.errors import DeclarationError, HostError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under another name, and give it its own when all of it is there.

    Raises:
        OSError: it cannot be written; an earlier one is as it was.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(content.encode() if isinstance(content, str) else content)
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to make, which takes the place of `path` unless the block raises.

    It has a folder of its own. Of two that do so at the same time, the last one wins.

    Raises:
        OSError: the folder of `path` cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder:
        part = Path(folder) / path.name
        yield part
        part.replace(path)


def check_output(path: Path) -> None:
    """See that there is a folder for what the user has asked for, before long work begins.

    Raises:
        DeclarationError: there is none.
    """
    if not path.parent.is_dir():
        raise DeclarationError(f"there is no folder {path.parent} for {path.name}")


def write_output(path: Path, content: str | bytes, what: str = "file") -> None:
    """Write what the user has asked for.

    Args:
        path: where to.
        content: what; text is written as UTF-8.
        what: what to call it in an error.

    Raises:
        HostError: it cannot be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise HostError(f"{path}: the {what} cannot be written: {error.strerror}") from error

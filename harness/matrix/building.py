# SPDX-License-Identifier: Apache-2.0
"""Building the kernel of a source tree before it is asked."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from harness.errors import HostError
from harness.machine.console import last_lines


def usual_build(kernel: str) -> str:
    """Return the command that builds a kernel, empty unless it is a source tree.

    A folder that a tree was built into with ``make O=`` has a makefile, too, and leads to the tree.

    Args:
        kernel: what the user called it: a folder, a file, or a name of the catalogue.
    """
    tree = Path(kernel)
    sources = (tree, tree / "source")
    is_tree = (tree / "Makefile").is_file() and any((s / "Kbuild").is_file() for s in sources)
    return f"make -j{len(os.sched_getaffinity(0))} olddefconfig bzImage" if is_tree else ""


def build(tree: Path, command: str) -> None:
    """Run a build in a tree.

    Args:
        tree: where.
        command: what, as a shell would split it; no shell is involved.

    Raises:
        HostError: it cannot be run, or fails.
    """
    try:
        done = subprocess.run(
            shlex.split(command),
            cwd=tree,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except (OSError, ValueError) as error:
        raise HostError(f"cannot run {command!r} in {tree}: {error}") from error
    if done.returncode:
        raise HostError(
            f"{command!r} failed in {tree}: status {done.returncode}",
            evidence=last_lines(done.stdout),
        )

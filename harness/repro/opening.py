# SPDX-License-Identifier: Apache-2.0
"""From a file that somebody gives to what is to be carried out: a script, or a bundle with one."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import DeclarationError
from harness.kernels.catalogue import find_entry
from harness.repro.archive import KERNEL, is_archive, read_archive
from harness.repro.bundle import Manifest, read_bundle
from harness.script.reading import read_script
from harness.script.statements import Script


@dataclass(frozen=True)
class Opened:
    """What a file holds.

    Attributes:
        script: what is to be carried out; its header names a kernel that is here.
        manifest: of a bundle, what it says of itself.
    """

    script: Script
    manifest: Manifest | None = None


@contextlib.contextmanager
def open_program(path: Path, spec: str = "") -> Iterator[Opened]:
    """Open a script or a bundle; a kernel that a bundle brings is there until the block is left.

    Args:
        path: the file.
        spec: the kernel that the user named; empty for the file's own.

    Raises:
        DeclarationError: it is neither, it is damaged, or there is no kernel for it.
    """
    if not is_archive(path):
        yield Opened(read_script(path))
        return
    members = read_archive(path)
    bundle = read_bundle(members, f"bundle {path}")
    with tempfile.TemporaryDirectory(prefix="trapgate-") as folder:
        image = Path(folder, KERNEL)
        if KERNEL in members:
            image.write_bytes(members[KERNEL])
        named = spec or _find_kernel(bundle.script.header.kernel, image)
        if not named:
            told = bundle.manifest.kernel
            raise DeclarationError(
                f"bundle {path} is about {told.get('spec')} ({told.get('release')}), "
                f"which is neither in it nor in the catalogue",
                hint=f"give that kernel with --kernel; its sha256 is {told.get('sha256')}",
            )
        header = replace(bundle.script.header, kernel=named)
        yield Opened(replace(bundle.script, header=header), bundle.manifest)


def _find_kernel(named: str, image: Path) -> str:
    """Return a spec, empty for none; a path of the host's is none that somebody else may name."""
    if image.exists():
        return str(image)
    return named if named and find_entry(named) else ""

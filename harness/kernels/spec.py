# SPDX-License-Identifier: Apache-2.0
"""What a user may call a kernel, resolved without fetching anything."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.arch import Arch
from harness.errors import DeclarationError
from harness.kernels.catalogue import Entry, all_entries, find_entry
from harness.kernels.files import HOST, KernelFiles, host_files, is_there, read_files
from harness.suggest import nearest

_PATH_BEGINNINGS = (os.sep, f".{os.sep}", f"..{os.sep}", "~")
_PATHS = (".", "..")


@dataclass(frozen=True)
class KernelSource:
    """A kernel that is known to exist somewhere; exactly one of `entry` and `files` is there.

    Attributes:
        spec: what the user called it.
        arch: what it is built for.
        entry: its entry in the catalogue.
        files: the user's own files.
        shown_parts: how many parts of a path, from its end, are its short name.
    """

    spec: str
    arch: Arch
    entry: Entry | None = None
    files: KernelFiles | None = None
    shown_parts: int = 1

    @property
    def id(self) -> str:
        """A short name for test identifiers: the spec, or the last parts of a path."""
        shown = Path(*Path(self.spec).parts[-self.shown_parts :])
        return self.spec if self.entry or not shown.name else str(shown).lstrip(os.sep)


def find_source(spec: str) -> KernelSource:
    """Return what a kernel spec means; nothing is downloaded, and only a file's head is read.

    Args:
        spec: a name of the catalogue ("6.1/i386"), the path of a bzImage, a vmlinux or a build
            tree, or "host" for this host's own kernel.

    Raises:
        DeclarationError: there is no such kernel, or the file is none.
    """
    if spec == HOST:
        files = host_files()
        return KernelSource(spec, files.arch, files=files)
    entry = None if looks_like_path(spec) else find_entry(spec)
    if entry:
        return KernelSource(spec, entry.arch, entry=entry)
    if looks_like_path(spec) or (spec and is_there(Path(spec))):
        files = read_files(Path(spec))
        return KernelSource(spec, files.arch, files=files)
    raise DeclarationError(f"no kernel is called {spec!r}", hint=_nearest(spec))


def tell_apart(sources: Sequence[KernelSource]) -> list[KernelSource]:
    """Return kernels with short names of their own, where paths end alike: a/bzImage, b/bzImage.

    Args:
        sources: in any order; the same spec may be there more than once, and keeps one name.
    """
    alike = Counter({source.spec: source.id for source in sources}.values())
    most = max((len(Path(source.spec).parts) for source in sources), default=1)
    if max(alike.values(), default=1) == 1 or max(s.shown_parts for s in sources) >= most:
        return list(sources)
    longer = [replace(s, shown_parts=s.shown_parts + (alike[s.id] > 1)) for s in sources]
    return tell_apart(longer)


def looks_like_path(spec: str) -> bool:
    """Whether a spec can only be a path: those of the catalogue have a slash inside, too."""
    return spec.startswith(_PATH_BEGINNINGS) or spec in _PATHS


def _nearest(spec: str) -> str:
    known = [entry.spec for entry in all_entries()]
    series, _, flavour = spec.partition("/")
    siblings = [name for name in known if name.startswith(f"{series}/")]
    said = nearest(spec if flavour or not siblings else "", siblings or known)
    return said or "see `trapgate kernels list`"

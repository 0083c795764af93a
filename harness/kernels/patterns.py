# SPDX-License-Identifier: Apache-2.0
"""Patterns over the catalogue: '5.*/i386*' is every kernel whose name is like that."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator

from harness.errors import DeclarationError
from harness.kernels.catalogue import all_entries
from harness.kernels.spec import looks_like_path

_WILD = frozenset("*?[")


def expand_specs(given: Iterable[str]) -> tuple[str, ...]:
    """Return specs with every pattern replaced by what it matches, each once.

    Args:
        given: specs and patterns ("*", "?", "[...]" as a shell has them); paths stay as they are.

    Raises:
        DeclarationError: a pattern matches no kernel of the catalogue.
    """
    return tuple(dict.fromkeys(spec for one in given for spec in _expand(one)))


def _expand(given: str) -> Iterator[str]:
    if not _WILD & set(given) or looks_like_path(given) or os.path.lexists(given):
        yield given
        return
    found = [e.spec for e in all_entries() if fnmatch.fnmatchcase(e.spec, given)]
    if not found:
        raise DeclarationError(
            f"no kernel of the catalogue is like {given!r}", hint="see `trapgate kernels list`"
        )
    yield from found

# SPDX-License-Identifier: Apache-2.0
"""What to say to somebody who has given a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable

_MANY = 12


def nearest(name: str, known: Iterable[str]) -> str:
    """Return one sentence with the names nearest to `name`, or with all where they are few.

    Args:
        name: what was given.
        known: every name that there is; may be empty.
    """
    import difflib  # noqa: PLC0415 - only for a name that is wrong

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if 0 < len(names) <= _MANY:
        return f"there are: {', '.join(names)}"
    return ""

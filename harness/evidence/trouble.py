# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with evidence: it makes no sense, or there is none. Neither blames a kernel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from harness.errors import HostError


class BadEvidence(HostError):
    """What came is cut short or contradicts itself, and nothing is concluded from it."""


class NotShown(HostError):
    """The kernel, or this host, does not show it."""


@contextlib.contextmanager
def refusal_unshown() -> Iterator[None]:
    """Turn a guest's refusal of a file into `NotShown`; a guest that is lost stays lost."""
    try:
        yield
    except HostError as error:
        if type(error) is not HostError:
            raise
        raise NotShown(error.message) from error

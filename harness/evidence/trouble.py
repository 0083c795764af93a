# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with evidence: it makes no sense, or there is none. Neither blames a kernel."""

from __future__ import annotations

from harness.errors import HostError


class BadEvidence(HostError):
    """What came is cut short or contradicts itself, and nothing is concluded from it."""


class NotShown(HostError):
    """The kernel, or this host, does not show it."""

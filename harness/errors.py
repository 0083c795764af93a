# SPDX-License-Identifier: Apache-2.0
"""The error tree and the kinds of outcome: three families that are never mixed up.

`DeclarationError`: our text or the user's is wrong, and nothing was started.
`HostError`: a tool, a download or a device of this host failed, which says nothing about a kernel.
`GuestError`: the kernel or a program in the guest misbehaved, which is a finding.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True)
class KindFacts:
    """What one kind of outcome is called elsewhere.

    Attributes:
        ktap: the result line's verdict, and its directive where there is one (KTAP version 1).
        junit: the element inside ``testcase``, empty for a pass.
        kcidb: the test status of KCIDB's schema 5.3.
        exit_status: what a command that asked one question ends with.
    """

    ktap: str
    junit: str
    kcidb: str
    exit_status: int


class OutcomeKind(enum.Enum):
    """How one question to one kernel ended."""

    PASS = KindFacts("ok", "", "PASS", 0)
    FAIL = KindFacts("not ok", "failure", "FAIL", 1)
    SPLAT = KindFacts("not ok # SPLAT", "failure", "FAIL", 1)
    PANIC = KindFacts("not ok # PANIC", "failure", "FAIL", 1)
    TIMEOUT = KindFacts("not ok # TIMEOUT", "failure", "FAIL", 1)
    LOST = KindFacts("not ok # ERROR lost", "error", "MISS", 2)
    INFRASTRUCTURE = KindFacts("not ok # ERROR", "error", "MISS", 2)
    SKIP = KindFacts("ok # SKIP", "skipped", "SKIP", 0)
    KNOWN = KindFacts("not ok # XFAIL", "skipped", "FAIL", 0)

    @property
    def word(self) -> str:
        """The kind as it stands in messages and reports."""
        return self.name.lower()


class TrapgateError(Exception):
    """The root of every error that the harness raises on purpose.

    Args:
        message: one sentence in lower case: the thing by name, what was expected, what came.
        hint: what to do about it, empty when there is nothing to say.
        evidence: lines that show it (a console's last lines, registers), empty when there are none.
    """

    kind = OutcomeKind.INFRASTRUCTURE

    def __init__(self, message: str, *, hint: str = "", evidence: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.evidence = evidence

    def __str__(self) -> str:
        """Return message, hint and evidence, each beginning a line of its own."""
        return "\n".join(part for part in (self.message, self.hint, self.evidence) if part)


class DeclarationError(TrapgateError):
    """What somebody wrote (a spec, a name, a file, an option) is wrong; nothing was started."""


class NotForHosts(DeclarationError):
    """What was asked is for guests only, and this was to be a real host; nothing was done."""


class HostError(TrapgateError):
    """A tool, download, disk or device of the host failed; no word about any kernel."""


class GuestLost(HostError):
    """The guest is gone or talks nonsense, and nothing shows that its kernel did it."""

    kind = OutcomeKind.LOST


class GuestError(TrapgateError):
    """The kernel or a program in the guest misbehaved: a finding, never retried away."""

    kind = OutcomeKind.FAIL


class GuestPanic(GuestError):
    """The kernel panicked or the processor gave up (triple fault)."""

    kind = OutcomeKind.PANIC


class GuestTimeout(GuestError):
    """The guest is there and says nothing, or a program in it did not end in time."""

    kind = OutcomeKind.TIMEOUT


class KernelSplat(GuestError):
    """The kernel logged a warning, a bug or an oops."""

    kind = OutcomeKind.SPLAT

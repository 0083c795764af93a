# SPDX-License-Identifier: Apache-2.0
"""From the outcomes of scenarios to what a kernel says of a claim."""

from __future__ import annotations

import enum
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DeclarationError, OutcomeKind

_KINDS = {kind.word: kind for kind in OutcomeKind}
_WRONG = {OutcomeKind.FAIL, OutcomeKind.SPLAT, OutcomeKind.PANIC, OutcomeKind.TIMEOUT}
_REFUTED = "x"


@dataclass(frozen=True)
class Result:
    """The outcome of one scenario about one claim on one kernel.

    Attributes:
        claim: the claim's number.
        kernel: the kernel's spec.
        kind: how it ended.
        refutes: whether a pass says that the claim does not hold.
    """

    claim: int
    kernel: str
    kind: OutcomeKind
    refutes: bool = False

    @property
    def says(self) -> bool | None:
        """Whether the claim holds; None when the kernel was not asked, or did not answer."""
        if self.kind is OutcomeKind.PASS:
            return not self.refutes
        return False if self.kind in _WRONG else None


class Stand(enum.Enum):
    """How a claim stands with a kernel."""

    HOLDS = "holds"
    DOES_NOT = "does not hold"
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Verdict:
    """What a kernel says of a claim.

    Attributes:
        stand: that, in a word.
        agreeing: how many scenarios say that it holds.
        asked: how many say anything.
    """

    stand: Stand
    agreeing: int = 0
    asked: int = 0

    def __str__(self) -> str:
        """Return the word and the numbers of scenarios."""
        word = str(self.stand.value)
        if self.stand is Stand.NOT_ASKED:
            return word
        unanimous = self.agreeing in (0, self.asked)
        return f"{word} ({self.asked if unanimous else f'{self.agreeing} of {self.asked}'})"


def judge(results: Iterable[Result], claim: int, kernel: str) -> Verdict:
    """Return what a kernel says of a claim: one scenario against it is enough."""
    said = [r.says for r in results if (r.claim, r.kernel) == (claim, kernel)]
    answers = [one for one in said if one is not None]
    if not answers:
        return Verdict(Stand.NOT_ASKED)
    stand = Stand.HOLDS if all(answers) else Stand.DOES_NOT
    return Verdict(stand, sum(answers), len(answers))


def read_results(path: Path) -> list[Result]:
    """Read the outcomes of an earlier run, as `pytest --junitxml` writes them.

    Raises:
        DeclarationError: the file is none of those.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - written by ourselves
    except (OSError, ET.ParseError) as error:
        raise DeclarationError(f"{path}: no report of `pytest --junitxml`: {error}") from error
    return [result for case in root.iter("testcase") for result in _results(case)]


def _results(case: ET.Element) -> Iterator[Result]:
    pairs = [(p.get("name", ""), p.get("value", "")) for p in case.iter("property")]
    named = dict(pairs)
    kind, kernel = _KINDS.get(named.get("outcome", "")), named.get("kernel")
    if not kind or not kernel:
        return
    for claim in dict.fromkeys(value for name, value in pairs if name == "claim"):
        number = int(claim.removesuffix(_REFUTED))
        yield Result(number, kernel, kind, refutes=claim.endswith(_REFUTED))

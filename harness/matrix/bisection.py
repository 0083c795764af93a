# SPDX-License-Identifier: Apache-2.0
"""Between which two kernels of a row an answer changes, with as few of them asked as can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import DeclarationError, HostError
from harness.kernels import find_source
from harness.kernels.catalogue import all_entries
from harness.matrix.verdict import Judgement, Verdict

Ask = Callable[[str], Judgement]


@dataclass(frozen=True)
class Change:
    """Where an answer changes.

    Attributes:
        last_good: the last kernel whose answer is right.
        first_bad: the first whose answer is wrong.
        unknown: those between them that could not tell; may be empty.
    """

    last_good: str
    first_bad: str
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as a sentence."""
        said = f"{self.first_bad} is the first bad one, {self.last_good} the last good one"
        return f"{said}; not known: {', '.join(self.unknown)}" if self.unknown else said


def row_between(good: str, bad: str) -> list[str]:
    """Return the catalogue's kernels of one build from `good` to `bad`, both included.

    The bad one may be the older: then it is asked since when the answer is right.

    Raises:
        DeclarationError: one is not in the catalogue, or they are not two of the same build.
    """
    for spec in (good, bad):
        if not find_source(spec).entry:
            raise DeclarationError(
                f"kernel {spec} is not packaged, so there is none between it and another",
                hint="for a source tree, `git bisect run trapgate bisect-step`",
            )
    build, other = (spec.partition("/")[2] for spec in (good, bad))
    if build != other or good == bad:
        raise DeclarationError(f"expected two kernels of one build, got {good} and {bad}")
    row = [entry.spec for entry in all_entries() if entry.spec.partition("/")[2] == build]
    first, last = sorted((row.index(good), row.index(bad)))
    found = row[first : last + 1]
    return found if found[0] == good else found[::-1]


def find_change(row: Sequence[str], ask: Ask) -> Change:
    """Find where the answer changes; the ends are asked first.

    Args:
        row: kernels, the good one first and the bad one last.
        ask: puts the question to one of them.

    Raises:
        DeclarationError: the good one is not good, or the bad one is not bad.
        HostError: one of them cannot tell.
    """
    _expect(row[0], ask(row[0]), Verdict.GOOD)
    _expect(row[-1], ask(row[-1]), Verdict.BAD)
    good, bad, unknown = 0, len(row) - 1, set[int]()
    while left := [n for n in range(good + 1, bad) if n not in unknown]:
        middle = min(left, key=lambda n: abs(2 * n - good - bad))
        verdict = ask(row[middle]).verdict
        if verdict is Verdict.UNKNOWN:
            unknown.add(middle)
        elif verdict is Verdict.GOOD:
            good = middle
        else:
            bad = middle
    return Change(row[good], row[bad], tuple(row[good + 1 : bad]))


def _expect(spec: str, judgement: Judgement, verdict: Verdict) -> None:
    if judgement.verdict is Verdict.UNKNOWN:
        raise HostError(f"{spec} {judgement}")
    if judgement.verdict is not verdict:
        expected = verdict.name.lower()
        raise DeclarationError(f"{spec} was said to be {expected}, and is {judgement}")

# SPDX-License-Identifier: Apache-2.0
"""Changes in the light of earlier runs: a kernel that answers now so and now so has not changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from harness.errors import HostError, OutcomeKind
from harness.record.compare import Change, Comparison, Difference, in_order
from harness.record.history import ANSWERS, History, key_of
from harness.record.result import Result
from harness.record.table import Counts, in_words

_DOUBTED = (
    *(Difference.WORSE, Difference.NEW_FAILURE, Difference.BETTER),
    *(Difference.OURS, Difference.FLAKE),
)
_STEADY = 3
"""So many equal answers, and no other one, are no chance."""


def with_history(found: Comparison) -> Comparison:
    """Return a comparison in which what earlier runs show to be flaky is called so.

    It is where the earlier kernel has answered, some time, as the later one does now, or the later
    one as the earlier one does; unless the later one has answered so again and again.
    """
    doubted = [change for change in found.changes if change.difference in _DOUBTED]
    answered = [end for change in doubted for end in _ends(change)]
    known: dict[int, Counts] = {}
    with suppress(HostError):  # without an index there is no history
        known = History().recall(answered) if answered else {}
    return replace(found, changes=in_order(_judged(change, known) for change in found.changes))


def _judged(change: Change, known: Mapping[int, Counts]) -> Change:
    if change.difference not in _DOUBTED:
        return change
    answers = {key_of(end): _answers(end, known) for end in _ends(change)}
    if change.difference is not Difference.FLAKE and not _is_flaky(list(answers.values())):
        return change
    said = {end.configuration.version: answers[key_of(end)] for end in _ends(change)}
    words = "; ".join(f"{version}: {in_words(counts)}" for version, counts in said.items())
    return replace(change, difference=Difference.FLAKE, known=words)


def _is_flaky(answers: Sequence[Counts]) -> bool:
    """Tell whether answers of two kernels, or of one that should be right, have some in common."""
    *was, now = answers
    usual = was[0] if was else {OutcomeKind.PASS}
    steady = len(now) == 1 and now.total() >= _STEADY
    return not steady and not set(now).isdisjoint(usual)


def _ends(change: Change) -> list[Result]:
    """Return those of its results that are answers; the last one is the later run's."""
    return [end for end in (change.before, change.after) if end and end.kind in ANSWERS]


def _answers(result: Result, known: Mapping[int, Counts]) -> Counts:
    """Return how often a result's kernel has answered how, this time included."""
    return known.get(key_of(result), Counter()) | Counter({result.kind: 1})

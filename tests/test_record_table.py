# SPDX-License-Identifier: Apache-2.0
"""Results counted by group and kernel."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from records import OLD, result

from harness.errors import OutcomeKind
from harness.record.table import in_words, tabulate

PASS, FAIL = OutcomeKind.PASS, OutcomeKind.FAIL


def test_columns_are_what_was_chosen_in_the_order_of_versions() -> None:
    names = ("7.2/x86_64", "6.12/x86_64", "bzImage", "6.1/x86_64", "6.1/i386")
    kernels = [replace(OLD, id=name) for name in names]
    varied = replace(OLD, id="6.1/i386-EPYC", base="6.1/i386")
    table = tabulate(result("test_a", PASS, one) for one in (*kernels, varied))
    assert table.columns == ("6.1/i386", "6.1/x86_64", "6.12/x86_64", "7.2/x86_64", "bzImage")
    assert table.cell("pointers", "6.1/i386") == {PASS: 2}
    assert table.cell("signals", "6.1/i386") == {}


def test_counts_in_words_begin_with_the_worst() -> None:
    assert (
        in_words(Counter({PASS: 31, OutcomeKind.PANIC: 1, FAIL: 2})) == "1 panic, 2 fail, 31 pass"
    )

# SPDX-License-Identifier: Apache-2.0
"""Patterns over the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DeclarationError
from harness.kernels.catalogue import all_entries
from harness.kernels.patterns import expand_specs


def test_a_pattern_is_every_kernel_like_it_in_the_catalogues_order() -> None:
    assert expand_specs(["5.*/i386*"]) == ("5.10/i386", "5.10/i386-pae", "5.10/i386-rt")
    assert expand_specs(["*"]) == tuple(entry.spec for entry in all_entries())


def test_what_is_no_pattern_stays_and_everything_comes_once() -> None:
    given = ["6.1/i386", "no/such", "6.1/i386*", "6.1/i386"]
    assert expand_specs(given) == ("6.1/i386", "no/such", "6.1/i386-pae", "6.1/i386-rt")


def test_a_path_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bz[1]").touch()
    monkeypatch.chdir(tmp_path)
    assert expand_specs(["bz[1]", "./b*"]) == ("bz[1]", "./b*")


def test_a_pattern_that_matches_nothing_is_said() -> None:
    with pytest.raises(DeclarationError, match=r"no kernel of the catalogue is like '4\.\*'"):
        expand_specs(["6.1/i386", "4.*"])

# SPDX-License-Identifier: Apache-2.0
"""Lists of processor models."""

from __future__ import annotations

import pytest

from harness.errors import DeclarationError
from harness.machine.models import read_all_models, read_models


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("Nehalem", ("Nehalem",)),
        ("Nehalem,EPYC,qemu32-nosep", ("Nehalem", "EPYC", "qemu32,-sep")),
        ("qemu32,-sep,EPYC", ("qemu32,-sep", "EPYC")),
        ("max-nosmap-nosmep+avx", ("max,-smap,-smep,+avx",)),
        ("Haswell-noTSX,Skylake-Client-noTSX-IBRS", ("Haswell-noTSX", "Skylake-Client-noTSX-IBRS")),
        ("host,migratable=no", ("host,migratable=no",)),
    ],
)
def test_a_list_is_read(text: str, models: tuple[str, ...]) -> None:
    assert read_models(text) == models


def test_several_lists_are_one_without_repetition() -> None:
    assert read_all_models(["EPYC,Nehalem", "Nehalem,max"]) == ("EPYC", "Nehalem", "max")


@pytest.mark.parametrize("text", ["", "-sep,qemu32", "+smap", "Nehalem,,EPYC", "Nehalem,"])
def test_a_missing_model_is_said(text: str) -> None:
    with pytest.raises(DeclarationError, match="expected a model"):
        read_models(text)

# SPDX-License-Identifier: Apache-2.0
"""Lists of processor models, in QEMU's spelling and in one that has no commas inside."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.errors import DeclarationError

_NO = "-no"


def read_models(text: str) -> tuple[str, ...]:
    """Return each model of a list as QEMU spells it.

    QEMU's own names have capitals behind "-no" (Haswell-noTSX), so a small letter there begins a
    feature. Source: target/i386/cpu.c builtin_x86_defs (QEMU 7.2).

    Args:
        text: models with commas between them. A feature that is taken away or added stands behind
            its model, "qemu32-nosep" and "Nehalem+smap", or as QEMU has it, "qemu32,-sep".

    Raises:
        DeclarationError: a model is missing where one is expected.
    """
    models: list[str] = []
    for part in text.split(","):
        if part.startswith(("+", "-")) or "=" in part:
            if not models:
                raise DeclarationError(f"processors {text!r}: expected a model before {part!r}")
            models[-1] += f",{part}"
        else:
            models.append(_in_qemus_words(part, text))
    return tuple(models)


def read_all_models(given: Iterable[str]) -> tuple[str, ...]:
    """Return the models of several lists, each once; see `read_models`."""
    return tuple(dict.fromkeys(model for text in given for model in read_models(text)))


def _in_qemus_words(part: str, text: str) -> str:
    name, *features = re.split(r"(?=-no[a-z])|(?=\+)", part)
    if not name:
        raise DeclarationError(f"processors {text!r}: expected a model's name, got {part!r}")
    changes = (f"-{f.removeprefix(_NO)}" if f.startswith(_NO) else f for f in features)
    return ",".join((name, *changes))

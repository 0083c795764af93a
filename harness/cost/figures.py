# SPDX-License-Identifier: Apache-2.0
"""Figures as data, and as a file: the same guest gives the same file, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import DeclarationError

_FORMAT = "trapgate cost"
_VERSION = 1


class Unit(StrEnum):
    """What is counted."""

    INSTRUCTIONS = "instructions"
    CYCLES = "cycles"


@dataclass(frozen=True)
class Cost:
    """What one call costs.

    Attributes:
        subject: the call; a name in `subjects`.
        abi: the calling program's.
        path: the entry path, or "vdso".
        value: of instructions the fewest, which is what an undisturbed call takes; of cycles the
            median over many batches.
        low: where the lowest quarter of batches ends; `value` for instructions.
        high: where the highest quarter begins; `value` for instructions.
    """

    subject: str
    abi: str
    path: str
    value: float
    low: float
    high: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is a cost of."""
        return self.subject, self.abi, self.path


@dataclass(frozen=True)
class Figures:
    """The costs of one kernel on one processor.

    Attributes:
        kernel: what the user called it.
        release: what `uname -r` says, with the whole version where the release leaves it out.
        arch: what it was built for.
        sha256: the hash of its image, empty where there is none.
        cpu: the processor's model.
        emulator: what executed it, with its version.
        unit: what was counted.
        mitigations: what the kernel says of the processor's weaknesses, by their names.
        costs: in the order of the subjects.
    """

    kernel: str
    release: str
    arch: str
    sha256: str
    cpu: str
    emulator: str
    unit: Unit
    mitigations: dict[str, str]
    costs: tuple[Cost, ...]

    @property
    def name(self) -> str:
        """Kernel and processor."""
        return f"{self.kernel} on {self.cpu}"

    def find(self, subject: str, abi: str, path: str) -> Cost | None:
        """Return one cost, None where it was not measured."""
        return next((c for c in self.costs if c.key == (subject, abi, path)), None)


def unit_of(all_figures: Sequence[Figures]) -> Unit:
    """Return what all of them count; there is at least one.

    Raises:
        DeclarationError: they count different things.
    """
    units = sorted({figures.unit for figures in all_figures})
    if len(units) > 1:
        raise DeclarationError(f"the files count different things: {' and '.join(units)}")
    return units[0]


def to_json(figures: Sequence[Figures]) -> str:
    """Return a file's text."""
    data = {"format": _FORMAT, "version": _VERSION, "figures": [asdict(f) for f in figures]}
    return json.dumps(data, indent=1) + "\n"


def read_figures(path: Path) -> list[Figures]:
    """Read a file that `to_json` wrote; it holds at least one kernel's figures.

    Raises:
        DeclarationError: there is none, or it is something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DeclarationError(f"{path}: not a file of `trapgate cost --json`: {error}") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise DeclarationError(f"{path}: not a file of `trapgate cost --json`")
    if data.get("version") != _VERSION:
        said = f"{path}: expected version {_VERSION} of its format, got {data.get('version')!r}"
        raise DeclarationError(said, hint="measure again")
    try:
        figures = [_figures(row) for row in data["figures"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeclarationError(f"{path}: damaged figures: {error!r}") from error
    if not figures:
        raise DeclarationError(f"{path} holds no kernel's figures")
    return figures


def _figures(row: dict[str, Any]) -> Figures:
    costs = tuple(_cost(cost) for cost in row["costs"])
    mitigations = {str(name): str(says) for name, says in row["mitigations"].items()}
    figures = Figures(
        **{**row, "unit": Unit(row["unit"]), "mitigations": mitigations, "costs": costs}
    )
    texts = (figures.kernel, figures.release, figures.arch, figures.cpu, figures.emulator)
    if not all(isinstance(text, str) for text in (*texts, figures.sha256)):
        raise ValueError("a kernel's identity is no text")
    return figures


def _cost(row: dict[str, Any]) -> Cost:
    cost = Cost(**row)
    if not all(isinstance(text, str) for text in cost.key):
        raise ValueError(f"{cost.key} is no name of a cost")
    if not all(type(number) in (int, float) for number in (cost.value, cost.low, cost.high)):
        raise ValueError(f"{cost.key} is no number")
    return cost

# SPDX-License-Identifier: Apache-2.0
"""The claims of the textbooks, one record each, from `scenarios/claims.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DeclarationError
from harness.places import data_dir
from harness.toml import read_toml

FILE = "claims.toml"


@dataclass(frozen=True)
class Claim:
    """One thing that textbooks say of the boundary.

    Attributes:
        number: what scenarios call it by, in the mark `claim`.
        section: the part of the boundary that it is about.
        text: it, in a sentence.
        sources: the letters of the texts that say so.
        unseen: why no program can see whether it is so; empty when one can.
        open: what evidence is still to come; empty when none is.
        outdated: since which version it is no longer so, in a sentence; empty when it still is.
    """

    number: int
    section: str
    text: str
    sources: str
    unseen: str = ""
    open: str = ""
    outdated: str = ""

    @property
    def reason(self) -> str:
        """Why no scenario decides it, empty when one should."""
        return self.unseen or self.open


@dataclass(frozen=True)
class Claims:
    """All of them.

    Attributes:
        texts: the title of each text, by its letter.
        claims: in the order of their numbers.
    """

    texts: dict[str, str]
    claims: tuple[Claim, ...]


def read_claims(path: Path | None = None) -> Claims:
    """Read the claims.

    Args:
        path: a file of them; the project's own by default.

    Raises:
        DeclarationError: the file is not what it should be.
    """
    found = path or data_dir("scenarios") / FILE
    try:
        return _read(read_toml(found))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeclarationError(f"{found}: no table of claims: {error!r}") from error


def _read(table: dict[str, Any]) -> Claims:
    claims = tuple(Claim(**row) for row in table["claim"])
    numbers = [claim.number for claim in claims]
    if numbers != list(range(1, len(claims) + 1)):
        raise DeclarationError(f"claims are numbered from 1 on without a gap, got {numbers}")
    return Claims(table["texts"], claims)

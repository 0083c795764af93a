# SPDX-License-Identifier: Apache-2.0
"""How many boot states are kept: those used last, within a limit on disk."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import HostError
from harness.machine.state import NOTE, discard, states_dir
from harness.places import state_dir

DEFAULT_LIMIT_BYTES = 4 << 30
_BLOCK_BYTES = 512


@dataclass(frozen=True)
class Kept:
    """One state on disk.

    Attributes:
        folder: where it lies.
        kernel: the spec that it was made for, empty where its note does not say.
        accelerator: the one that it was made under.
        size_bytes: what it takes on disk; holes take nothing.
        used: when it was last cloned.
    """

    folder: Path
    kernel: str
    accelerator: str
    size_bytes: int
    used: datetime

    @property
    def key(self) -> str:
        """Its name."""
        return self.folder.name


def kept_states() -> list[Kept]:
    """Return every state, the one used last first."""
    folders = [f for f in states_dir().glob("[!.]*") if f.is_dir()]
    return sorted(map(_look_at, folders), key=lambda kept: kept.used, reverse=True)


def enforce_limit() -> int:
    """Remove what was not used for longest until the rest is within the limit; return how many."""
    left, removed = read_limit(), 0
    for kept in kept_states():
        left -= kept.size_bytes
        if left < 0:
            discard(kept.folder)
            removed += 1
    return removed


def clear_states() -> int:
    """Remove every state, and return how many there were."""
    states = kept_states()
    for kept in states:
        discard(kept.folder)
    return len(states)


def read_limit() -> int:
    """Return how many bytes of states may be kept."""
    with contextlib.suppress(OSError, ValueError):
        return int(_limit_file().read_text(encoding="utf-8"))
    return DEFAULT_LIMIT_BYTES


def write_limit(size_bytes: int) -> None:
    """Remember how many bytes of states may be kept.

    Raises:
        HostError: the state folder cannot be written.
    """
    try:
        _limit_file().parent.mkdir(parents=True, exist_ok=True)
        _limit_file().write_text(f"{size_bytes}\n", encoding="utf-8")
    except OSError as error:
        raise HostError(f"the limit cannot be kept: {error}") from error


def _limit_file() -> Path:
    return state_dir() / "states.limit"


def _look_at(folder: Path) -> Kept:
    guest: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError, KeyError):
        guest = json.loads((folder / NOTE).read_text(encoding="utf-8"))["guest"]
    blocks = 0
    used = 0.0
    with contextlib.suppress(OSError):
        used = folder.stat().st_mtime
        blocks = sum(file.stat().st_blocks for file in folder.iterdir())
    return Kept(
        folder,
        guest.get("kernel", ""),
        guest.get("accelerator", ""),
        blocks * _BLOCK_BYTES,
        datetime.fromtimestamp(used, UTC),
    )

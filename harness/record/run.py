# SPDX-License-Identifier: Apache-2.0
"""Which run a record is of: when, on what host, by which harness."""

from __future__ import annotations

import enum
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from harness.machine.emulator import find_qemu_version
from harness.release import own_version

FORMAT = 1
"""Of the record as a whole; another number means another meaning."""
FACTS, RESULTS = "run.json", "results.jsonl"


class State(enum.Enum):
    """How far a run has come."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class RunFacts:
    """What is true of a whole run.

    Attributes:
        started: when, in UTC (ISO 8601).
        trapgate: the harness's version.
        qemu: QEMU's version, empty where there is none.
        host: the release of this host's kernel.
        machine: the host's architecture.
        python: the interpreter's version.
        argv: the command line.
        state: how far it has come; one that is running may have been killed.
        ended: when it ended, empty while it is running.
    """

    started: str
    trapgate: str
    qemu: str
    host: str
    machine: str
    python: str
    argv: tuple[str, ...] = ()
    state: State = State.RUNNING
    ended: str = ""

    def closed(self, state: State) -> RunFacts:
        """Return the facts of the same run at its end, which is now."""
        return replace(self, state=state, ended=_now())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"format": FORMAT} | asdict(self) | {"state": self.state.value}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> RunFacts:
        """Read it again.

        Raises:
            ValueError: something is missing, or unknown.
        """
        named = {name: value for name, value in plain.items() if name != "format"}
        try:
            named["state"] = State(named["state"])
            named["argv"] = tuple(named["argv"])
            return cls(**named)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no facts of a run: {error!r}") from error


def this_run(argv: Sequence[str] = ()) -> RunFacts:
    """Return the facts of a run that begins now, on this host.

    Args:
        argv: the command line.
    """
    return RunFacts(
        started=_now(),
        trapgate=own_version(),
        qemu=find_qemu_version(),
        host=platform.release(),
        machine=platform.machine(),
        python=platform.python_version(),
        argv=tuple(argv),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

# SPDX-License-Identifier: Apache-2.0
"""One question to one kernel, and how it ended."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

from harness.errors import OutcomeKind

KINDS = {kind.word: kind for kind in OutcomeKind}


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who was asked; what is not known is empty.

    Attributes:
        id: a short name, as it stands in tests' identifiers.
        spec: what the user called the kernel.
        arch: what it was built for.
        release: what `uname -r` says in it.
        version: its upstream version.
        image: the SHA-256 of its image.
        config: the SHA-256 of its build configuration.
        package: name and version of the package that it came in.
        cpu: the processor model as QEMU spells it.
        accelerator: "tcg" or "kvm".
        qemu: QEMU's version.
        append: kernel parameters that somebody added.
        base: the short name of what the user chose, where a scenario has changed the machine.
    """

    id: str
    spec: str
    arch: str
    release: str = ""
    version: str = ""
    image: str = ""
    config: str = ""
    package: str = ""
    cpu: str = ""
    accelerator: str = ""
    qemu: str = ""
    append: str = ""
    base: str = ""

    @property
    def chosen(self) -> str:
        """The short name of what the user chose, whatever a scenario has changed about it."""
        return self.base or self.id

    @property
    def kernel(self) -> str:
        """What tells this kernel from another one, whatever it is called."""
        return f"{self.image}-{self.config}" if self.image else f"{self.release}-{self.version}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows why it ended so; all of it is text, and empty where there is none.

    Attributes:
        message: it in a line; for a skip the reason.
        expected: what the scenario wanted to see.
        got: what it saw.
        call: the last call, in a line.
        registers: what that call changed, a register a line.
        asked: the last statements that the guest was given, as a script has them.
        failure: the scenario's lines, as pytest shows them.
        console: the console's last lines, or the registers of a silent guest.
        log: what the kernel has logged meanwhile.
        reproduce: the command that asks again.
        raised: the name of the Python error that a scenario ended in, where that says no wrong
            answer was seen.
    """

    message: str = ""
    expected: str = ""
    got: str = ""
    call: str = ""
    registers: str = ""
    asked: str = ""
    failure: str = ""
    console: str = ""
    log: str = ""
    reproduce: str = ""
    raised: str = ""


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Result:
    """How one test ended.

    Attributes:
        test: pytest's identifier.
        configuration: who was asked.
        kind: how it ended.
        duration_s: how long the asking took, without what prepares a guest.
        entry: the entry path's name, empty where a test goes through none.
        inputs: what tells these inputs (scenario, harness, machine; not the kernel) from others.
        evidence: what shows it.
    """

    test: str
    configuration: Configuration
    kind: OutcomeKind
    duration_s: float = 0.0
    entry: str = ""
    inputs: str = ""
    evidence: Evidence = field(default=NO_EVIDENCE)

    @property
    def group(self) -> str:
        """The part of the boundary that was asked about: "pointers" of test_pointers.py."""
        return group_of(self.test.partition("::")[0])

    @property
    def question(self) -> str:
        """The same for every configuration: file, function, and the other parameters."""
        path, _, rest = self.test.partition("::")
        name, bracket, parameters = rest.partition("[")
        if bracket:
            others = parameters.removesuffix("]").removeprefix(self.configuration.id).lstrip("-")
            name += f"[{others}]" if others else ""
        return f"{PurePosixPath(path).name}::{name}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; what is empty is left out."""
        plain: dict[str, Any] = {
            "test": self.test,
            "outcome": self.kind.word,
            "duration_s": round(self.duration_s, 6),
            "entry": self.entry,
            "inputs": self.inputs,
            "configuration": as_json(self.configuration),
            "evidence": as_json(self.evidence),
        }
        return {name: value for name, value in plain.items() if value not in ("", {})}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Result:
        """Read it again.

        Raises:
            ValueError: something in it is missing, unknown, or of another type.
        """
        try:
            return cls(
                test=_text(plain["test"]),
                configuration=_configuration(tuple(plain["configuration"].items())),
                kind=KINDS[plain["outcome"]],
                duration_s=float(plain["duration_s"]),
                entry=_text(plain.get("entry", "")),
                inputs=_text(plain.get("inputs", "")),
                evidence=_evidence(plain.get("evidence")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no result: {error!r}") from error


def as_json(record: Configuration | Evidence) -> dict[str, str]:
    """Return what it holds by its names; what is empty is left out."""
    named = {one.name: getattr(record, one.name) for one in fields(record)}
    return {name: value for name, value in named.items() if value}


@functools.cache
def group_of(path: str) -> str:
    """Return the name of the group whose questions stand in a file."""
    return PurePosixPath(path).stem.removeprefix("test_")


@functools.lru_cache(maxsize=1024)
def _configuration(items: tuple[tuple[str, str], ...]) -> Configuration:
    return Configuration(**{name: _text(value) for name, value in items})


def _evidence(plain: Mapping[str, str] | None) -> Evidence:
    if not plain:
        return NO_EVIDENCE
    return Evidence(**{name: _text(value) for name, value in plain.items()})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {value!r}")
    return value

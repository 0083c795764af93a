# SPDX-License-Identifier: Apache-2.0
"""A deterministic run as a file: what went in, every event that QEMU noted, what came out."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from harness.errors import DeclarationError, HostError
from harness.kernels.catalogue import find_entry
from harness.kernels.kernel import Kernel
from harness.machine.emulator import find_qemu_version
from harness.machine.plan import MachinePlan
from harness.release import own_version
from harness.repro.archive import Layout, is_archive, read_archive, write_archive
from harness.repro.bundle import describe_kernel, texts
from harness.repro.result import Result
from harness.script.notation import printable
from harness.script.reading import parse_script
from harness.script.statements import Script
from harness.script.writing import write_script

FORMAT = 2
_READ = (1, FORMAT)
SUFFIX = ".recording"
_FACTS, _SCRIPT = "recording.json", "program.trap"
_FILES = ("initramfs", "requests", "events", "answers")
_MIB = 1 << 20
LAYOUT = Layout(
    "recording",
    (_FACTS, _SCRIPT, *_FILES),
    {
        _FACTS: 8 * _MIB,
        _SCRIPT: 8 * _MIB,
        "initramfs": 16 * _MIB,
        "requests": 64 * _MIB,
        "events": 512 * _MIB,
        "answers": 64 * _MIB,
    },
)
_MOST_MEMORY_MIB = 4096


@dataclass(frozen=True)
class Facts:
    """What a recording says of itself; all of it is text that somebody else has written.

    Attributes:
        kernel: spec, arch, version, release and hash, and its package where it has one.
        cpu: the processor model.
        memory_mib: the guest's memory.
        command_line: the kernel's parameters.
        versions: of trapgate, QEMU and Python.
        outcome: the kind's word.
        message: what was said of it.
        answers: what each statement answered.
        instructions: how many the machine executed, from its start to its reset.
        sha256: of each other file.
        format: 1 of recordings from before they could be gone back in from anywhere.
    """

    kernel: Mapping[str, str]
    cpu: str
    memory_mib: int
    command_line: tuple[str, ...]
    versions: Mapping[str, str]
    outcome: str
    message: str
    answers: tuple[str, ...]
    instructions: int
    sha256: Mapping[str, str]
    format: int = FORMAT

    @property
    def saveable(self) -> bool:
        """Whether states of the machine can be loaded while it is played."""
        return self.format > 1

    @classmethod
    def parse(cls, text: bytes, name: str) -> Self:
        """Read what a recording says of itself.

        Raises:
            DeclarationError: it is damaged, or of another format.
        """
        try:
            said = json.loads(text)
            if said["format"] not in _READ:
                raise DeclarationError(f"{name} has another format than {FORMAT}")
            return cls(**{key: _PARSERS[key](value) for key, value in said.items()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DeclarationError(f"{name} is damaged: {error}") from error


def _lines(said: Any) -> tuple[str, ...]:
    return tuple(map(printable, said))


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("kernel", "versions", "sha256"), texts),
    **dict.fromkeys(("cpu", "outcome", "message"), printable),
    **dict.fromkeys(("command_line", "answers"), _lines),
    **dict.fromkeys(("memory_mib", "instructions", "format"), int),
}


@dataclass(frozen=True)
class Recording:
    """A recording.

    Attributes:
        facts: what it says of itself.
        script: what was carried out.
        files: by name: what the guest began with ("initramfs") and was asked ("requests"), what
            happened to the machine ("events"), and what the guest answered ("answers").
    """

    facts: Facts
    script: Script
    files: Mapping[str, bytes]


def make_facts(
    kernel: Kernel, plan: MachinePlan, result: Result, instructions: int, files: Mapping[str, bytes]
) -> Facts:
    """Return what a recording says of itself.

    Args:
        kernel: what was booted.
        plan: in which machine.
        result: what came of the script.
        instructions: how many the machine executed.
        files: the recording's own.
    """
    return Facts(
        kernel=describe_kernel(kernel),
        cpu=plan.cpu,
        memory_mib=plan.memory_mib,
        command_line=plan.command_line,
        versions={
            "trapgate": own_version(),
            "qemu": find_qemu_version(),
            "python": platform.python_version(),
        },
        outcome=result.kind.word,
        message=result.message,
        answers=result.answers,
        instructions=instructions,
        sha256=_hashes(files),
    )


def write_recording(path: Path, recording: Recording) -> None:
    """Write a recording, whole or not at all.

    Raises:
        HostError: it cannot be written, or is larger than one that would be read.
    """
    for name, content in recording.files.items():
        if len(content) > LAYOUT.limits[name]:
            said = f"{name} of {len(content)} bytes, and at most {LAYOUT.limits[name]} are kept"
            raise HostError(f"the recording has {said}")
    facts = json.dumps(asdict(recording.facts), indent=2)
    script = write_script(recording.script)
    write_archive(path, {_FACTS: facts.encode(), _SCRIPT: script.encode(), **recording.files})


def read_recording(path: Path) -> Recording:
    """Open a recording, which need not be well-meant.

    Raises:
        DeclarationError: it is none, or it is damaged.
    """
    if not is_archive(path):
        raise DeclarationError(f"{path} is no recording", hint="`trapgate record` makes one")
    members = read_archive(path, LAYOUT)
    name = f"recording {path}"
    facts = Facts.parse(members[_FACTS], name)
    files = {each: members[each] for each in _FILES}
    for each, sha256 in _hashes(files).items():
        if facts.sha256.get(each) != sha256:
            said = f"expected {each} with sha256 {facts.sha256.get(each)}, got {sha256}"
            raise DeclarationError(f"{name} is damaged: {said}")
    if not 0 < facts.memory_mib <= _MOST_MEMORY_MIB:
        raise DeclarationError(f"{name} wants a guest of {facts.memory_mib} MiB")
    try:
        script = parse_script(members[_SCRIPT].decode(), f"{name}:{_SCRIPT}")
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{name}:{_SCRIPT} is no text: {error}") from error
    return Recording(facts, script, files)


def packaged_spec(facts: Facts) -> str:
    """Return the spec of the kernel that was recorded; what somebody else calls a path is none.

    Raises:
        DeclarationError: it is in no catalogue.
    """
    spec = facts.kernel.get("spec", "")
    if not find_entry(spec):
        raise DeclarationError(
            f"the recording is of {spec} ({facts.kernel.get('release')}), not in the catalogue",
            hint=f"give that kernel with --kernel; its sha256 is {facts.kernel.get('sha256')}",
        )
    return spec


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}

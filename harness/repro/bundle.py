# SPDX-License-Identifier: Apache-2.0
"""What another person needs to see the same: a program, its machine and kernel, what came of it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from harness.agent.identity import Identity
from harness.errors import DeclarationError
from harness.kernels.kernel import Kernel
from harness.machine.plan import own_parameters
from harness.release import own_version
from harness.repro.archive import Members
from harness.repro.result import Result
from harness.script.notation import printable
from harness.script.reading import parse_script
from harness.script.statements import Script
from harness.script.writing import write_script

FORMAT = 1
_MOST_MEMORY_MIB = 4096


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself; all of it is text that somebody else has written.

    Attributes:
        kernel: spec, arch, version, release and hash, and its package where it has one.
        machine: accelerator, processor, memory and the kernel's command line.
        versions: of trapgate, QEMU and Python.
        outcome: the kind's word.
        message: what was said of it.
        answers: what each statement answered.
    """

    kernel: Mapping[str, str]
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    outcome: str
    message: str
    answers: tuple[str, ...]

    @classmethod
    def parse(cls, text: bytes, name: str) -> Self:
        """Read a manifest.

        Raises:
            DeclarationError: it is none.
        """
        try:
            said = json.loads(text)
            if said.pop("format") != FORMAT:
                raise DeclarationError(f"{name} has another format than {FORMAT}")
            return cls(
                kernel=texts(said["kernel"]),
                machine=texts(said["machine"]),
                versions=texts(said["versions"]),
                outcome=printable(said["outcome"]),
                message=printable(said["message"]),
                answers=tuple(map(printable, said["answers"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DeclarationError(f"{name} has a damaged manifest: {error}") from error


@dataclass(frozen=True)
class Bundle:
    """A bundle that was opened.

    Attributes:
        manifest: what it says of itself.
        script: the program.
    """

    manifest: Manifest
    script: Script


def make_bundle(script: Script, kernel: Kernel, identity: Identity, result: Result) -> Members:
    """Return a bundle's files, the kernel's image not among them.

    Args:
        script: the program, with the header that it was run with.
        kernel: what it was run on; of a user's own only the file's name is told.
        identity: in what.
        result: what came of it.
    """
    header = replace(script.header, kernel=kernel.spec if kernel.provenance else "")
    manifest = Manifest(
        kernel=describe_kernel(kernel),
        machine={
            "accelerator": identity.accelerator,
            "cpu": identity.cpu,
            "memory_mib": str(header.memory_mib or "usual"),
            "command_line": " ".join((*own_parameters(identity.accelerator), *header.append)),
        },
        versions={
            "trapgate": own_version(),
            "qemu": ".".join(map(str, identity.qemu)),
            "python": platform.python_version(),
        },
        outcome=result.kind.word,
        message=result.message,
        answers=result.answers,
    )
    return {
        "bundle.json": json.dumps({"format": FORMAT, **asdict(manifest)}, indent=2).encode(),
        "program.trap": write_script(replace(script, header=header)).encode(),
        "outcome.txt": _outcome(result).encode(),
        "console.txt": result.console.encode(),
    }


def read_bundle(members: Members, name: str) -> Bundle:
    """Return what a bundle's files say.

    Args:
        members: the files.
        name: how messages call it.

    Raises:
        DeclarationError: one is missing or damaged, or wants a machine that no program needs.
    """
    manifest = Manifest.parse(members["bundle.json"], name)
    try:
        script = parse_script(members["program.trap"].decode(), f"{name}:program.trap")
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{name}:program.trap is no text: {error}") from error
    if script.header.memory_mib > _MOST_MEMORY_MIB:
        raise DeclarationError(
            f"{name} wants a guest of {script.header.memory_mib} MiB, more than {_MOST_MEMORY_MIB}"
        )
    return Bundle(manifest, script)


def describe_kernel(kernel: Kernel) -> dict[str, str]:
    """Return which kernel this is; of a user's own only the file's name is told."""
    said = {
        "spec": kernel.spec if kernel.provenance else kernel.image.name,
        "arch": str(kernel.arch),
        "version": str(kernel.version),
        "release": kernel.release,
        "sha256": kernel.sha256,
    }
    if kernel.provenance:
        said["package"] = f"{kernel.provenance.package} {kernel.provenance.version}"
        said["package_sha256"] = kernel.provenance.sha256
    return said


def _outcome(result: Result) -> str:
    head = f"{result.kind.word}: {result.message}" if result.message else result.kind.word
    return "\n".join([head, *result.answers, ""])


def texts(said: Any) -> dict[str, str]:
    """Return texts by name that somebody else has written, so that they can be shown."""
    return {printable(name): printable(value) for name, value in said.items()}

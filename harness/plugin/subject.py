# SPDX-License-Identifier: Apache-2.0
"""Who was asked, and with which inputs, as the record of a run has it."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import harness
from harness.agent.identity import Identity
from harness.errors import TrapgateError
from harness.kernels import Kernel, KernelSource, Supply, obtain
from harness.machine.emulator import find_qemu_version
from harness.machine.plan import DEFAULT_CPU
from harness.places import data_dir
from harness.plugin.configuration import Configuration
from harness.record import Configuration as Subject
from harness.target.qemu import settle_accelerator

_OURS = {".py", ".c", ".h", ".S", ".toml"}


def subject_of(configuration: Configuration, supply: Supply) -> Subject:
    """Return who is asked; of a kernel that cannot be had only what its source says.

    Args:
        configuration: the kernel and the machine.
        supply: how a missing kernel is fetched.
    """
    source, options = configuration.source, configuration.options
    if not isinstance(source, KernelSource):
        return _host(configuration.id, source.identity)
    base = configuration.plain.id
    known = {"base": "" if base == configuration.id else base}
    known |= {"cpu": options.cpu, "append": " ".join(options.append), "qemu": find_qemu_version()}
    try:
        kernel = obtain(source, supply)
        known |= _facts(kernel)
        known["accelerator"] = settle_accelerator(kernel, options).name
        known["cpu"] = options.cpu or DEFAULT_CPU[known["accelerator"]]
    except (TrapgateError, OSError):
        known.setdefault("accelerator", "")
    return Subject(configuration.id, source.spec, source.arch.name, **known)


def _host(name: str, said: Identity) -> Subject:
    return Subject(
        name,
        said.spec,
        said.arch.name,
        release=said.release,
        version=str(said.version),
        accelerator=said.accelerator,
        cpu=said.cpu,
    )


@functools.cache
def inputs_of(scenario: Path, subject: Subject) -> str:
    """Return what tells these inputs from others: scenario, harness, machine; not the kernel.

    Args:
        scenario: the test's file.
        subject: who is asked.
    """
    machine = (subject.cpu, subject.accelerator, subject.qemu, subject.append)
    parts = (_digest(scenario), _own_digest(), *machine)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _facts(kernel: Kernel) -> dict[str, str]:
    package = kernel.provenance
    return {
        "release": kernel.release,
        "version": str(kernel.version),
        "image": kernel.sha256,
        "config": _digest(kernel.config) if kernel.config else "",
        "package": f"{package.package} {package.version}" if package else "",
    }


@functools.cache
def _own_digest() -> str:
    """A checkout's version stays the same while its files change."""
    folders = (Path(str(harness.__file__)).parent, data_dir("guest"))
    files = (path for folder in folders for path in sorted(folder.rglob("*")))
    said = "".join(_digest(path) for path in files if path.suffix in _OURS)
    return hashlib.sha256(said.encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

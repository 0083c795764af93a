# SPDX-License-Identifier: Apache-2.0
"""What a matrix asks of whom, as data, and the pytest session that does it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import DeclarationError
from harness.kernels import find_source
from harness.kernels.patterns import expand_specs
from harness.machine.models import read_all_models
from harness.machine.plan import DEFAULT_MEMORY_MIB
from harness.places import data_dir

USUAL = ("*/i386", "*/i386-pae", "*/x86_64")
"""Who is asked when nobody chooses: every series and ABI; of the builds for clouds and for real
time, and of processors, only those that are named."""

AUTO = "auto"


@dataclass(frozen=True)
class Matrix:
    """Who is asked what, and in which machine.

    Attributes:
        kernels: specs, and patterns over the catalogue.
        cpus: lists of processor models; empty for the accelerator's own.
        select: which tests, as pytest's -k has it; empty for all.
        scenarios: files and folders of tests; empty for the project's own.
        accel: "auto", "tcg" or "kvm".
        memory: a guest's, in MiB.
        append: more kernel parameters.
        mirrors: where missing kernels are fetched from; empty for the usual ones.
        boot: whether guests are booted, and not cloned.
        workers: how many ask at a time, a number or "auto" for one a processor.
    """

    kernels: tuple[str, ...] = USUAL
    cpus: tuple[str, ...] = ()
    select: str = ""
    scenarios: tuple[str, ...] = ()
    accel: str = AUTO
    memory: int = DEFAULT_MEMORY_MIB
    append: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    boot: bool = False
    workers: str = AUTO

    def checked(self) -> Matrix:
        """Return the same with every pattern replaced by what it stands for.

        Raises:
            DeclarationError: a kernel or a scenario is not there, or a number is none.
        """
        specs = expand_specs(self.kernels)
        for spec in specs:
            find_source(spec)
        for path in self.scenarios:
            if not Path(path).exists():
                raise DeclarationError(f"scenarios {path} are not there")
        if self.workers != AUTO and not self.workers.isdecimal():
            raise DeclarationError(f"workers: expected a number or auto, got {self.workers!r}")
        return replace(self, kernels=specs, cpus=read_all_models(self.cpus))

    def of(self, spec: str) -> Matrix:
        """Return the same for one kernel."""
        return replace(self, kernels=(spec,))

    def names(self) -> list[str]:
        """Return the configurations' names and the kernels', as tests' identifiers have them."""
        rows = [
            "-".join(filter(None, (find_source(spec).id, cpu)))
            for spec in self.kernels
            for cpu in (*self.cpus, "")
        ]
        return list(dict.fromkeys(rows))

    def configurations(self) -> tuple[Matrix, ...]:
        """Return a matrix of one kernel on one processor for each that there is in this one."""
        return tuple(
            replace(self, kernels=(spec,), cpus=(cpu,) if cpu else ())
            for spec in self.kernels
            for cpu in self.cpus or ("",)
        )

    @property
    def name(self) -> str:
        """What it is called in messages: of a single configuration, its name."""
        return "-".join((*self.kernels, *self.cpus))

    def session(self, plan: Path, folder: Path) -> list[str]:
        """Return the arguments for pytest of the session that asks all that.

        No value stands alone: pytest takes every path among them for a place of tests, and names
        tests by where those places meet.

        Args:
            plan: where it says how many tests there are.
            folder: where its record goes.
        """
        own = data_dir("scenarios")
        words = list(self.scenarios) or [str(own), f"--rootdir={own.parent}"]
        words += ["-q", "-pno:cacheprovider", f"--numprocesses={self._workers}"]
        words += [f"--run-dir={folder}", f"--plan-file={plan}"]
        words += [f"-k{self.select}"] if self.select else []
        words += [f"--accel={self.accel}", f"--memory={self.memory}"]
        words += _each("--kernel", self.kernels) + _each("--cpu", self.cpus)
        words += _each("--kernel-append", self.append) + _each("--mirror", self.mirrors)
        return [*words, "--boot"] if self.boot else words

    @property
    def _workers(self) -> int:
        """How many workers pytest-xdist starts; one alone would only cost a process."""
        wanted = len(os.sched_getaffinity(0)) if self.workers == AUTO else int(self.workers)
        return wanted if wanted > 1 else 0


def _each(option: str, values: tuple[str, ...]) -> list[str]:
    return [f"{option}={value}" for value in values]

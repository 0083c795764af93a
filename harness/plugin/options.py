# SPDX-License-Identifier: Apache-2.0
"""Command-line options, and the configurations that they stand for."""

from __future__ import annotations

import pytest
from _pytest.mark.expression import Expression

from harness.errors import DeclarationError
from harness.kernels import Supply, find_source
from harness.kernels.catalogue import default_specs
from harness.kernels.patterns import expand_specs
from harness.machine.accelerator import ACCELERATORS
from harness.machine.models import read_all_models
from harness.machine.plan import DEFAULT_MEMORY_MIB, MachineOptions
from harness.matrix.groups import Groups
from harness.plugin.configuration import Configuration

_CONFIGURATIONS = pytest.StashKey[tuple[Configuration, ...]]()


def add_options(parser: pytest.Parser) -> None:
    """Add the group "trapgate"."""
    group = parser.getgroup("trapgate", "real kernels")
    group.addoption(
        "--kernel",
        action="append",
        metavar="SPEC",
        help="a kernel: a name of the catalogue or a pattern ('5.*/i386*'), a bzImage, a vmlinux, "
        "a build tree or 'host'; repeatable; by default one i386 and one x86_64 kernel",
    )
    group.addoption(
        "--cpu",
        action="append",
        metavar="MODEL",
        help="processor models of QEMU's, with commas between them; 'qemu32-nosep' is one "
        "without a feature; repeatable",
    )
    group.addoption("--accel", choices=ACCELERATORS, default="auto", help="the accelerator")
    group.addoption(
        "--memory", type=int, default=DEFAULT_MEMORY_MIB, metavar="MIB", help="a guest's memory"
    )
    group.addoption(
        "--kernel-append", action="append", metavar="PARAMETERS", help="more kernel parameters"
    )
    group.addoption(
        "--boot",
        action="store_true",
        help="boot, do not clone kept boot states; tests of a kernel then share a boot",
    )
    group.addoption(
        "--reproduce-dir",
        metavar="DIR",
        help="where the scripts go that reproduce failures; by default into the state directory",
    )
    group.addoption(
        "--coverage-table",
        action="store_true",
        help="show in the end which question was put to which kernel through which entry path",
    )
    group.addoption(
        "--mirror", action="append", metavar="URL", help="a Debian mirror; repeatable, in order"
    )


def configurations(config: pytest.Config) -> tuple[Configuration, ...]:
    """Return every kernel in every machine that the options ask for.

    Raises:
        DeclarationError: there is no such kernel, or a processor cannot be meant.
    """
    if _CONFIGURATIONS not in config.stash:
        specs = expand_specs(config.getoption("--kernel") or default_specs())
        cpus = read_all_models(config.getoption("--cpu") or ()) or ("",)
        sources = [find_source(spec) for spec in specs]
        config.stash[_CONFIGURATIONS] = tuple(
            Configuration(source, _options(config, cpu)) for source in sources for cpu in cpus
        )
    return config.stash[_CONFIGURATIONS]


def check_selection(config: pytest.Config) -> None:
    """See that -k can be read: pytest-xdist's workers would only fail at it.

    Raises:
        DeclarationError: it cannot.
    """
    chosen = config.option.keyword
    try:
        Expression.compile(chosen or "all")
    except Exception as error:
        raise DeclarationError(f"-k {chosen!r} cannot be read: {error}") from error


def groups_of(config: pytest.Config) -> Groups:
    """Return the groups that a session's tests fall into."""
    known = configurations(config)
    return Groups([*(c.id for c in known), *(c.source.id for c in known)])


def supply_of(config: pytest.Config) -> Supply:
    """Return how missing kernels are to be fetched."""
    return Supply(mirrors=tuple(config.getoption("--mirror") or ()))


def _options(config: pytest.Config, cpu: str) -> MachineOptions:
    return MachineOptions(
        cpu=cpu,
        accelerator=config.getoption("--accel"),
        memory_mib=config.getoption("--memory"),
        boot=config.getoption("--boot"),
        append=tuple(config.getoption("--kernel-append") or ()),
    )

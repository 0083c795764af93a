# SPDX-License-Identifier: Apache-2.0
"""Command-line options, and the configurations that they stand for."""

from __future__ import annotations

import contextlib

import pytest
from _pytest.mark.expression import Expression

from harness.errors import DeclarationError
from harness.kernels import Supply, find_source, tell_apart
from harness.kernels.catalogue import default_specs
from harness.kernels.patterns import expand_specs
from harness.machine.accelerator import ACCELERATORS
from harness.machine.models import read_all_models
from harness.machine.plan import DEFAULT_MEMORY_MIB, MachineOptions
from harness.matrix.groups import Groups
from harness.plugin.configuration import Configuration
from harness.target.target import QEMU

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
    group.addoption(
        "--target",
        default=QEMU,
        metavar="TARGET",
        help="whom to ask: qemu, local (this host) or ssh://[USER@]HOST[:PORT][/FOLDER]",
    )
    group.addoption(
        "--accept-new-host-key",
        action="store_true",
        help="trust a host by SSH that known_hosts does not have",
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
    """Return every kernel in every machine that the options ask for, or that of a real host.

    Raises:
        DeclarationError: there is no such kernel or target, or a processor cannot be meant.
        HostError: the target cannot be reached.
    """
    if _CONFIGURATIONS not in config.stash:
        booted = config.getoption("--target") == QEMU
        config.stash[_CONFIGURATIONS] = _booted(config) if booted else (_of_host(config),)
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


def _booted(config: pytest.Config) -> tuple[Configuration, ...]:
    specs = expand_specs(config.getoption("--kernel") or default_specs())
    cpus = read_all_models(config.getoption("--cpu") or ()) or ("",)
    sources = tell_apart([find_source(spec) for spec in specs])
    return tuple(Configuration(source, _options(config, cpu)) for source in sources for cpu in cpus)


def _of_host(config: pytest.Config) -> Configuration:
    """Connect to a real host, for as long as the session takes."""
    from harness.target.host import open_host  # noqa: PLC0415 - guests have no need of it

    spec = config.getoption("--target")
    given = _options(config, "".join(config.getoption("--cpu") or ()))
    if config.getoption("--kernel") or given != MachineOptions():
        raise DeclarationError(
            f"{spec} has a kernel and a machine already",
            hint="--kernel, --cpu, --accel, --memory, --kernel-append and --boot are QEMU's",
        )
    stack = contextlib.ExitStack()
    config.add_cleanup(stack.close)
    accept_new = config.getoption("--accept-new-host-key")
    host = stack.enter_context(open_host(spec, accept_new=accept_new))
    host.arch  # noqa: B018 - it is asked here whether there is such a host
    return Configuration(host, given)


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

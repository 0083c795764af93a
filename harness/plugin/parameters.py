# SPDX-License-Identifier: Apache-2.0
"""What a scenario is multiplied by, and what it may need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest
from _pytest.mark.structures import ParameterSet

from harness.agent.guest import Guest
from harness.arch import ABIS, Abi
from harness.entry import ENTRY_PATHS, EntryPath, find_entry_path
from harness.errors import DeclarationError
from harness.plugin.configuration import PLAIN, Configuration, Variation
from harness.pointers import BadPointer, bad_pointers
from harness.suggest import nearest
from harness.version import KernelVersion

MARKERS = (
    "entries(*names): the entry paths that a scenario goes through; all that apply without it",
    "abis(*names): the ABIs that a scenario is asked for; all that the kernel runs without it",
    "needs(arch=, since=, before=): the kernels that a scenario is about",
    "known(says, arch=, since=, before=): an error of those kernels, which is not provoked there",
    "machine(cpu=, append=, arch=): ask in this machine instead of the plain one; repeatable",
    "guest_only(why): it could harm a real host, or needs what only a guest gives; skipped there",
    "room(why): it takes the world for a guest's; skipped on a real host that lends no such room",
    "pristine: a kernel that no other has touched, even where each has to be booted",
    "claim(number, refuted=False): the textbook claim that a scenario decides, or refutes",
    "xdist_group(name): tests that pytest-xdist gives to one worker",
)

_AXES = ("configuration", "entry_path", "program_abi", "bad_pointer", "unreadable_pointer")

Cell = tuple[str, object]


def parametrize(metafunc: pytest.Metafunc, configurations: Sequence[Configuration]) -> None:
    """Give a test one parameter set for each kernel and whatever else it asks for."""
    definition = metafunc.definition
    names = [name for name in _AXES if name in metafunc.fixturenames]
    rows = [
        pytest.param(
            *(value for _, value in row), id="-".join(text for text, _ in row), marks=group
        )
        for configuration in _varied(definition, configurations)
        for group in (pytest.mark.xdist_group(configuration.id),)
        for row in _rows(definition, configuration, names)
    ]
    rows = rows or [_nothing(_why_none(definition, configurations, names), names)]
    metafunc.parametrize(names, rows, scope="session")


def _nothing(reason: str, names: list[str]) -> ParameterSet:
    """Return the one parameter set of a test that no kernel here can be asked; it is skipped."""
    return pytest.param(*[None] * len(names), id="none", marks=pytest.mark.skip(reason=reason))


def _why_none(
    definition: pytest.Function, configurations: Sequence[Configuration], names: list[str]
) -> str:
    """Return what kernels lack of which none can be asked."""
    machines = {_variation(mark).arch for mark in definition.iter_markers("machine")}
    arches = {configuration.source.arch.name for configuration in configurations}
    asked = f"{' and '.join(sorted(arches))} kernels"
    if machines and not machines & {"", *arches}:
        return f"about {' and '.join(sorted(machines))} kernels"
    if "entry_path" in names:
        return f"{asked} have no {' or '.join(map(str, _named_paths(definition)))}"
    return f"{asked} run no {' or '.join(abi.name for abi in _named_abis(definition))} programs"


def _varied(
    definition: pytest.Function, configurations: Sequence[Configuration]
) -> Iterator[Configuration]:
    """Yield every configuration in each of the machines that a scenario wants, once."""
    variations = [_variation(mark) for mark in definition.iter_markers("machine")] or [PLAIN]
    varied = (
        configuration.with_variation(variation)
        for configuration in configurations
        for variation in reversed(variations)
        if variation.arch in ("", configuration.source.arch.name)
    )
    yield from {configuration.id: configuration for configuration in varied}.values()


def _variation(mark: pytest.Mark) -> Variation:
    """Read a mark.

    Raises:
        DeclarationError: it says something else than cpu, append and arch.
    """
    try:
        return Variation(*mark.args, **mark.kwargs)
    except TypeError as error:
        raise DeclarationError(f"the mark machine takes cpu, append and arch: {error}") from error


def unmet_need(item: pytest.Item, guest: Guest) -> str:
    """Return why a scenario does not apply to that kernel, empty when it does."""
    reasons = (_why_not_about(mark, guest) for mark in item.iter_markers("needs"))
    return next(filter(None, reasons), "")


def check_guest(item: pytest.Item, guest: Guest) -> None:
    """Keep a scenario that is for guests only away from real hosts, or from some of them.

    Raises:
        NotForHosts: it is, and this is one.
    """
    for mark in item.iter_markers("guest_only"):
        guest.guard.check_guest(str(mark.args[0]))
    for mark in item.iter_markers("room"):
        guest.guard.check_room(str(mark.args[0]))


def known_bug(item: pytest.Item, guest: Guest) -> str:
    """Return the known error of that kernel which a scenario would run into, empty for none."""
    marks = (m for m in item.iter_markers("known") if not _why_not_about(m, guest))
    return next((str(mark.args[0]) for mark in marks), "")


def _why_not_about(mark: pytest.Mark, guest: Guest) -> str:
    """Return why a mark with arch, since and before does not speak of that kernel."""
    arch, since, before = (mark.kwargs.get(key) for key in ("arch", "since", "before"))
    if arch and guest.identity.arch.name != arch:
        return f"about {arch} kernels"
    if since and guest.identity.version < KernelVersion.parse(since):
        return f"came with {since}"
    if before and guest.identity.version >= KernelVersion.parse(before):
        return f"gone since {before}"
    return ""


def _rows(
    definition: pytest.Function, configuration: Configuration, names: list[str]
) -> Iterator[list[Cell]]:
    """Yield every combination of the axes' values, each with its name."""
    start: Cell = (configuration.id, configuration)
    for path in _entry_paths(definition, configuration) if "entry_path" in names else (None,):
        for abi in _abis(definition, configuration) if "program_abi" in names else (None,):
            for pointer in _pointers(configuration, path, names):
                cells: list[Cell] = [start]
                cells += [(str(x), x) for x in (path, abi) if x is not None]
                cells += [(pointer.name, pointer.address)] if pointer else []
                yield cells


def _entry_paths(definition: pytest.Function, configuration: Configuration) -> Iterator[EntryPath]:
    arch = configuration.source.arch
    return (path for path in _named_paths(definition) if path.exists_on(arch))


def _named_paths(definition: pytest.Function) -> list[EntryPath]:
    marks = list(definition.iter_markers("entries"))
    names = [name for mark in marks[:1] for name in mark.args] or list(ENTRY_PATHS)
    return [find_entry_path(name) for name in names]


def _abis(definition: pytest.Function, configuration: Configuration) -> Iterator[Abi]:
    wanted = _named_abis(definition)
    return (abi for abi in configuration.source.arch.abis if abi in wanted)


def _named_abis(definition: pytest.Function) -> list[Abi]:
    marks = list(definition.iter_markers("abis"))
    return [_find_abi(name) for mark in marks[:1] for name in mark.args] or list(ABIS.values())


def _find_abi(name: str) -> Abi:
    """Return the ABI called `name`.

    Raises:
        DeclarationError: there is none.
    """
    if name in ABIS:
        return ABIS[name]
    raise DeclarationError(f"unknown abi {name!r}", hint=nearest(name, ABIS))


def _pointers(
    configuration: Configuration, path: EntryPath | None, names: list[str]
) -> Iterable[BadPointer | None]:
    if not path or not set(names) & {"bad_pointer", "unreadable_pointer"}:
        return (None,)
    bad = bad_pointers(path, configuration.source.arch)
    return [p for p in bad if "bad_pointer" in names or not p.readable]

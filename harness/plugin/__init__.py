# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: guests as fixtures, kernels and entry paths as parameters."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.agent.guest import Guest
from harness.arch import Abi
from harness.entry import EntryPath
from harness.errors import DeclarationError, KernelSplat, OutcomeKind, TrapgateError
from harness.kernels import Kernel
from harness.machine.console import find_splat, read_trouble
from harness.plugin import announcing, coverage, outcomes, preparation, programs, recording
from harness.plugin.configuration import Configuration
from harness.plugin.guests import GuestHouse, Sharing
from harness.plugin.options import add_options, check_selection, configurations, supply_of
from harness.plugin.parameters import MARKERS, check_guest, known_bug, parametrize, unmet_need
from harness.plugin.reproduction import add_reproduction

if TYPE_CHECKING:
    from harness.evidence.inside import Inside

_LEASED = pytest.StashKey[Guest]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose kernels and machines."""
    add_options(parser)
    recording.add_option(parser)
    announcing.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks that scenarios use, and what accompanies a session."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.pluginmanager.register(outcomes.Tally(), "trapgate-tally")
    coverage.register(config)
    preparation.register(config)
    recording.register(config)
    announcing.register(config)
    if config.pluginmanager.hasplugin("xdist") and not hasattr(config, "workerinput"):
        from harness.plugin.scheduling import Distributor  # noqa: PLC0415 - it loads pytest-xdist

        config.pluginmanager.register(Distributor(), "trapgate-distributor")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Refuse what cannot be meant before anything is collected."""
    try:
        configurations(config)
        check_selection(config)
        recording.check(config)
    except TrapgateError as error:
        return preparation.refuse(error)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage: of tens of thousands of tests, none is."""
    if not gc.isenabled():
        return (yield)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Multiply a scenario by kernels, entry paths, ABIs and bad pointers, as it asks for them."""
    if "configuration" not in metafunc.fixturenames:
        return
    try:
        parametrize(metafunc, configurations(metafunc.config))
    except DeclarationError as error:
        said = f"{metafunc.function.__name__}: {error}"
        raise pytest.Collector.CollectError(said) from error


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> programs.Program | None:
    """Take scripts for tests, where they lie among scenarios."""
    return programs.find_program(file_path, parent)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Write into a test's report what it asks, and which claims it decides."""
    outcomes.note_question(item)


@pytest.fixture(scope="session")
def guest_house(pytestconfig: pytest.Config) -> Iterator[GuestHouse]:
    """Give the house that boots guests and keeps them while they are usable."""
    with GuestHouse(supply_of(pytestconfig)) as house:
        yield house


@pytest.fixture
def guest(
    configuration: Configuration, guest_house: GuestHouse, request: pytest.FixtureRequest
) -> Iterator[Guest]:
    """Give a running kernel that no test has touched; many share it where it cannot be cloned."""
    pristine = request.node.get_closest_marker("pristine") is not None
    with guest_house.lease(configuration, pristine=pristine) as leased:
        _present(leased, request.node)
        yield leased


@pytest.fixture(scope="module")
def sharing(configuration: Configuration, guest_house: GuestHouse) -> Iterator[Sharing]:
    """Give what holds the one guest of a module's tests."""
    with Sharing(guest_house, configuration) as shared:
        yield shared


@pytest.fixture
def shared_guest(sharing: Sharing, request: pytest.FixtureRequest) -> Guest:
    """Give a running kernel that a module's earlier tests have touched, executors included."""
    leased = sharing.guest()
    _present(leased, request.node)
    return leased


@pytest.fixture
def kernel(configuration: Configuration, guest_house: GuestHouse) -> Kernel:
    """Give the files of the kernel that is asked."""
    return guest_house.kernel(configuration)


@pytest.fixture
def inside(shared_guest: Guest, sharing: Sharing) -> Inside:
    """Give what the kernel of a module's tests shows of itself: `shared_guest` is who shows it."""
    del shared_guest  # it has been presented
    return sharing.inside()


def _present(leased: Guest, item: pytest.Item) -> None:
    """Note which kernel a test gets; skip what does not apply to it."""
    item.stash[_LEASED] = leased
    outcomes.note_identity(item, leased.identity)
    check_guest(item, leased)
    unmet = unmet_need(item, leased)
    if unmet:
        pytest.skip(unmet)
    bug = known_bug(item, leased)
    if bug:
        pytest.xfail(bug)


@pytest.fixture
def entry(
    entry_path: EntryPath, configuration: Configuration, request: pytest.FixtureRequest
) -> EntryPath:
    """Give one way into the kernel that works there; skip, with the reason, where it does not."""
    del configuration  # it is for tests that ask for no guest: kernels multiply them, too
    shared = "shared_guest" in request.fixturenames
    guest: Guest = request.getfixturevalue("shared_guest" if shared else "guest")
    why = guest.why_not_asked(entry_path)
    if why:
        pytest.skip(why)
    return entry_path


@pytest.fixture
def abi(program_abi: Abi) -> Abi:
    """Give one binary interface that the kernel's programs can use."""
    return program_abi


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Skip a test that would do to a real host what is for guests only."""
    with outcomes.skipped_unasked(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test whose answers were right when the kernel complained meanwhile."""
    with outcomes.skipped_unasked(item):
        yield
    leased = item.stash.get(_LEASED, None)
    news = leased.drain_log() if leased and leased.usable else ""
    splat = find_splat(news)
    if splat:
        raise KernelSplat(f"the kernel logged: {splat}", evidence=read_trouble(news))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Name the kind of every outcome; a kernel that complained is not asked again."""
    instead = None if item.config.option.fulltrace else outcomes.conceal(call)
    report = yield
    report.longrepr = instead or report.longrepr
    outcomes.classify(item, report, call)
    leased = item.stash.get(_LEASED, None)
    if leased and report.failed:
        add_reproduction(item, report, leased)
    if leased and leased.usable and report.failed and call.when == "call":
        outcomes.add_log(report, leased)
        leased.usable = outcomes.find_kind(report) is not OutcomeKind.SPLAT
    recording.attach(item, report, call, leased)
    return report


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> None:
    """Keep what was expected and what came, for the record; pytest's own words stay."""
    recording.note_comparison(config, (op, left, right))


def pytest_report_teststatus(
    report: pytest.TestReport | pytest.CollectReport,
) -> tuple[str, str, str] | None:
    """Show the kind of an outcome instead of a plain failure."""
    return outcomes.status_of(report)

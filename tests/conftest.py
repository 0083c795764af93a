# SPDX-License-Identifier: Apache-2.0
"""Guests that tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from live import I386, X86_64, Stable

from harness.agent.guest import Guest


@pytest.fixture(scope="session", autouse=True)
def usual_signals() -> None:
    """Have programs under test start with the signals that a terminal gives them.

    A run in the background, or under nohup, hands them on as ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def stable() -> Iterator[Stable]:
    """Yield this worker's guests, and end them with the session."""
    guests = Stable()
    yield guests
    guests.close()


@pytest.fixture(
    params=[pytest.param(spec, marks=pytest.mark.xdist_group(spec)) for spec in (I386, X86_64)]
)
def booted(request: pytest.FixtureRequest, stable: Stable) -> Guest:
    """Return a booted guest of each default kernel, whose state earlier tests may have touched."""
    return stable.guest(request.param)

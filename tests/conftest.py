# SPDX-License-Identifier: Apache-2.0
"""Guests that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live import I386, X86_64, Stable

from harness.agent.guest import Guest


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

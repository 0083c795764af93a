# SPDX-License-Identifier: Apache-2.0
"""Saying how many tests there will be, so that somebody else can show how far a session is."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from harness.matrix.groups import ELSEWHERE
from harness.plugin.options import groups_of
from harness.whole import write_whole


def add_option(parser: pytest.Parser) -> None:
    """Add the option that names the file; it is for `trapgate matrix`, not for people."""
    parser.getgroup("trapgate").addoption("--plan-file", help=argparse.SUPPRESS)


def register(config: pytest.Config) -> None:
    """Have this session's tests counted, if somebody wants to know."""
    path = config.getoption("--plan-file")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Announcement(config, Path(path)), "trapgate-announcement")


class Announcement:
    """Writes how many tests there are of each configuration, when they are known.

    Args:
        config: the session's.
        path: the file, which is there as soon as it is whole.
    """

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Announce what this process has collected itself."""
        if session.items:
            self._write(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Announce what a worker has collected; the others collect the same."""
        if not self._path.exists():
            self._write(ids)

    def _write(self, ids: Iterable[str]) -> None:
        groups = groups_of(self._config)
        counts = Counter(map(groups.of, ids))
        del counts[ELSEWHERE]
        write_whole(self._path, json.dumps(counts))

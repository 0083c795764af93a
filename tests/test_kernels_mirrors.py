# SPDX-License-Identifier: Apache-2.0
"""Which mirrors are asked: what somebody names, and what apt's own words mean."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.kernels.mirrors import (
    Mirror,
    apt_proxies,
    machine_mirrors,
    named_mirrors,
    parse_targets,
)


@pytest.mark.parametrize(
    ("address", "bases"),
    [
        ("http://here.invalid/debian/", ["debian", "debian-security"]),
        ("http://here.invalid/debian-security", ["debian-security"]),
        ("http://here.invalid/all", ["all", "all"]),
    ],
)
def test_the_security_archive_is_beside_the_main_one(address: str, bases: list[str]) -> None:
    assert [mirror.base.rpartition("/")[2] for mirror in named_mirrors([address])] == bases
    assert [mirror.security for mirror in named_mirrors([address])][-1]


def test_mirrors_are_read_from_what_apt_lists() -> None:
    targets = """\
Packages stable http://here.invalid/debian/ Debian
Packages stable-updates http://here.invalid/debian/ Debian
Packages stable-security http://here.invalid/debian-security/ Debian
Packages stable-backports file:/srv/debian Debian Backports
Packages noble http://here.invalid/ubuntu/ Ubuntu
Packages stable cdrom:[disc]/ Debian
Translations stable http://elsewhere.invalid/debian/ Debian
Packages stable https://new.invalid/debian $(ORIGIN)
"""
    assert parse_targets(targets, {"http": "http://proxy.invalid:3128"}) == (
        Mirror("http://here.invalid/debian", security=False, proxy="http://proxy.invalid:3128"),
        Mirror(
            "http://here.invalid/debian-security",
            security=True,
            proxy="http://proxy.invalid:3128",
        ),
        Mirror("file:/srv/debian", security=False),
        Mirror("https://new.invalid/debian", security=False),
    )


def test_proxies_are_read_from_what_apt_dumps() -> None:
    dump = """\
Acquire::http::Proxy "http://proxy.invalid:3128/";
Acquire::https::Proxy "DIRECT";
Acquire::http::Proxy::here.invalid "DIRECT";
Acquire::ftp::Proxy "";
"""
    assert apt_proxies(dump) == {"http": "http://proxy.invalid:3128/"}


@pytest.mark.skipif(not shutil.which("apt-get"), reason="this machine has no apt")
def test_apt_without_any_lists_still_tells_its_mirrors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lists/partial").mkdir(parents=True)
    configuration = tmp_path / "apt.conf"
    configuration.write_text(f'Dir::State::lists "{tmp_path}/lists";\n')
    usual = machine_mirrors()
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    assert {m.base for m in machine_mirrors()} >= {m.base for m in usual}

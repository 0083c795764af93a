# SPDX-License-Identifier: Apache-2.0
"""The wheel holds what users need, and finds its data once installed."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
DATA = ("guest", "kernels", "scenarios")

pytestmark = pytest.mark.xdist_group("packaging")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    arguments = ["wheel", "--quiet", "--no-deps", "-w", str(folder), str(HERE)]
    command = [sys.executable, "-m", "pip", *arguments]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("trapgate-*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    folder = wheel.parent / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("folder", DATA)
def test_the_wheel_carries_every_data_file(folder: str, names: list[str]) -> None:
    beside = [path for path in (HERE / folder).rglob("*") if path.is_file()]
    wanted = {
        f"harness/data/{path.relative_to(HERE)}"
        for path in beside
        if path.suffix != ".pyc" and not path.name.startswith(".")
    }
    assert wanted
    assert wanted - set(names) == set()


def test_the_wheel_carries_the_parts_of_the_page(names: list[str]) -> None:
    parts = {name.rpartition("/")[2] for name in names if "record/formats/page/" in name}
    assert parts == {"page.html.j2", "page.css", "page.js"}


def test_the_wheel_carries_nothing_that_is_not_source(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert tops == {"harness", next(top for top in tops if top.endswith(".dist-info"))}
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_the_wheel_is_typed(names: list[str]) -> None:
    assert "harness/py.typed" in names


def test_the_wheel_has_a_command_and_a_pytest_plugin(installed: Path) -> None:
    entries = configparser.ConfigParser()
    entries.read(next(installed.glob("*.dist-info/entry_points.txt")))
    assert entries["console_scripts"]["trapgate"] == "harness.cli:main"
    assert entries["pytest11"]["trapgate"] == "harness.plugin"


@pytest.mark.parametrize("folder", DATA)
def test_an_installed_package_finds_its_data(folder: str, installed: Path) -> None:
    program = f"from harness.places import data_dir; print(data_dir({folder!r}))"
    said = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(installed)},
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert Path(said) == installed / "harness" / "data" / folder
    assert Path(said).is_dir()

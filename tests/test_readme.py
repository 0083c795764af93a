# SPDX-License-Identifier: Apache-2.0
"""README and docs/ do what they say: commands run, examples pass, the table is complete."""

from __future__ import annotations

import doctest
import itertools
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from readme import DOCUMENTS, README, Step, examples, kernel_table, steps, updated

from harness.arch import ABIS, Abi
from harness.build.programs import build_program, recipe_of_probe

LINES = 260
PROBE = "guest/probes/steady_getpid.c"


SHOWN = {name: text for document in DOCUMENTS for name, text in examples(document).items()}


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would who has the package installed; no shell is involved."""
    program, *arguments = shlex.split(command)
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean.get('PATH', os.defpath)}"
    return subprocess.run(
        [shutil.which(program, path=path) or program, *arguments],
        env=clean | {"PATH": path, "COLUMNS": "100"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def commands(document: Path = README) -> Iterator[tuple[Step, int]]:
    """Yield the commands that are run, each with the status that it is to end with."""
    for step, following in itertools.pairwise([*steps(document), Step("", "")]):
        asked = following.command == "echo $?"
        if not step.sets_up and step.command != "echo $?":
            yield step, int(following.shown) if asked else 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_commands_do_what_is_shown(document: Path, tmp_path: Path) -> None:
    for name, text in examples(document).items():
        (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    for step, status in commands(document):
        done = run(step.command, tmp_path)
        assert done.returncode == status, f"{step.command}\n{done.stdout}"
        same = doctest.OutputChecker().check_output(
            step.shown + "\n", done.stdout.rstrip("\n") + "\n", doctest.ELLIPSIS
        )
        assert same or not step.shown, f"shown:\n{step.shown}\nprinted:\n{done.stdout}"


def test_only_what_sets_up_is_not_run() -> None:
    assert [step.command for step in steps() if step.sets_up] == [
        "pip install tox && tox run -e scenarios",
        "tox",
    ]
    assert len(list(commands())) >= 3


def test_the_table_of_kernels_is_the_catalogues() -> None:
    text = README.read_text(encoding="utf-8")
    assert kernel_table() in text
    assert updated(text) == text, "python tests/readme.py brings it up to date"


def test_every_file_that_is_shown_is_tried() -> None:
    for document in DOCUMENTS:
        tried = " ".join(step.command for step, _ in commands(document))
        assert [name for name in examples(document) if name not in (*tried.split(), PROBE)] == []


@pytest.mark.parametrize("abi", ABIS.values(), ids=str)
def test_the_probe_builds(abi: Abi, tmp_path: Path) -> None:
    source = tmp_path / Path(PROBE).name
    source.write_text(SHOWN[PROBE], encoding="utf-8")
    assert build_program(recipe_of_probe(source, abi), abi).is_file()


def test_it_can_be_read_in_one_sitting() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LINES

# SPDX-License-Identifier: Apache-2.0
"""The doctor looks at this host for real, and says what to do about what is missing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.distribution import find_family
from harness.doctor.command import run
from harness.doctor.emulator import _examine_clones, examine_kvm
from harness.doctor.finding import Finding, Standing
from harness.doctor.recording import examine_recording
from harness.machine.snapshot import missing_features
from harness.tools import TOOLS, find_tool

PROGRAM = "from harness.cli import main; main()"
NOBODY = 65534
AS_NOBODY = f"""
import os
from harness.doctor.install import install_missing
from harness.errors import HostError
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
try:
    install_missing(print)
except HostError as error:
    print(error)
"""
READY = all(find_tool(tool.name) for tool in TOOLS if tool.required)

on_debian = pytest.mark.skipif(
    getattr(find_family(), "manager", "") != "apt-get", reason="names Debian's command"
)


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "doctor", *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def lean_path() -> Iterator[Path]:
    """Yield a search path that anybody may read, with a package manager that nobody can run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        put(folder / "apt-get", "#!/bin/false\n")
        yield folder


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def standings(said: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {row["name"]: row["standing"] for row in json.loads(said.stdout)["findings"]}


@pytest.mark.skipif(not READY, reason="a required program is missing")
def test_a_host_with_everything_is_ready() -> None:
    said = doctor()
    assert said.returncode == 0, said.stdout
    assert said.stdout.splitlines()[-1] == "ready"


@pytest.mark.skipif(not READY, reason="a required program is missing")
def test_the_compiler_and_the_emulator_are_really_tried() -> None:
    found = standings(doctor("--json"))
    tried = ("cc -m32", "cc -m64", "accelerators", "cache", "state")
    assert {found[name] for name in tried} <= {"ok", "low"}
    assert found["sandbox"] in {"ok", "failed"}


@pytest.mark.skipif(not READY, reason="a required program is missing")
def test_the_emulator_is_asked_whether_it_can_clone() -> None:
    assert standings(doctor("--json"))["clones"] == "ok"


@pytest.mark.skipif(not READY, reason="a required program is missing")
def test_the_emulator_is_asked_whether_it_can_record() -> None:
    said = json.loads(doctor("--json").stdout)["findings"]
    (found,) = (finding for finding in said if finding["name"] == "recordings")
    assert found["standing"] == "ok"
    assert re.search(r" it (?:offers|does not offer) gdb reverse stepping", found["detail"])


@pytest.mark.parametrize("said", ["", "no such option", "$PacketSize=1000#00"])
def test_an_emulator_that_does_not_record_is_said_to(said: str, tmp_path: Path) -> None:
    put(tmp_path / "qemu", f"#!/bin/sh\necho '{said}'\nfalse\n")
    found = examine_recording(tmp_path / "qemu")
    assert found.standing is Standing.ABSENT
    assert found.detail == (said or "QEMU ended with status 1")


@pytest.mark.parametrize("said", ["", "no such option", '{"return": {}}\n{"return": []}'])
def test_an_emulator_that_does_not_say_cannot_clone(said: str, tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    put(qemu, f"#!/bin/sh\necho '{said}'\n")
    assert _examine_clones(qemu).standing is Standing.FAILED


def test_a_feature_that_is_missing_is_named() -> None:
    assert missing_features(["snapshot-save", "blockdev-create"], []) == [
        "snapshot-delete",
        "x-ignore-shared",
    ]


def test_a_compiler_that_builds_nothing_is_not_ready() -> None:
    said = doctor("--json", CC=shutil.which("true") or "true")
    assert said.returncode == 2
    assert standings(said)["cc -m32"] == "failed"


def test_an_empty_path_is_not_ready(tmp_path: Path) -> None:
    said = doctor("--json", PATH=str(tmp_path), CC="")
    found = standings(said)
    assert said.returncode == 2
    assert {found[tool.name] for tool in TOOLS} == {"absent"}
    assert json.loads(said.stdout)["ready"] is False


@on_debian
def test_one_command_for_all_that_is_missing_comes_last(tmp_path: Path) -> None:
    last = doctor(PATH=str(tmp_path), CC="").stdout.splitlines()[-1]
    assert "apt-get install -y qemu-system-x86 gcc binutils util-linux'" in last


@on_debian
def test_an_installation_that_cannot_be_says_the_command_and_nothing_more(tmp_path: Path) -> None:
    said = doctor("--install", PATH=str(tmp_path), CC="")
    assert said.returncode == 2
    assert said.stdout == ""
    assert "apt-get not found" in said.stderr
    assert "apt-get install -y qemu-system-x86" in said.stderr.splitlines()[-1]


@on_debian
def test_a_package_manager_that_fails_is_quoted(lean_path: Path) -> None:
    put(lean_path / "env", "#!/bin/sh\necho E: the disk is full\nexit 100\n")
    put(lean_path / "sudo", "#!/bin/sh\necho E: the disk is full\nexit 100\n")
    said = doctor("--install", PATH=str(lean_path), CC="")
    assert said.returncode == 2
    assert "apt-get failed" in said.stderr
    assert "E: the disk is full" in said.stderr.splitlines()[-1]


@pytest.mark.skipif(not READY, reason="a required program is missing")
def test_nothing_is_installed_when_nothing_is_missing() -> None:
    said = doctor("--install")
    assert said.returncode == 0
    assert said.stderr == ""


@on_debian
def test_a_user_without_sudo_is_told_the_command(lean_path: Path) -> None:
    ended = run(
        [shutil.which("env") or "env", f"PATH={lean_path}", "CC=", sys.executable, "-c", AS_NOBODY],
        timeout_s=60,
    )
    assert "this user is not root, and there is no sudo" in ended.output
    assert "'sudo apt-get install -y qemu-system-x86" in ended.last_lines(1)


@on_debian
def test_sudo_without_a_terminal_never_asks(lean_path: Path) -> None:
    put(lean_path / "sudo", '#!/bin/sh\necho "sudo got: $*"\nexit 1\n')
    ended = run(
        [shutil.which("env") or "env", f"PATH={lean_path}", "CC=", sys.executable, "-c", AS_NOBODY],
        timeout_s=60,
    )
    assert "sudo got: -n env DEBIAN_FRONTEND=noninteractive apt-get install" in ended.output


def test_a_folder_that_cannot_be_written_is_not_ready(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    said = doctor("--json", TRAPGATE_CACHE=str(file / "cache"))
    assert said.returncode == 2
    assert standings(said)["cache"] == "failed"


def test_a_mirror_that_is_no_address_is_named() -> None:
    assert standings(doctor("--json", TRAPGATE_MIRROR="nonsense"))["mirror"] == "failed"


def test_a_device_proves_nothing() -> None:
    assert examine_kvm(Path("/dev/null")).standing is Standing.UNPROVEN


def test_a_host_without_the_device_emulates(tmp_path: Path) -> None:
    found = examine_kvm(tmp_path / "kvm")
    assert found.standing is Standing.ABSENT
    assert not found.blocks


@pytest.mark.parametrize(
    ("standing", "required", "blocks"),
    [
        (Standing.ABSENT, True, True),
        (Standing.FAILED, True, True),
        (Standing.LOW, True, False),
        (Standing.UNPROVEN, True, False),
        (Standing.ABSENT, False, False),
    ],
)
def test_only_what_is_required_and_lacking_blocks(
    standing: Standing,
    required: bool,  # noqa: FBT001
    blocks: bool,  # noqa: FBT001
) -> None:
    assert Finding("thing", standing, "", required=required).blocks is blocks


def test_a_program_that_takes_too_long_is_ended() -> None:
    assert "not done within" in run(["sleep", "30"], timeout_s=0.2).output


def test_a_program_that_does_not_exist_is_said(tmp_path: Path) -> None:
    ended = run([tmp_path / "nothing"], timeout_s=5)
    assert (ended.status, ended.output) == (-1, "nothing: No such file or directory")

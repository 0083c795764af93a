# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: what it lists, how it ends, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pexpect
import pytest
from live import CHECKOUT, PROGRAM, emulators_of, eventually, is_there, trapgate

from harness.cli.commands import MODULES, QUICK

SLOW = {
    *("typer", "pydantic", "rich", "jinja2", "elftools", "filelock", "debian", "requests"),
    *("asyncio", "email", "importlib.metadata", "logging", "platform", "tomllib"),
}

HOLDING = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be ignored
sys.path[:0] = sys.argv[1:]
from live import own_guest, machine_of
with own_guest() as guest:
    print(machine_of(guest).process.process.pid, flush=True)
    time.sleep(600)
"""


def test_the_version_is_the_projects() -> None:
    assert re.fullmatch(r"trapgate \d+\.\d+\.\d+\n", trapgate("--version").stdout)


def test_help_has_one_line_a_command() -> None:
    said = trapgate("--help").stdout
    rows = re.findall(r"^  (\w+) +(\S.*)$", said.partition("Commands:")[2], re.MULTILINE)
    assert {"call", "doctor", "exec", "kernels", "qemu"} <= {name for name, _ in rows}
    assert all(text.endswith(".") and not text.endswith("...") for _, text in rows)


@pytest.mark.parametrize("module", ["harness.cli.call", "harness.cli.exec"])
def test_a_quick_command_loads_nothing_slow(module: str) -> None:
    line = f"import sys, {module}; print(*{SLOW} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    said = subprocess.run(
        [sys.executable, "-c", line], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == []


def test_every_command_is_in_the_table() -> None:
    folder = CHECKOUT / "harness" / "cli"
    adds_itself = re.compile(r"^@app\.command|^app\.add_typer|^@takes_machine", re.MULTILINE)
    found = {path.stem for path in folder.glob("*.py") if adds_itself.search(path.read_text())}
    assert found == set(MODULES)
    assert set(QUICK) <= found


def test_without_qemu_it_is_said_what_to_install(tmp_path: Path) -> None:
    for name in ("gcc", "ld", "as", "setpriv"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout
        (tmp_path / name).symlink_to(found.strip())
    said = trapgate("call", "--accel", "tcg", "getpid", PATH=str(tmp_path))
    assert said.returncode == 2
    assert said.stderr.startswith("trapgate: qemu-system-x86_64 not found: the machine that")
    assert "qemu-system-x86" in said.stderr.splitlines()[1]


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file where a folder should be")
    kernel = trapgate("kernels", "path", "6.1/x86_64").stdout.strip()
    said = trapgate("call", "--accel", "tcg", "--kernel", kernel, "0", TRAPGATE_CACHE=str(cache))
    assert said.returncode == 2
    assert said.stderr.startswith("trapgate: cannot store ")
    assert str(cache) in said.stderr.splitlines()[0]
    assert "TRAPGATE_CACHE" in said.stderr.splitlines()[1]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_qemu_dies_with_whoever_started_it(how: signal.Signals, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", HOLDING, str(CHECKOUT), str(CHECKOUT / "tests")]
    environment = os.environ | {"TMPDIR": str(scratch)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout
        emulator = int(holder.stdout.readline())
        assert is_there(emulator)
        holder.send_signal(how)
    eventually(lambda: not is_there(emulator), 1)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("moment", ["in mid-boot", "in a call"])
def test_control_c_ends_everything(moment: str) -> None:
    arguments = ["-c", PROGRAM, "call", "--accel", "tcg", "--timeout", "60", "pause"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    terminal = pexpect.spawn(sys.executable, arguments, env=environment, encoding="utf-8")
    before = termios.tcgetattr(terminal.child_fd)
    (emulator,) = eventually(lambda: emulators_of(terminal.pid))
    if moment == "in a call":
        with pytest.raises(pexpect.TIMEOUT):
            terminal.expect("never", timeout=6)
    terminal.sendintr()
    terminal.expect(pexpect.EOF, timeout=10)
    assert termios.tcgetattr(terminal.child_fd)[:4] == before[:4]
    terminal.close()
    assert terminal.exitstatus == 128 + signal.SIGINT
    assert "Traceback" not in terminal.before
    eventually(lambda: not is_there(emulator), 1)


INTERRUPTED = """
import os, signal, sys
from harness.cli import main

def interrupt(event, arguments):
    if event == "import" and arguments[0] == "harness.agent.guest":
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(interrupt)
main()
"""


def test_control_c_while_modules_are_loaded_is_quiet() -> None:
    command = [sys.executable, "-c", INTERRUPTED, "call", "getpid"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (128 + signal.SIGINT, "", "")


def test_a_reader_that_goes_away_ends_the_command() -> None:
    line = f"{sys.executable} -c '{PROGRAM}' kernels list | true"
    said = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert "Traceback" not in said.stderr

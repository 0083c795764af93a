# SPDX-License-Identifier: Apache-2.0
"""This host as a target: ordinary processes of an ordinary user, of which nothing is left."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import CHECKOUT, PROGRAM, ask_on, eventually, trapgate
from test_plugin import Session, session
from visits import assert_gone_after, busy_visit, family, rooms

from harness.agent.guest import Guest
from harness.agent.puppet import start_puppet
from harness.arch import X86_64
from harness.entry import SYSCALL
from harness.errors import GuestLost, NotForHosts
from harness.target.host import open_host

LOCAL = """
    import pytest

    def test_right(guest, entry):
        assert guest.call(entry, "close", -1).errno == 9

    def test_wrong(guest):
        assert guest.call(SYSCALL, "getpid").value == 0

    def test_reboot(guest):
        guest.call(SYSCALL, "reboot", 0, 0, 0, 0)

    def test_sysrq(guest):
        guest.write_file("/proc/sysrq-trigger", b"c")

    @pytest.mark.guest_only("it could do harm")
    def test_marked(guest):
        raise AssertionError

    @pytest.mark.guest_only("it could do harm to all")
    def test_marked_and_shared(shared_guest):
        raise AssertionError

    @pytest.mark.machine(append="vsyscall=none")
    def test_of_a_switch(guest):
        raise AssertionError

    @pytest.mark.pristine
    def test_pristine(guest):
        raise AssertionError

    def test_shared(shared_guest):
        assert shared_guest.call(SYSCALL, "getppid").value >= 0
"""
WITHOUT_A_ROOM = """
from harness.arch import I386
from harness.entry import SYSCALL
from harness.target.host import open_host
with open_host("local") as host, host.start() as guest:
    print(guest.call(SYSCALL, "getuid").value, guest.probe(I386, "forked", 0, 2, 0, 0x202))
    guest.call(SYSCALL, "kill", -1, 0)
"""
SKIPS = (
    "reboot is not asked of a real host",
    "/proc/sysrq-trigger is written to by root alone",
    "for guests only: it could do harm",
    "for guests only: it could do harm to all",
    "for guests only: it asks in a machine of its own, append 'vsyscall=none'",
    "for guests only: it wants a kernel that nobody has touched",
)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder in which agents get theirs; as /tmp is."""
    with tempfile.TemporaryDirectory(prefix="rooms-") as folder:
        Path(folder).chmod(0o1777)
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


@pytest.fixture
def local(temporary: Path) -> Iterator[Guest]:
    """Give this host; there is no trace of the agent in the end."""
    with open_host("local") as host, host.start() as guest:
        yield guest
    assert rooms(temporary) == []


def test_a_bad_pointer_is_asked_about_in_a_line() -> None:
    done = trapgate(
        *["call", "--target", "local", "--entry", "int80", "read", "0", "0xdead0000", "16"]
    )
    assert done.returncode == 0
    assert done.stdout.startswith("-14 EFAULT")
    kernel, target = done.stdout.splitlines()[-2:]
    assert kernel.startswith(f"kernel: Linux {os.uname().release} (x86_64)")
    assert target == "target: local"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("call --target local reboot 0 0 0 0", "reboot is not asked of a real host"),
        ("call --target lokal getpid", "unknown target 'lokal'"),
        ("call --target local://x getpid", "expected 'local' alone"),
        ("call --target local --kernel 6.1/i386 getpid", "has a kernel and a machine already"),
        ("call --target local --boot getpid", "has a kernel and a machine already"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_status_2(line: str, said: str) -> None:
    done = trapgate(*line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_pytest_refuses_a_kernel_for_a_host(tmp_path: Path) -> None:
    done = session(tmp_path, LOCAL, "--accel", "auto", "--target", "local", "--kernel", "6.1/i386")
    assert done.status == 2
    assert "has a kernel and a machine already" in done.errors


def test_a_program_of_the_users_own_runs_as_nobody_special(tmp_path: Path) -> None:
    source, program = tmp_path / "it.c", tmp_path / "it"
    source.write_text(
        "#include <stdio.h>\nint main(int n, char **a) { puts(a[n - 1]); return 7; }\n"
    )
    subprocess.run(["cc", "-static", "-o", program, source], check=True)
    done = trapgate("exec", "--target", "local", str(program), "a word")
    assert (done.returncode, done.stdout) == (7, "a word\n")


def test_the_agent_is_not_root(local: Guest) -> None:
    status = local.read_file("/proc/self/uid_map").decode().split()
    assert status[:1] == ["0"]
    assert int(status[1]) != 0
    assert status[2:] == ["1"]


def test_nothing_of_the_host_is_in_the_room(local: Guest) -> None:
    assert local.call(SYSCALL, "access", b"/etc/passwd\0", 0).errno == 2
    assert local.call(SYSCALL, "kill", -1, 0).value == 0
    assert local.call(SYSCALL, "getppid").value == 1


def test_a_traced_process_makes_no_harmful_call_either(local: Guest) -> None:
    with start_puppet(local, X86_64) as puppet, pytest.raises(NotForHosts, match="reboot"):
        puppet.call(SYSCALL, "reboot", 0, 0, 0, 0)


def test_an_agent_that_is_killed_is_lost(local: Guest) -> None:
    visit = local._carrier.visit  # type: ignore[attr-defined]
    visit._process.kill()
    with pytest.raises(GuestLost, match="local was lost"):
        ask_on(local)
    assert not local.usable


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_however_the_harness_ends(end: signal.Signals, temporary: Path) -> None:
    with busy_visit("local", TMPDIR=str(temporary)) as process:
        assert len(rooms(temporary)) == 1
        assert_gone_after(end, process, process.pid)
        eventually(lambda: not rooms(temporary))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_tidies_up_before_it_dies_of_a_signal(
    end: signal.Signals, temporary: Path
) -> None:
    """Its agent is nobody special, who cannot remove the folder itself."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "call", "--target", "local", "pause"],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(temporary)},
    ) as process:
        eventually(lambda: len(family(process.pid)) >= 3)
        assert len(rooms(temporary)) == 1
        process.send_signal(end)
    assert (process.returncode, rooms(temporary)) == (-end, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a host that gives no rooms")
def test_without_a_room_the_host_is_asked_for_less(tmp_path: Path) -> None:
    """Whose root is not its namespace's may make no user namespace: user_namespaces(7)."""
    root = tmp_path / "root"
    root.mkdir()
    words = shlex.join([sys.executable, "-c", WITHOUT_A_ROOM])
    script = f"mount --rbind / {root} && exec chroot {root} {words}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": "/tmp"},  # noqa: S108
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("65534 {"), done.stderr
    assert "kill is not asked of a real host: local gives the agent no room" in done.stderr


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("local")
    return session(
        folder, LOCAL, "--accel", "auto", "--target", "local", "-rs", "--reproduce-dir", "scripts"
    )


@pytest.mark.parametrize("said", SKIPS)
def test_what_is_for_guests_only_is_skipped_with_the_reason(said: str, asked: Session) -> None:
    assert said in asked.output


def test_the_rest_is_asked(asked: Session) -> None:
    assert asked.status == 1
    assert "1 failed" in asked.output
    assert " 6 skipped" in asked.output or " 7 skipped" in asked.output
    assert f"local is Linux {os.uname().release}" in asked.output
    assert "trapgate call --target local --entry syscall getpid" in asked.output

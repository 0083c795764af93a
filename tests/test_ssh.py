# SPDX-License-Identifier: Apache-2.0
"""Hosts by SSH, asked through a real OpenSSH server on loopback that an ordinary user runs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import CHECKOUT, eventually, is_there, trapgate
from openssh import ALIAS, Server, free_port, running_sshd
from visits import assert_gone_after, busy_visit, family, rooms

from harness.entry import SYSCALL
from harness.errors import DeclarationError, GuestLost
from harness.target.host import open_host
from harness.target.ssh_connection import Place, read_place

GETPID = ("--entry", "syscall", "getpid")

pytestmark = pytest.mark.xdist_group("ssh")


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with running_sshd() as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Give the server, to a user whose ~/.ssh has what it takes; it is put back in the end."""
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(caches())))
    monkeypatch.setenv("HOME", str(running.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    files = [path for path in running.home.joinpath(".ssh").iterdir() if path.is_file()]
    before = {path: path.read_text() for path in files}
    yield running
    for path, text in before.items():
        path.write_text(text)
    eventually(lambda: not rooms(running.rooms))
    eventually(lambda: family(running.process.pid) == set())


def caches() -> Path:
    return Path("~/.cache").expanduser()


def refused(target: str, said: str, *options: str) -> None:
    """See that a target cannot be asked: one sentence and a hint, status 2."""
    done = trapgate("call", "--target", target, *options, *GETPID)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(said, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) <= 2, done.stderr


@pytest.mark.parametrize("name", ["spec", "lab"])
def test_a_host_is_asked_by_address_and_by_the_users_configuration(
    name: str, server: Server
) -> None:
    target = getattr(server, name)
    done = trapgate("call", "--target", target, *GETPID)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"target: {target}"
    assert f"Linux {os.uname().release}" in done.stdout


def test_a_program_and_a_script_go_there_too(server: Server, tmp_path: Path) -> None:
    script = tmp_path / "it.trap"
    script.write_text('kernel 6.1/i386\nfd = int80 open "/proc/version" 0\nint80 close $fd -> 0\n')
    done = trapgate("replay", "--target", server.lab, str(script))
    assert (done.returncode, "1 of 1 expectations held" in done.stdout) == (0, True), done.stderr


def test_an_unknown_host_is_refused_until_it_is_accepted(server: Server) -> None:
    server.known_hosts.write_text("# nobody\n")
    refused(server.lab, "is not in known_hosts: its key is ssh-ed25519 SHA256:")
    assert server.known_hosts.read_text() == "# nobody\n"
    done = trapgate("call", "--target", server.lab, "--accept-new-host-key", *GETPID)
    assert done.returncode == 0, done.stderr
    kind, key, _ = server.folder.joinpath("host.pub").read_text().split()
    assert server.known_hosts.read_text().splitlines() == [
        "# nobody",
        f"[127.0.0.1]:{server.port} {kind} {key}",
    ]
    assert trapgate("call", "--target", server.lab, *GETPID).returncode == 0


@pytest.mark.parametrize("options", [(), ("--accept-new-host-key",)], ids=["plain", "accepting"])
def test_another_key_than_the_known_one_is_refused_in_any_case(
    options: tuple[str, ...], server: Server
) -> None:
    kind, key, _ = server.folder.joinpath("user.pub").read_text().split()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    refused(server.lab, "is not the host that known_hosts knows", *options)
    assert server.known_hosts.read_text() == f"[127.0.0.1]:{server.port} {kind} {key}\n"


def test_who_cannot_be_reached_or_entered_is_said_in_a_sentence(server: Server) -> None:
    refused(f"ssh://127.0.0.1:{free_port()}", "refused the connection")
    refused("ssh://no-such-host.invalid", "no host has that name")
    refused(f"ssh://somebody@127.0.0.1:{server.port}", "let nobody in with our keys")
    refused(f"ssh://me:secret@127.0.0.1:{server.port}", "a password has no place")
    refused(f"ssh://{ALIAS}/no/such/folder", "cannot write to /no/such/folder")
    refused("ssh://", "expected ssh://")


def test_a_locked_key_is_said_and_an_agent_unlocks_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = server.home / ".ssh" / "locked"
    locked.write_bytes(server.folder.joinpath("user").read_bytes())
    locked.chmod(0o600)
    relock = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(locked)]
    subprocess.run(relock, check=True, capture_output=True)
    plain = server.home.joinpath(".ssh", "config").read_text()
    server.configure(plain.replace(str(server.folder / "user"), str(locked)))
    refused(server.lab, "the key is locked by a passphrase")
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(server.home / "agent")], stdout=subprocess.DEVNULL
    ) as agent:
        eventually(server.home.joinpath("agent").exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(server.home / "agent"))
        subprocess.run(["ssh-add", "-q", str(server.folder / "user")], check=True)
        done = trapgate("call", "--target", server.lab, *GETPID)
        agent.terminate()
    locked.unlink()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("way", ["ProxyJump", "ProxyCommand"])
def test_the_way_may_lead_over_another_host(way: str, server: Server) -> None:
    own = server.home.joinpath(".ssh", "config").read_text()
    command = (
        f"ssh -F none -i {server.folder}/user -p {server.port} -W %h:%p {server.user}@127.0.0.1"
    )
    known = f"-o UserKnownHostsFile={server.known_hosts}"
    over = ALIAS if way == "ProxyJump" else command.replace("-W", f"{known} -W")
    server.configure(f"Host behind\n    {way} {over}\n{own.replace(ALIAS, f'{ALIAS} behind')}")
    done = trapgate("call", "--target", "ssh://behind", *GETPID)
    assert done.returncode == 0, done.stderr
    server.configure(f"Host behind\n    {way} {over.replace(server.user, 'nobody-here')}\n" + own)
    if way == "ProxyCommand":
        refused("ssh://behind", "behind")


def test_a_configuration_that_leads_in_a_circle_has_an_end(server: Server) -> None:
    server.configure("Host here\n    ProxyJump there\nHost there\n    ProxyJump here\n")
    refused("ssh://here", "its ProxyJump has no end")


def test_a_lost_connection_is_lost_and_no_failure_of_a_kernel(server: Server) -> None:
    with open_host(server.lab) as host, host.start() as guest:
        assert guest.call(SYSCALL, "getpid").value > 0
        lose_sessions(server)
        with pytest.raises(GuestLost, match="was lost"):
            guest.call(SYSCALL, "getpid")
        assert not guest.usable


def lose_sessions(server: Server) -> None:
    """Kill the server's processes of each session; one may end as the other does."""
    for pid in server.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_there_however_the_harness_ends(
    end: signal.Signals, server: Server
) -> None:
    with busy_visit(server.lab) as process:
        assert len(rooms(server.rooms)) == 1
        assert_gone_after(end, process, server.process.pid)
        eventually(lambda: not rooms(server.rooms))


def test_nothing_is_left_there_when_the_server_loses_the_session(server: Server) -> None:
    with busy_visit(server.lab) as process:
        agents = family(server.process.pid) - {*server.sessions()}
        lose_sessions(server)
        eventually(lambda: not [pid for pid in agents if is_there(pid)])
        _, errors = process.communicate(timeout=60)
        assert "GuestLost" in errors


def test_scenarios_say_the_same_here_and_by_ssh(server: Server, tmp_path: Path) -> None:
    here, there = (verdicts(target, tmp_path) for target in ("local", server.lab))
    assert here == there
    assert {"pass", "skip"} <= {*here.values()}
    assert "fail" not in here.values()


def verdicts(target: str, folder: Path) -> dict[str, str]:
    """Ask some scenarios, and return the kind of each outcome."""
    report = folder / "junit.xml"
    files = [f"scenarios/test_{name}.py" for name in ("return", "flags", "personality", "ports")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    command += ["--target", target, "--junitxml", str(report)]
    subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False)
    host = "local" if target == "local" else ALIAS
    return {
        f"{case.get('classname')}.{case.get('name')}".replace(host, "host"): found.get("value", "")
        for case in ET.parse(report).getroot().iter("testcase")  # noqa: S314 - our own
        for found in case.iter("property")
        if found.get("name") == "outcome"
    }


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("ssh://host", Place("host")),
        ("ssh://me@host:2222/var/tmp/", Place("host", "me", 2222, "/var/tmp")),  # noqa: S108
        ("ssh://[::1]:22", Place("::1", port=22)),
    ],
)
def test_an_address_is_read(spec: str, place: Place) -> None:
    assert read_place(spec) == place


@pytest.mark.parametrize(
    "spec", ["ssh://h/a b", "ssh://h/$(id)", "ssh://h:x", "ssh://h?q", "ssh://h/a;b", "ssh://h#f"]
)
def test_an_address_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(DeclarationError, match="target 'ssh://h"):
        read_place(spec)

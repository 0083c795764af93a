# SPDX-License-Identifier: Apache-2.0
"""A real OpenSSH server on loopback, run by an ordinary user, and that user's own ~/.ssh.

`python tests/openssh.py` installs it where the environment says CI: on a host that somebody works
on, packages may start a server for everybody.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from visits import family

from harness.distribution import APK, APT, DNF, PACMAN, ZYPPER
from harness.doctor.install import install
from harness.tools import Tool

VISITOR, VISITOR_ID = "visitor", 61184
"""An ordinary user, for tests that run as root."""
ALIAS = "lab"
"""What the user's configuration calls the server."""
SSHD = Tool(
    name="sshd",
    executables=("sshd",),
    purpose="the other end of SSH, for tests",
    packages=dict.fromkeys((APT, DNF, APK), "openssh-server")
    | {PACMAN: "openssh", ZYPPER: "openssh"},
)
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
LogLevel VERBOSE
"""
_USER = """\
Host {alias}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/user
Host 127.0.0.1
    IdentityFile {folder}/user
"""


@dataclass(frozen=True)
class Server:
    """A server that listens.

    Attributes:
        folder: its files; `home` in it is the home of whoever connects.
        port: on 127.0.0.1.
        user: who it runs as, and whom it lets in.
        process: it.
    """

    folder: Path
    port: int
    user: str
    process: subprocess.Popen[bytes]

    @property
    def home(self) -> Path:
        """The home of whoever connects."""
        return self.folder / "home"

    @property
    def known_hosts(self) -> Path:
        """The keys of hosts that whoever connects knows."""
        return self.home / ".ssh" / "known_hosts"

    @property
    def rooms(self) -> Path:
        """Where agents get their folders, for the targets below."""
        return self.folder / "rooms"

    @property
    def spec(self) -> str:
        """The whole address."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self.rooms}"

    @property
    def lab(self) -> str:
        """By the name that the configuration has for it."""
        return f"ssh://{ALIAS}{self.rooms}"

    def configure(self, text: str) -> None:
        """Write ~/.ssh/config."""
        self.home.joinpath(".ssh", "config").write_text(text, encoding="utf-8")

    def sessions(self) -> list[int]:
        """Return the processes that serve connections."""
        return [pid for pid in family(self.process.pid) if name_of(pid) == "sshd"]


def name_of(pid: int) -> str:
    """Return what a process calls itself, empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


@contextlib.contextmanager
def running_sshd() -> Iterator[Server]:
    """Start a server that knows one key, and a home whose owner has that key and knows the host."""
    sshd = find_sshd()
    if not sshd:
        pytest.skip("no sshd here: the package openssh-server has it")
    with tempfile.TemporaryDirectory(prefix="sshd-") as folder:
        yield from _running(Path(folder), sshd)


def _running(folder: Path, sshd: str) -> Iterator[Server]:
    port, user = free_port(), who()
    home = folder / "home" / ".ssh"
    home.mkdir(parents=True)
    folder.joinpath("rooms").mkdir()
    for name in ("host", "user"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(key, check=True)
    folder.joinpath("sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
    kind, key, _ = folder.joinpath("host.pub").read_text().split()
    home.joinpath("known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    with serving(folder, sshd, port) as process:
        server = Server(folder, port, user, process)
        server.configure(_USER.format(alias=ALIAS, port=port, user=user, folder=folder))
        yield server


@contextlib.contextmanager
def serving(folder: Path, sshd: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start sshd as an ordinary user; where we are root, as one that only it has heard of."""
    command = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
    if os.geteuid() == 0:
        command = as_ordinary(folder, command)
    with folder.joinpath("log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, stdin=subprocess.DEVNULL)
    try:
        await_port(port, process)
        yield process
    finally:
        process.terminate()
        process.wait()


def as_ordinary(folder: Path, command: list[str]) -> list[str]:
    """Return what runs a command as a user that is there in a mount namespace of its own only."""
    others = Path("/etc/passwd").read_text(encoding="utf-8")
    own = f"{VISITOR}:*:{VISITOR_ID}:{VISITOR_ID}::{folder}:/bin/sh\n"
    folder.joinpath("passwd").write_text(others + own, encoding="utf-8")
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, VISITOR_ID, VISITOR_ID)
    drop = ["setpriv", f"--reuid={VISITOR_ID}", f"--regid={VISITOR_ID}", "--clear-groups", *command]
    script = f"mount --bind {folder}/passwd /etc/passwd && exec {shlex.join(drop)}"
    return ["unshare", "--mount", "sh", "-c", script]


def find_sshd() -> str | None:
    """Return the server's path, which has to be a whole one."""
    return shutil.which(SSHD.name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def who() -> str:
    """Return the name of the user that the server runs as."""
    return VISITOR if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("sshd does not listen")


if __name__ == "__main__":
    if find_sshd():
        pass
    elif os.environ.get("CI"):
        install([SSHD], print)
    else:
        print("no sshd: tests by SSH are skipped; installing it may start it for the whole host")

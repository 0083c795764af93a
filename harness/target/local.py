# SPDX-License-Identifier: Apache-2.0
"""This host: the agent as a process of ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.agent.channel import Port
from harness.errors import DeclarationError, HostError
from harness.target.host import AGENT, FOLDER_PREFIX, HostFacts

LOCAL = "local"
_CPUINFO = Path("/proc/cpuinfo")
_PATIENCE_S = 5.0
_MOMENT_S = 1.0


class LocalReach:
    """The way to this host, which is no way at all."""

    spec = LOCAL
    id = LOCAL

    def look(self) -> HostFacts:
        """Return what this host says of itself."""
        said = os.uname()
        cpu = read_model(_CPUINFO.read_text(encoding="utf-8", errors="replace"))
        return HostFacts(said.sysname, said.release, said.machine, cpu)

    @contextlib.contextmanager
    def visit(self, programs: Mapping[str, bytes]) -> Iterator[LocalVisit]:
        """Start the agent in a folder of its own; see `Reach`.

        Raises:
            HostError: there is no room for the folder, or its files cannot be executed.
        """
        try:
            room = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        except OSError as error:
            raise HostError(f"no temporary folder: {error}") from error
        ours, its = socket.socketpair()
        try:
            with ours, its, started(room, programs, its) as process:
                try:
                    yield LocalVisit(process, ours, str(room))
                finally:
                    ours.close()
        finally:
            shutil.rmtree(room, ignore_errors=True)

    def close(self) -> None:
        """Do nothing: nothing is kept."""


class LocalVisit:
    """An agent on this host.

    Args:
        process: its keeper.
        connection: our end of what is its standard input and output.
        room: its folder.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], connection: socket.socket, room: str
    ) -> None:
        self.channel = Port(connection)
        self.room = room
        self._process = process

    def find_end(self) -> int | None:
        """Return the agent's exit status, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_MOMENT_S)
        return None


@contextlib.contextmanager
def started(
    room: Path, programs: Mapping[str, bytes], its: socket.socket
) -> Iterator[subprocess.Popen[bytes]]:
    """Put programs into a folder and start the agent, which ends when its socket does."""
    try:
        for name, content in programs.items():
            room.joinpath(name).write_bytes(content)
            room.joinpath(name).chmod(0o755)
        process = subprocess.Popen(
            [room / AGENT, room],
            stdin=its.fileno(),
            stdout=its.fileno(),
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )
    except OSError as error:
        raise HostError(f"the agent did not start in {room}: {error.strerror}") from error
    its.close()
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Wait for an agent's keeper, which cleans up; without patience for ever."""
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read_model(cpuinfo: str) -> str:
    """Return what a processor calls itself, from what /proc/cpuinfo says."""
    rows = (line.partition(":") for line in cpuinfo.splitlines())
    return next((said.strip() for name, _, said in rows if name.strip() == "model name"), "x86")


def reach(spec: str, *, accept_new: bool) -> LocalReach:
    """Return the way to this host.

    Raises:
        DeclarationError: something stands behind "local".
    """
    del accept_new
    if spec != LOCAL:
        raise DeclarationError(f"target {spec!r}: expected 'local' alone")
    return LocalReach()

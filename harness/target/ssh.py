# SPDX-License-Identifier: Apache-2.0
"""Another host by SSH: the agent is copied there, run over a channel, and gone in the end."""

from __future__ import annotations

import contextlib
import secrets
import stat
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from harness.agent.channel import ChannelBroken, silence
from harness.deadline import Deadline
from harness.errors import GuestLost, HostError
from harness.target.host import AGENT, FOLDER_PREFIX, HostFacts
from harness.target.local import read_model
from harness.target.ssh_connection import Place, connect, failure, read_place

if TYPE_CHECKING:
    import paramiko

_CHUNK = 1 << 16
_MOMENT_S = 1.0
_PATIENCE_S = 5.0
_COMMAND_S = 30.0
_FACTS = "uname -srm"
_CPUINFO = "/proc/cpuinfo"


class SshChannel:
    """A channel of an SSH connection, as frames want it.

    Args:
        channel: paramiko's.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`."""
        left = memoryview(data)
        while left:
            with self._translated(deadline):
                left = left[self._channel.send(bytes(left)) :]

    def receive(self, deadline: Deadline) -> bytes:
        """Return the bytes that have come, at least one."""
        with self._translated(deadline):
            piece = bytes(self._channel.recv(_CHUNK))
        if not piece:
            raise ChannelBroken("the connection ended in the middle of a conversation")
        return piece

    @contextlib.contextmanager
    def _translated(self, deadline: Deadline) -> Iterator[None]:
        self._channel.settimeout(max(deadline.remaining_s, 1e-3))
        try:
            yield
        except TimeoutError as error:
            raise silence(deadline) from error
        except (OSError, EOFError) as error:
            raise ChannelBroken(f"the connection broke: {error}") from error


class SshVisit:
    """An agent on another host.

    Args:
        channel: over which it runs.
        room: its folder.
    """

    def __init__(self, channel: paramiko.Channel, room: str) -> None:
        self.channel = SshChannel(channel)
        self.room = room
        self._raw = channel

    def find_end(self) -> int | None:
        """Return the agent's exit status, None while it runs or when nobody has said it."""
        self._raw.status_event.wait(_MOMENT_S)
        return self._raw.exit_status if self._raw.exit_status >= 0 else None


class SshReach:
    """The way to another host; connected when first asked for.

    Args:
        place: where it is, as the user has it.
        accept_new: whether its key may be one that nobody knows yet.
    """

    def __init__(self, place: Place, *, accept_new: bool) -> None:
        self.spec = place.spec
        self.id = place.id
        self._place = place
        self._accept_new = accept_new
        self._open = contextlib.ExitStack()

    @cached_property
    def _client(self) -> paramiko.SSHClient:
        return self._open.enter_context(connect(self._place, accept_new=self._accept_new))

    @cached_property
    def _files(self) -> paramiko.SFTPClient:
        """The files there, by a channel that stays open: with the last one Dropbear 2022 leaves."""
        return self._open.enter_context(self._client.open_sftp())

    def look(self) -> HostFacts:
        """Return what the host says of itself.

        Raises:
            HostError: it cannot be reached, or does not say it.
        """
        with self._translated():
            files = self._files
            _, output, _ = self._client.exec_command(_FACTS, timeout=_COMMAND_S)
            said = output.read().decode(errors="replace")
            words = said.split()
            if len(words) != 3:  # noqa: PLR2004
                raise HostError(f"{self.spec}: expected system, release and machine, got {said!r}")
            with files.open(_CPUINFO) as cpuinfo:
                model = read_model(cpuinfo.read(_CHUNK).decode(errors="replace"))
        system, release, machine = words
        return HostFacts(system, release, machine, model)

    @contextlib.contextmanager
    def visit(self, programs: Mapping[str, bytes]) -> Iterator[SshVisit]:
        """Copy the programs there and start the agent; see `Reach`.

        Raises:
            HostError: they cannot be copied or started.
            GuestLost: the connection broke.
        """
        with self._translated():
            files = self._files
            room = f"{self._place.folder}/{FOLDER_PREFIX}{secrets.token_hex(8)}"
            try:
                self._bring(files, room, programs)
                channel = self._begin(room)
                try:
                    yield SshVisit(channel, room)
                finally:
                    leave(channel)
            finally:
                with contextlib.suppress(OSError, EOFError):
                    remove(files, room)

    def close(self) -> None:
        """End the connection."""
        self._open.close()

    def _bring(self, files: paramiko.SFTPClient, room: str, programs: Mapping[str, bytes]) -> None:
        """Make the folder, which must not be there yet, and put the programs into it."""
        try:
            files.mkdir(room, 0o700)
            for name, content in programs.items():
                with files.open(f"{room}/{name}", "wx") as file:
                    file.write(content)
                files.chmod(f"{room}/{name}", 0o755)
        except OSError as error:
            self._transport()
            said = f"{self.spec}: cannot write to {room}: {error.strerror or error}"
            raise HostError(said, hint="another folder goes behind the host's name") from error

    def _begin(self, room: str) -> paramiko.Channel:
        channel = self._transport().open_session(timeout=_COMMAND_S)
        channel.set_combine_stderr(False)
        channel.exec_command(f"{room}/{AGENT} {room}")
        return channel

    def _transport(self) -> paramiko.Transport:
        """Return the connection.

        Raises:
            GuestLost: there is none any more.
        """
        transport = self._client.get_transport()
        if not (transport and transport.is_active()):
            raise GuestLost(f"{self.spec} was lost")
        return transport

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Give the errors of paramiko their names here."""
        with failure(self._place):
            yield


def leave(channel: paramiko.Channel) -> None:
    """Have an agent end by the end of its input, and give it a moment to clean up."""
    with contextlib.suppress(OSError, EOFError):
        channel.shutdown_write()
        channel.status_event.wait(_PATIENCE_S)
        channel.close()


def remove(files: paramiko.SFTPClient, folder: str) -> None:
    """Remove a folder that the agent should have removed, if it is still there."""
    for name in files.listdir_attr(folder):
        path = f"{folder}/{name.filename}"
        if stat.S_ISDIR(name.st_mode or 0):
            remove(files, path)
        else:
            files.remove(path)
    files.rmdir(folder)


def reach(spec: str, *, accept_new: bool) -> SshReach:
    """Return the way to another host; nothing is connected yet.

    Args:
        spec: "ssh://[USER@]HOST[:PORT][/FOLDER]".
        accept_new: whether its key may be one that nobody knows yet.

    Raises:
        DeclarationError: that is no such address, or holds a password.
    """
    return SshReach(read_place(spec), accept_new=accept_new)

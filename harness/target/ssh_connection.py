# SPDX-License-Identifier: Apache-2.0
"""Connections by SSH as ssh(1) would make them: configuration, keys and known hosts are its own."""

from __future__ import annotations

import contextlib
import getpass
import logging
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from harness.deadline import Patience
from harness.errors import DeclarationError, GuestLost, HostError, TrapgateError
from harness.target.qemu import patience_for

_FOLDER = "/tmp"  # noqa: S108 - where the host's users have theirs; ours is made in it
_FORM = "ssh://[USER@]HOST[:PORT][/FOLDER]"
_PLAIN_FOLDER = re.compile(r"(/[\w.,+@-]+)*")
_SSH_PORT = 22
_KEEPALIVE_S = 15
_NONE = "none"
_MOST_JUMPS = 8
_ACCEPT = "check it, and give --accept-new-host-key to have it added"


@dataclass(frozen=True)
class Place:
    """Where a host is, as the user has it.

    Attributes:
        host: its name, or what the user's configuration calls it.
        user: who to be there, empty for what the configuration says.
        port: 0 for what the configuration says.
        folder: in which the agent gets its own.
    """

    host: str
    user: str = ""
    port: int = 0
    folder: str = _FOLDER

    @property
    def id(self) -> str:
        """A short name."""
        who = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{who}{self.host}{port}"

    @property
    def spec(self) -> str:
        """What reads back as the same."""
        return f"ssh://{self.id}{'' if self.folder == _FOLDER else self.folder}"


def read_place(spec: str) -> Place:
    """Read "ssh://[USER@]HOST[:PORT][/FOLDER]".

    Raises:
        DeclarationError: it is something else, or it holds a password.
    """
    try:
        parts = urlsplit(spec)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise DeclarationError(f"target {spec!r}: {error}", hint=f"expected {_FORM}") from error
    if parts.password is not None:
        raise DeclarationError(
            f"target ssh://{parts.username}:...@{host}: a password has no place on a command line",
            hint="use a key, or ssh-agent",
        )
    folder = parts.path.rstrip("/")
    if not host or parts.query or parts.fragment or not _PLAIN_FOLDER.fullmatch(folder):
        raise DeclarationError(f"target {spec!r}: expected {_FORM}")
    return Place(host, parts.username or "", port, folder or _FOLDER)


@dataclass(frozen=True)
class Settings:
    """What the user's configuration says of a host.

    Attributes:
        place: the host.
        said: `ssh_config`'s keywords in lower case.
    """

    place: Place
    said: paramiko.SSHConfigDict

    @property
    def address(self) -> tuple[str, int]:
        """Host name and port."""
        return self.said["hostname"], self.place.port or int(self.said.get("port", _SSH_PORT))

    @property
    def user(self) -> str:
        """Who to be there."""
        return str(self.place.user or self.said.get("user") or getpass.getuser())

    @property
    def keys(self) -> list[str]:
        """The files of the keys that the configuration names and that are there."""
        named = (Path(path).expanduser() for path in self.said.get("identityfile", ()))
        return [str(path) for path in named if path.is_file()]

    @property
    def known_hosts(self) -> list[Path]:
        """Files of host keys, the one to add to first; see ssh_config(5)."""
        own = self.said.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
        shared = self.said.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts")
        return [Path(name).expanduser() for name in shlex.split(f"{own} {shared}")]

    @property
    def jumps(self) -> list[Place]:
        """The hosts on the way, in order."""
        said = str(self.said.get("proxyjump", _NONE))
        names = [] if said == _NONE else said.split(",")
        return [read_place(n if n.startswith("ssh://") else f"ssh://{n.strip()}") for n in names]

    @property
    def command(self) -> str:
        """What to talk to instead of a socket, empty for nothing."""
        said = str(self.said.get("proxycommand", _NONE))
        return "" if said == _NONE else said

    @cached_property
    def patience(self) -> Patience:
        """How long connecting may take."""
        return patience_for("none")


def read_settings(place: Place) -> Settings:
    """Look a host up in ~/.ssh/config.

    Raises:
        DeclarationError: that file makes no sense.
    """
    path = Path("~/.ssh/config").expanduser()
    try:
        config = paramiko.SSHConfig.from_path(str(path)) if path.is_file() else paramiko.SSHConfig()
        return Settings(place, config.lookup(place.host))
    except (paramiko.SSHException, OSError) as error:
        raise DeclarationError(f"{path}: {error}") from error


class AskedToAccept(paramiko.MissingHostKeyPolicy):
    """What becomes of a host whose key nobody knows.

    Args:
        file: where keys are added, None where none is accepted.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Add it, or end the connection."""
        del client
        if not self._file:
            raise HostError(
                f"{hostname} is not in known_hosts: its key is {key.get_name()} {key.fingerprint}",
                hint=_ACCEPT,
            )
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as known:
            known.write(f"{hostname} {key.get_name()} {key.get_base64()}\n")


@contextlib.contextmanager
def connect(place: Place, *, accept_new: bool) -> Iterator[paramiko.SSHClient]:
    """Yield a connection as ssh would make it, jump hosts included.

    Args:
        place: the host.
        accept_new: whether the key of a host may be one that nobody knows yet.

    Raises:
        DeclarationError: the user's configuration makes no sense.
        HostError: a host cannot be reached, is not who it should be, or does not let us in.
    """
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    settings = read_settings(place)
    with contextlib.ExitStack() as stack:
        way = _way_to(settings, stack, accept_new=accept_new, jumps=_MOST_JUMPS)
        yield stack.enter_context(_client(settings, way, accept_new=accept_new))


def _way_to(
    settings: Settings, stack: contextlib.ExitStack, *, accept_new: bool, jumps: int
) -> socket.socket | paramiko.Channel:
    """Return what carries the connection to a host."""
    if settings.jumps:
        if not jumps:
            raise DeclarationError(f"{settings.place.id}: its ProxyJump has no end")
        *before, last = settings.jumps
        through = read_settings(last)
        said = ",".join(place.spec for place in before)
        if said:
            through = replace(through, said=_with_jumps(through, said))
        way = _way_to(through, stack, accept_new=accept_new, jumps=jumps - 1)
        client = stack.enter_context(_client(through, way, accept_new=accept_new))
        with failure(settings.place):
            transport = client.get_transport()
            assert transport  # noqa: S101 - connected
            return transport.open_channel("direct-tcpip", settings.address, ("127.0.0.1", 0))
    if settings.command:
        return stack.enter_context(_talking_to(settings.command))
    with failure(settings.place):
        return socket.create_connection(settings.address, settings.patience.start_s)


def _with_jumps(settings: Settings, said: str) -> paramiko.SSHConfigDict:
    changed = paramiko.SSHConfigDict(settings.said)
    changed["proxyjump"] = said
    return changed


@contextlib.contextmanager
def _talking_to(command: str) -> Iterator[socket.socket]:
    """Yield a socket that is standard input and output of a ProxyCommand."""
    ours, its = socket.socketpair()
    with ours, its:
        process = subprocess.Popen(  # noqa: S602 - the user's own, which is a line for a shell
            f"exec {command}",
            shell=True,
            stdin=its.fileno(),
            stdout=its.fileno(),
            start_new_session=True,
        )
        its.close()
        try:
            yield ours
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _client(
    settings: Settings, way: socket.socket | paramiko.Channel, *, accept_new: bool
) -> Iterator[paramiko.SSHClient]:
    """Yield a connection over `way`, encrypted, with a host that is who it should be."""
    client = paramiko.SSHClient()
    try:
        with failure(settings.place):
            _authenticate(client, settings, way, accept_new=accept_new)
        yield client
    finally:
        client.close()
        way.close()


def _authenticate(
    client: paramiko.SSHClient,
    settings: Settings,
    way: socket.socket | paramiko.Channel,
    *,
    accept_new: bool,
) -> None:
    files = settings.known_hosts
    for file in files:
        if file.is_file():
            client.load_system_host_keys(str(file))
    client.set_missing_host_key_policy(AskedToAccept(files[0] if accept_new else None))
    host, port = settings.address
    client.connect(
        str(settings.said.get("hostkeyalias", host)),
        port,
        settings.user,
        key_filename=settings.keys,  # type: ignore[arg-type]
        look_for_keys=not settings.keys,
        allow_agent=settings.said.get("identitiesonly", "no") != "yes",
        sock=way,
        timeout=settings.patience.start_s,
        banner_timeout=settings.patience.start_s,
        auth_timeout=settings.patience.start_s,
    )
    transport = client.get_transport()
    assert transport  # noqa: S101 - connected
    transport.set_keepalive(_KEEPALIVE_S)


@contextlib.contextmanager
def failure(place: Place) -> Iterator[None]:
    """Turn what paramiko and sockets raise into one sentence about a host.

    Raises:
        HostError: it could not be reached or entered.
        GuestLost: it was, and is no more.
    """
    try:
        yield
    except TrapgateError:
        raise
    except _KNOWN as error:
        raise _explain(place, error) from error


_KNOWN = (OSError, EOFError, paramiko.SSHException)


def _explain(place: Place, error: Exception) -> HostError:
    said = next((says for kind, says in _SENTENCES if isinstance(error, kind)), "{error}")
    text = said.format(place=place.id, error=getattr(error, "strerror", None) or error)
    hint = _HINTS.get(type(error), "")
    return (GuestLost if isinstance(error, EOFError) else HostError)(text, hint=hint)


_SENTENCES: Sequence[tuple[type[Exception], str]] = (
    (socket.gaierror, "{place}: no host has that name ({error})"),
    (NoValidConnectionsError, "{place} cannot be reached: {error}"),
    (ConnectionRefusedError, "{place} refused the connection: is sshd running there?"),
    (TimeoutError, "{place} did not answer in time"),
    (paramiko.BadHostKeyException, "{place} is not the host that known_hosts knows: {error}"),
    (paramiko.PasswordRequiredException, "{place}: the key is locked by a passphrase"),
    (paramiko.AuthenticationException, "{place} let nobody in with our keys ({error})"),
    (paramiko.SSHException, "{place}: {error}"),
    (EOFError, "{place} was lost: the connection ended"),
    (OSError, "{place}: {error}"),
)
_HINTS: dict[type[Exception], str] = {
    paramiko.BadHostKeyException: "if it has a new key, `ssh-keygen -R` forgets the old one",
    paramiko.PasswordRequiredException: "`ssh-add` unlocks it for ssh-agent",
    paramiko.AuthenticationException: "see whether `ssh` itself gets in there without a password",
}

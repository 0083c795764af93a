# SPDX-License-Identifier: Apache-2.0
"""Real hosts: the agent as an ordinary process of a machine that is to stay as it is."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from harness.agent.channel import Channel, ChannelBroken, ChannelSilent
from harness.agent.client import AgentClient
from harness.agent.frames import FrameStream
from harness.agent.guest import Guest
from harness.agent.identity import Identity
from harness.arch import ARCH_I386, ARCH_X86_64, Abi, Arch
from harness.build.programs import agent_recipe, build_program, executor_recipe
from harness.deadline import Deadline
from harness.errors import DeclarationError, GuestLost, HostError, TrapgateError
from harness.suggest import nearest
from harness.target.harmless import Harmless
from harness.target.qemu import patience_for
from harness.target.target import QEMU
from harness.version import KernelVersion
from harness.wire import Place

_MODULES = {"local": "harness.target.local", "ssh": "harness.target.ssh"}
"""Who reaches a host, by the scheme of what it is called; each has a function `reach`."""
_ARCHES = {"x86_64": ARCH_X86_64, **{f"i{n}86": ARCH_I386 for n in range(3, 7)}}
_NO_ACCELERATOR = "none"
AGENT = "agent"
"""What the agent's file is called in its folder."""
FOLDER_PREFIX = "trapgate-agent-"
"""What the name of that folder begins with."""

_WHY_ENDED = {
    11: "it cannot enter its folder",
    12: "it was started as root, and cannot become anybody else",
    13: "it cannot start processes",
    126: "its file cannot be executed there (is the file system mounted noexec?)",
    127: "its file is not there",
}
"""Exit statuses of `guest/agent/host.c`, and those of a shell."""


@dataclass(frozen=True)
class HostFacts:
    """What a host says of itself.

    Attributes:
        system: "Linux", or something else that cannot be asked.
        release: what `uname -r` says.
        machine: what `uname -m` says.
        cpu: what its processor calls itself.
    """

    system: str
    release: str
    machine: str
    cpu: str


class Visit(Protocol):
    """An agent that runs on a host.

    Attributes:
        channel: what its frames travel through.
        room: the folder that it lives in.
    """

    channel: Channel
    room: str

    def find_end(self) -> int | None:
        """Return the agent's exit status, None while it runs or when nobody knows."""


class Reach(Protocol):
    """A way to a host.

    Attributes:
        spec: what the user calls it.
        id: a short name.
    """

    spec: str
    id: str

    def look(self) -> HostFacts:
        """Return what the host says of itself; for the first time, this connects."""

    def visit(self, programs: Mapping[str, bytes]) -> contextlib.AbstractContextManager[Visit]:
        """Put programs into a folder of their own and start the agent among them.

        Both are gone when the block is left, and when this process ends in whatever way.
        """

    def close(self) -> None:
        """End the connection."""


class HostTarget:
    """The kernel of a real host; it stays connected until it is closed.

    Args:
        reach: the way there.

    Attributes:
        spec: what the user calls it.
        id: a short name for test identifiers.
    """

    memory_mib = 0

    def __init__(self, reach: Reach) -> None:
        self.spec = reach.spec
        self.id = reach.id
        self._reach = reach

    @cached_property
    def facts(self) -> HostFacts:
        """What the host says of itself.

        Raises:
            HostError: it cannot be reached.
        """
        return self._reach.look()

    @cached_property
    def arch(self) -> Arch:
        """What its kernel was built for.

        Raises:
            DeclarationError: that is neither x86_64 nor i386 Linux.
        """
        said = self.facts
        if said.system != "Linux" or said.machine not in _ARCHES:
            raise DeclarationError(
                f"{self.spec} runs {said.system} on {said.machine}: expected Linux on x86"
            )
        return _ARCHES[said.machine]

    @cached_property
    def version(self) -> KernelVersion:
        """Its kernel's version, as far as the release says it."""
        return KernelVersion.parse(self.facts.release)

    @property
    def identity(self) -> Identity:
        """What messages call it."""
        said = self.facts
        return Identity(
            spec=self.spec,
            arch=self.arch,
            version=self.version,
            release=said.release,
            accelerator=_NO_ACCELERATOR,
            cpu=said.cpu,
            target=self.spec,
        )

    @contextlib.contextmanager
    def start(self) -> Iterator[Guest]:
        """Start an agent there; nothing of it is left when the block is.

        Raises:
            HostError: it cannot be started there.
            GuestLost: the connection broke.
        """
        identity, patience = self.identity, patience_for(_NO_ACCELERATOR)
        with self._reach.visit(programs_for(self.arch)) as visit:
            client = AgentClient(FrameStream(visit.channel))
            carrier = Lost(visit, self.spec)
            try:
                hello = client.greet(Deadline.after(patience.start_s, "agent's start"))
            except (ChannelBroken, ChannelSilent) as error:
                raise carrier.explain_start(error) from error
            room = "" if hello.place is Place.ROOM else visit.room
            guard = Harmless(identity, room)
            guest = Guest(client, carrier, identity, patience, guard=guard, room=room)
            guard.absent = find_absent(guest)
            guest.begin()
            yield guest

    def close(self) -> None:
        """End the connection."""
        self._reach.close()


@dataclass(frozen=True)
class Lost:
    """Says what became of an agent on a host that does not answer; its kernel is never to blame.

    Attributes:
        visit: the agent.
        spec: what its host is called.
    """

    visit: Visit
    spec: str

    def explain(self, error: TrapgateError) -> TrapgateError:
        """Return what happened, as far as anybody knows."""
        status = self.visit.find_end()
        said = f"the agent ended with {status}" if status is not None else error.message
        return GuestLost(f"{self.spec} was lost: {said}", hint=error.hint)

    def explain_start(self, error: TrapgateError) -> TrapgateError:
        """Return why there is no hello."""
        status = self.visit.find_end()
        if status is None:
            return GuestLost(f"{self.spec} was lost: {error.message}")
        why = _WHY_ENDED.get(status, f"it ended with {status}")
        return HostError(f"the agent did not start at {self.spec}: {why}")


def find_absent(guest: Guest) -> frozenset[Abi]:
    """Return the ABIs whose programs a host's kernel does not run, though its like could."""
    absent = set()
    for abi in guest.identity.arch.abis[1:]:
        try:
            guest.about(abi)
        except GuestLost:
            raise
        except HostError:
            absent.add(abi)
    return frozenset(absent)


def programs_for(arch: Arch) -> dict[str, bytes]:
    """Return the agent and its executors by their files' names, compiled if need be."""
    made = {f"executor.{abi}": build_program(executor_recipe(abi), abi) for abi in arch.abis}
    made[AGENT] = build_program(agent_recipe(arch.abi), arch.abi)
    return {name: path.read_bytes() for name, path in made.items()}


@contextlib.contextmanager
def open_host(spec: str, *, accept_new: bool = False) -> Iterator[HostTarget]:
    """Connect to what a user calls a target; the connection ends when the block is left.

    Args:
        spec: "local", or "ssh://[USER@]HOST[:PORT][/FOLDER]".
        accept_new: whether a host may be trusted that nobody knows yet.

    Raises:
        DeclarationError: there is no such kind of target.
        HostError: it cannot be reached.
    """
    target = find_host(spec, accept_new=accept_new)
    try:
        yield target
    finally:
        target.close()


def find_host(spec: str, *, accept_new: bool = False) -> HostTarget:
    """Return a host to be closed by the caller; see `open_host`. Nothing is connected yet."""
    scheme = spec.partition("://")[0]
    if scheme not in _MODULES:
        hint = nearest(scheme, [QEMU, *_MODULES])
        raise DeclarationError(
            f"unknown target {spec!r}: expected qemu, local or ssh://user@host", hint=hint
        )
    module = importlib.import_module(_MODULES[scheme])
    return HostTarget(module.reach(spec, accept_new=accept_new))

# SPDX-License-Identifier: Apache-2.0
"""The options of every command that starts a machine, written once."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from harness.cli.parameter import Option
from harness.cli.progress import shown_progress
from harness.errors import DeclarationError
from harness.kernels import Kernel, Supply, find_source, obtain
from harness.machine.plan import DEFAULT_MEMORY_MIB, MachineOptions
from harness.target.target import QEMU, QemuTarget, Target

_Kernel = Annotated[
    str,
    Option("--kernel", metavar="SPEC", help="A name of `trapgate kernels list`, or a file's path."),
]
_Cpu = Annotated[str, Option("--cpu", metavar="MODEL", help="As QEMU spells it.")]
_Boot = Annotated[bool, Option("--boot", help="Boot, do not clone a kept state.")]
_Accel = Annotated[str, Option("--accel", help="auto, tcg or kvm.")]
_Memory = Annotated[int, Option("--memory", metavar="MIB", help="The guest's memory.")]
_Append = Annotated[
    list[str] | None,
    Option(
        "--append",
        "--kernel-append",
        metavar="PARAMETER",
        help="A kernel parameter; may be repeated.",
    ),
]
_Mirror = Annotated[
    list[str] | None,
    Option("--mirror", metavar="URL", help="A Debian mirror; may be repeated."),
]
_Target = Annotated[
    str,
    Option(
        "--target",
        metavar="TARGET",
        help="qemu, local (this host) or ssh://[USER@]HOST[:PORT][/FOLDER].",
    ),
]
_AcceptNew = Annotated[
    bool,
    Option("--accept-new-host-key", help="Trust a host by SSH that known_hosts does not have."),
]


@dataclass(frozen=True)
class MachineChoice:
    """What the user said about kernel and machine.

    Attributes:
        spec: the kernel's, empty when none was named.
        options: the machine's.
        mirrors: where to fetch from; may be empty.
        target: what is asked: "qemu" boots kernels, anything else has its own.
        accept_new: whether a host is trusted that nobody knows yet.
    """

    spec: str
    options: MachineOptions
    mirrors: tuple[str, ...]
    target: str = QEMU
    accept_new: bool = False

    @property
    def boots(self) -> bool:
        """Whether a kernel is booted, and not that of a real host asked."""
        return self.target == QEMU

    @contextlib.contextmanager
    def open_target(self, default: str) -> Iterator[Target]:
        """Yield what is asked; where a kernel is booted, the named one or that of spec `default`.

        Raises:
            DeclarationError: there is no such target, or it cannot have that kernel and machine.
            HostError: it cannot be reached.
        """
        if self.boots:
            yield QemuTarget(self.obtain(default), self.options)
            return
        if self.spec or self.options != MachineOptions():
            raise DeclarationError(
                f"{self.target} has a kernel and a machine already",
                hint="--kernel, --cpu, --accel, --memory, --append and --boot are QEMU's",
            )
        from harness.target.host import open_host  # noqa: PLC0415 - guests have no need of it

        with open_host(self.target, accept_new=self.accept_new) as host:
            yield host

    def obtain(self, default: str) -> Kernel:
        """Return the named kernel, or the one of spec `default`, fetching it if need be.

        Raises:
            DeclarationError: there is no such kernel, or that of a real host was to be asked.
        """
        if not self.boots:
            raise DeclarationError(f"this command boots a kernel, which {self.target} does not")
        source = find_source(self.spec or default)
        with shown_progress() as reporter:
            return obtain(source, Supply(self.mirrors, reporter=reporter))


def _gather(  # noqa: PLR0913 - one parameter an option
    *,
    kernel: _Kernel = "",
    cpu: _Cpu = "",
    accel: _Accel = "auto",
    boot: _Boot = False,
    memory: _Memory = DEFAULT_MEMORY_MIB,
    append: _Append = None,
    mirror: _Mirror = None,
    target: _Target = QEMU,
    accept_new: _AcceptNew = False,
) -> MachineChoice:
    options = MachineOptions(cpu, accel, memory, append=tuple(append or ()), boot=boot)
    return MachineChoice(kernel, options, tuple(mirror or ()), target, accept_new)


def takes_machine(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a machine; it gets them as its keyword `machine`."""
    own = inspect.signature(command, eval_str=True)
    shared = inspect.signature(_gather, eval_str=True).parameters
    rest = [parameter for name, parameter in own.parameters.items() if name != "machine"]

    @functools.wraps(command)
    def with_machine(*arguments: Any, **given: Any) -> None:
        machine = _gather(**{name: given.pop(name) for name in shared})
        command(*arguments, machine=machine, **given)

    parameters = [*rest, *shared.values()]
    with_machine.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_machine.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_machine

# SPDX-License-Identifier: Apache-2.0
"""What one process of a guest does in its kernel, recorded by tracefs while calls are made.

Source: Documentation/trace/events.rst, kprobetrace.rst, ftrace.rst (6.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import O_NONBLOCK, O_RDONLY

from harness.agent.arguments import Buffer
from harness.agent.guest import Guest
from harness.entry import EntryPath
from harness.evidence.events import STACK, Event, decode_page, header_bytes, parse_format
from harness.evidence.trouble import NotShown, refusal_unshown
from harness.landscape import PAGE

_ROOT = "/sys/kernel/tracing"
_GROUP = "trapgate"
_RAW = f"{_ROOT}/per_cpu/cpu0/trace_pipe_raw"
CALLS = ("raw_syscalls/sys_enter", "raw_syscalls/sys_exit")
FAULTS = ("exceptions/page_fault_kernel",)
_PAGES_AT_ONCE = 8
_MOST_PAGES = 64


@dataclass(frozen=True)
class Probe:
    """A place in the kernel at which something is recorded.

    Attributes:
        name: what its events are called.
        where: a symbol, or an address in hexadecimal.
        fetched: by field, what is recorded, as kprobetrace.rst spells it.
    """

    name: str
    where: str
    fetched: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the line for kprobe_events."""
        values = (f"{name}={text}" for name, text in self.fetched.items())
        return " ".join([f"p:{_GROUP}/{self.name}", self.where, *values])


class Recording:
    """Records while it is on.

    Args:
        guest: whose kernel.
        entry: the entry path of its own ABI, through which it is asked.

    Attributes:
        refused: why, by name, for each probe that the kernel did not take.
    """

    def __init__(self, guest: Guest, entry: EntryPath) -> None:
        self._guest = guest
        self._entry = entry
        self.refused: dict[str, str] = {}
        self._probes: list[str] = []
        self._wanted: tuple[str, ...] = ()
        self._pid = 0
        self._in_place: tuple[tuple[Probe, ...], tuple[str, ...]] | None = None

    def start(self, pid: int, probes: Sequence[Probe] = (), events: Sequence[str] = ()) -> None:
        """Begin to record what a process does, with the kernel's stack at each event.

        The same once more costs little: what was read is gone, and all is in place.

        Args:
            pid: the process.
            probes: places to look at.
            events: the kernel's own events, "SYSTEM/EVENT".

        Raises:
            NotShown: the kernel has no tracefs, or does not let it be used.
        """
        asked = (tuple(probes), tuple(events))
        anew = self._in_place != asked
        if anew:
            self._prepare()
        if self._pid != pid:
            self._write("set_event_pid", str(pid))
            self._pid = pid
        if anew:
            self._place(probes)
            self._wanted = (*events, *(f"{_GROUP}/{name}" for name in self._probes))
            self._write("set_event", "\n".join(event.replace("/", ":") for event in self._wanted))
            self._in_place = asked
        self._write("tracing_on", "1")

    def stop(self) -> list[Event]:
        """Stop, and return what was recorded, in order."""
        self._write("tracing_on", "0")
        formats = [
            parse_format(self._read(f"events/{event}/format"))
            for event in (f"ftrace/{STACK}", *self._wanted)
        ]
        header = header_bytes(self._read("events/header_page"))
        word = self._guest.identity.arch.abi.word_bytes
        return [
            event for page in self._pages() for event in decode_page(page, header, formats, word)
        ]

    def _prepare(self) -> None:
        """Mount tracefs, or forget what was recorded last."""
        self._in_place = None
        if self._wanted:
            for name in ("set_event", "kprobe_events", "trace"):
                self._write(name, "")
        else:
            arguments = (b"tracefs\0", f"{_ROOT}\0".encode(), b"tracefs\0", 0, 0)
            self._guest.call(self._entry, "mount", *arguments)
        with refusal_unshown():
            self._write("options/stacktrace", "1")

    def _place(self, probes: Sequence[Probe]) -> None:
        """Put probes; one that is refused is left out."""
        taken: list[Probe] = []
        self.refused.clear()
        if self._wrote_all(probes):
            taken = list(probes)
        else:
            for probe in probes:
                taken += [probe] if self._wrote_all([*taken, probe]) else []
        refused = [probe for probe in probes if probe not in taken]
        self.refused |= {p.name: f"the kernel takes no probe at {p.where}" for p in refused}
        self._probes = [probe.name for probe in taken]

    def _wrote_all(self, probes: Sequence[Probe]) -> bool:
        """Write the whole file of probes, which drops those that it had."""
        try:
            with refusal_unshown():
                self._write("kprobe_events", "\n".join(map(str, probes)))
        except NotShown:
            return False
        return True

    def _pages(self) -> Iterator[bytes]:
        path = f"{_RAW}\0".encode()
        fd = self._guest.call(self._entry, "open", path, O_RDONLY | O_NONBLOCK).value
        reads = [("read", fd, Buffer(PAGE), PAGE)] * _PAGES_AT_ONCE
        for _ in range(_MOST_PAGES // _PAGES_AT_ONCE):
            said = self._guest.series(self._entry, reads)
            pages = [outcome.memory[0][: outcome.value] for outcome in said if outcome.value > 0]
            yield from pages
            if len(pages) < len(reads):
                break
        else:
            self._in_place = None
        self._guest.call(self._entry, "close", fd)

    def _read(self, name: str) -> str:
        return self._guest.read_file(f"{_ROOT}/{name}").decode("ascii", "replace")

    def _write(self, name: str, text: str) -> None:
        self._guest.write_file(f"{_ROOT}/{name}", f"{text}\n".encode())

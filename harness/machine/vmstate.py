# SPDX-License-Identifier: Apache-2.0
"""What QEMU has saved of a machine's devices, read so that it can be loaded again at little cost.

A load makes TCG forget all the code that it has translated, since the section `cpu_common` says
that memory may have changed behind its back; the guest then spends most of its time in
translation. Who gives each changed page its old bytes back, and knows that no code was among them,
may leave that section out: the processor's reset before a load has set the same two fields already.
The section `ram` holds the firmware, which nobody can write to: who has loaded it once has it.
Where things are is not guessed: a stream ends with a description of itself, which a load skips.
Source: QEMU 7.2, cpu.c cpu_common_post_load, migration/savevm.c vmstate_save, load_snapshot and
qemu_loadvm_state, hw/core/cpu-common.c cpu_common_reset, hw/i386/x86.c x86_bios_rom_init;
scripts/analyze-migration.py reads the same description.
"""

from __future__ import annotations

import itertools
import json
import struct
from dataclasses import dataclass
from typing import Any

_MAGIC = b"QEVM"
_DESCRIPTION = b'{"page_size"'
_NO_DESCRIPTION = b"{}"
_RAM = b"\x03ram"
_START, _FULL, _FOOTER = 1, 4, 0x7E
_LENGTH = struct.Struct(">I")
_OFFSET = struct.Struct(">q")
_NUMBERS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Stream:
    """A saved state, as bytes that can be loaded.

    Attributes:
        content: the bytes.
        tsc_offset_at: where in them the offset of the time stamp counter is.
    """

    content: bytes
    tsc_offset_at: int

    def with_tsc_offset(self, ticks: int) -> bytes:
        """Return the bytes with another offset."""
        return (
            self.content[: self.tsc_offset_at]
            + _OFFSET.pack(ticks)
            + self.content[self.tsc_offset_at + _OFFSET.size :]
        )


@dataclass(frozen=True)
class SavedDevices:
    """What a container holds.

    Attributes:
        start: where in the container the stream begins.
        ticks: what the time stamp counter held when the state was saved.
        whole: the stream as it was saved.
        lean: the same for a machine that has loaded the whole before, without what makes TCG
            forget; None where that section has to be loaded.
    """

    start: int
    ticks: int
    whole: Stream
    lean: Stream | None


def read_saved_devices(container: bytes) -> SavedDevices | None:
    """Read a container, None where it is not as we know it.

    Args:
        container: the file of a snapshot-save, with its one stream in consecutive clusters.
    """
    try:
        start, text_at, length = _locate(container)
        devices = json.loads(container[text_at : text_at + length])["devices"]
        whole = container[start : text_at + length]
        common, cpu, timer = (_find(whole, devices, n) for n in ("cpu_common", "cpu", "timer"))
        offset_at = cpu.field("env.tsc_offset")
        (ticks,) = _OFFSET.unpack_from(whole, timer.field("cpu_ticks_offset"))
        (offset,) = _OFFSET.unpack_from(whole, offset_at)
        stream = Stream(whole, offset_at)
        lean = _make_lean(stream, devices, common, length)
    except (ValueError, LookupError, TypeError):
        return None
    return SavedDevices(start, ticks + offset, stream, lean)


def read_saved_processor(container: bytes) -> dict[str, int]:
    """Read the numbers that a container has of the processor, by QEMU's names ("env.lstar").

    Returns:
        Those of 1, 2, 4 or 8 bytes; nothing where the container is not as we know it.
    """
    try:
        start, text_at, length = _locate(container)
        devices = json.loads(container[text_at : text_at + length])["devices"]
        cpu = _find(container[start:text_at], devices, "cpu")
    except (ValueError, LookupError, TypeError):
        return {}
    fields = cpu.description["fields"]
    places = itertools.accumulate(map(_size, fields), initial=start + cpu.data)
    return {
        field["name"]: int.from_bytes(container[at : at + field["size"]], "big")
        for at, field in zip(places, fields, strict=False)
        if field["size"] in _NUMBERS and "array_len" not in field
    }


def _locate(container: bytes) -> tuple[int, int, int]:
    """Return where the stream begins, where its description does, and the length of that, in bytes.

    Raises:
        ValueError: there is none.
    """
    start = container.index(_MAGIC)
    text_at = container.index(_DESCRIPTION, start)
    return start, text_at, _LENGTH.unpack_from(container, text_at - _LENGTH.size)[0]


def _make_lean(
    whole: Stream, devices: list[dict[str, Any]], common: _Section, text_bytes: int
) -> Stream | None:
    """Leave out what need not be loaded again, unless an interrupt was on its way.

    A processor that was halted goes on as if one had come: the kernel's idle loop looks around.
    """
    content = whole.content
    if any(content[common.field("interrupt_request") : common.end]):
        return None
    ram, first = _find_ram(content), _find(content, devices, devices[0]["name"]).start
    cuts = ((ram, first), (common.start, common.footer_end))
    described = len(content) - text_bytes - _LENGTH.size
    kept = (content[:ram], content[first : common.start], content[common.footer_end : described])
    gone = sum(end - start for start, end in cuts if start < whole.tsc_offset_at)
    closing = _LENGTH.pack(len(_NO_DESCRIPTION)) + _NO_DESCRIPTION
    return Stream(b"".join(kept) + closing, whole.tsc_offset_at - gone)


def _find_ram(stream: bytes) -> int:
    """Return where the memory's first section starts; the devices' follow its last one.

    Raises:
        LookupError: there is none.
    """
    start = stream.find(_RAM) - 1 - _LENGTH.size
    if start < 0 or stream[start] != _START:
        raise LookupError("ram")
    return start


@dataclass(frozen=True)
class _Section:
    """Where one device's section is in a stream.

    Attributes:
        start: of its header.
        data: of its first field.
        end: past its last field; what follows belongs to subsections, or is the footer.
        description: QEMU's own.
    """

    start: int
    data: int
    end: int
    description: dict[str, Any]

    @property
    def footer_end(self) -> int:
        """Past the footer of a section without subsections."""
        return self.end + 1 + _LENGTH.size

    def field(self, name: str) -> int:
        """Return where in the stream a field is.

        Raises:
            LookupError: there is none.
        """
        fields = self.description["fields"]
        sizes = itertools.accumulate(map(_size, fields), initial=self.data)
        return next(at for at, f in zip(sizes, fields, strict=False) if f["name"] == name)


def _find(stream: bytes, devices: list[dict[str, Any]], name: str) -> _Section:
    """Find a section by its name, and make sure that it is as long as it says.

    Raises:
        LookupError: it is not there, not once only, or not as described.
    """
    (device,) = (d for d in devices if d["name"] == name)
    title = bytes([len(name)]) + name.encode()
    header = title + struct.pack(">II", device["instance_id"], device["version"])
    at = stream.index(header)
    start, data = at - 1 - _LENGTH.size, at + len(header)
    section = _Section(start, data, data + sum(map(_size, device["fields"])), device)
    if stream.find(header, at + 1) >= 0 or stream[start] != _FULL or not _closes(stream, section):
        raise LookupError(name)
    return section


def _closes(stream: bytes, section: _Section) -> bool:
    """Tell whether a footer with the section's own number follows, unless subsections do."""
    if section.description.get("subsections"):
        return True
    number = stream[section.start + 1 : section.start + 1 + _LENGTH.size]
    return stream[section.end : section.footer_end] == bytes([_FOOTER]) + number


def _size(field: dict[str, Any]) -> int:
    size: int = field["size"] * field.get("array_len", 1)
    return size

# SPDX-License-Identifier: Apache-2.0
"""All evidence of one guest's kernel, each piece read when it is first asked for."""

from __future__ import annotations

import functools
from os import O_RDONLY

from harness.agent.arguments import Buffer
from harness.agent.code import place_code
from harness.agent.guest import AnyCall, Guest
from harness.arch import Abi
from harness.entry import EntryPath, function_path, native_entry
from harness.evidence.btf import Layout, parse_layout
from harness.evidence.elf import MOST_BYTES, ElfSection, read_sections
from harness.evidence.exceptions import ExceptionTable, parse_exception_table
from harness.evidence.gates import VECTORS, Gate, decode_gates, gate_bytes
from harness.evidence.memory import KernelMemory
from harness.evidence.msr import BY_EMULATOR, BY_MODULE, SAVED_AS, Msr, MsrReading
from harness.evidence.path import Text
from harness.evidence.storage import read_symbols
from harness.evidence.symbols import Symbols
from harness.evidence.tracing import Recording
from harness.evidence.trouble import NotShown
from harness.kernels.kernel import Kernel

_MODULE, _DEVICE = "msr", "/dev/cpu/0/msr"
_SIDT = {32: bytes.fromhex("0f010b31c0c3"), 64: bytes.fromhex("0f010f31c0c3")}
"""sidt to where the first argument points, then return 0."""
_TEXT = ".text"
_MSR_BYTES = 8


class Inside:
    """What one guest's kernel shows of itself.

    Args:
        guest: runs it; its executor of the kernel's own ABI makes the calls that are needed.
        kernel: its files.
    """

    def __init__(self, guest: Guest, kernel: Kernel) -> None:
        self.guest = guest
        self.kernel = kernel
        self.memory = KernelMemory(guest)

    @property
    def abi(self) -> Abi:
        """The kernel's own ABI."""
        return self.kernel.arch.abi

    @property
    def native(self) -> EntryPath:
        """The entry path of the kernel's own ABI that every processor has."""
        return native_entry(self.abi)

    @functools.cached_property
    def symbols(self) -> Symbols:
        """The kernel's symbols, those of modules left out."""
        return read_symbols(self.guest, self.memory.kcore)

    @functools.cached_property
    def recording(self) -> Recording:
        """What records a process's events."""
        return Recording(self.guest, self.native)

    @functools.cached_property
    def text(self) -> Text:
        """The kernel's code."""
        return Text(self.memory, self.symbols, self.abi)

    @functools.cached_property
    def slide(self) -> int:
        """How far the kernel runs from where its vmlinux is linked to."""
        linked = self._section(_TEXT, most_bytes=0).address
        return self.memory.kcore.symbol("_stext") - linked

    @functools.cached_property
    def gates(self) -> tuple[Gate, ...]:
        """The interrupt descriptor table, a gate a vector.

        Raises:
            NotShown: the kernel hides where it is.
        """
        table = self.symbols.find("idt_table") or self._table_of_processor()
        return decode_gates(self.memory.read(table, VECTORS * gate_bytes(self.abi)), self.abi)

    @functools.cached_property
    def msrs(self) -> MsrReading:
        """The registers of the fast entry paths.

        Raises:
            NotShown: neither the kernel's module is at hand nor what an emulator saved.
        """
        if _MODULE in self.kernel.modules:
            return MsrReading(self._msrs_by_module(), BY_MODULE)
        saved = self.guest.saved_registers()
        values = {register: saved[name] for register, name in SAVED_AS.items() if name in saved}
        if not values:
            raise NotShown("msr.ko is not among the kernel's files, and no emulator saved any")
        return MsrReading(values, BY_EMULATOR)

    @functools.cached_property
    def exceptions(self) -> ExceptionTable:
        """The exception table, at the addresses where this kernel runs."""
        section, version = self._section("__ex_table"), self.kernel.version
        return parse_exception_table(section, version, self.abi.bits, self.slide)

    @functools.cached_property
    def pt_regs(self) -> Layout | None:
        """The layout of ``struct pt_regs``, None where the kernel has no type information."""
        if self.kernel.vmlinux is None:
            return None
        sections = read_sections(self.kernel.vmlinux, ".BTF")
        return parse_layout(sections[".BTF"].content, "pt_regs") if sections else None

    def _section(self, name: str, most_bytes: int = MOST_BYTES) -> ElfSection:
        if self.kernel.vmlinux is None:
            raise NotShown(f"kernel {self.kernel.spec} has no vmlinux to be read")
        sections = read_sections(self.kernel.vmlinux, name, most_bytes=most_bytes)
        if name not in sections:
            raise NotShown(f"the vmlinux of {self.kernel.spec} has no section {name}")
        return sections[name]

    def _table_of_processor(self) -> int:
        """Ask the processor where its table is, as every program may unless UMIP forbids it."""
        place = place_code(self.guest, self.abi, _SIDT[self.abi.bits])
        said = self.guest.call(function_path(self.abi), place, Buffer(2 + self.abi.word_bytes))
        limit, base = said.memory[0][:2], said.memory[0][2:]
        if said.signal or int.from_bytes(limit, "little") != VECTORS * gate_bytes(self.abi) - 1:
            raise NotShown("the processor hides its descriptor table from programs (UMIP)")
        return int.from_bytes(base, "little")

    def _msrs_by_module(self) -> dict[Msr, int]:
        module = self.kernel.modules[_MODULE].read_bytes()
        device = _DEVICE.encode() + b"\0"
        if self.guest.call(self.native, "access", device, 0).value:
            self.guest.call(self.native, "init_module", module, len(module), b"\0")
        fd = self.guest.call(self.native, "open", device, O_RDONLY).value
        if fd < 0:
            raise NotShown(f"{_DEVICE} is not there: the kernel did not take msr.ko")
        calls: list[AnyCall] = [
            ("pread64", fd, Buffer(_MSR_BYTES), _MSR_BYTES, register, 0) for register in Msr
        ]
        said = self.guest.series(self.native, calls)
        self.guest.call(self.native, "close", fd)
        pairs = zip(Msr, said, strict=True)
        return {r: int.from_bytes(o.memory[0], "little") for r, o in pairs if o.value == _MSR_BYTES}

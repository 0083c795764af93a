# SPDX-License-Identifier: Apache-2.0
"""The first steps of a call's way, which the kernel has prepared: entry point, dispatcher, slot."""

from __future__ import annotations

from dataclasses import dataclass

from harness.agent.vdso import read_vdso
from harness.arch import Abi
from harness.entry import FUNCTIONS, KERNEL_VSYSCALL, EntryPath, find_entry_path
from harness.evidence.code import disassemble
from harness.evidence.gates import INT80
from harness.evidence.inside import Inside
from harness.evidence.msr import Msr
from harness.evidence.path import Way
from harness.evidence.step import Step
from harness.evidence.tables import is_implemented, name_routine
from harness.evidence.trouble import NotShown
from harness.syscalls import SyscallTable

_REGISTERS = {
    "sysenter": (Msr.SYSENTER_EIP, Msr.SYSENTER_CS, Msr.SYSENTER_ESP),
    "syscall": (Msr.LSTAR, Msr.STAR, Msr.SFMASK),
    "syscall32": (Msr.CSTAR, Msr.STAR, Msr.SFMASK),
}
_LEADS_TO = {"sysenter": "sysenter", "syscall": "syscall32", "int": "int80"}
"""The entry path of each instruction that __kernel_vsyscall may have."""
_NUMBER_BITS = 0xFFFF_FFFF


@dataclass(frozen=True)
class Slot:
    """Where a number leads.

    Attributes:
        address: of the service routine, 0 where the number is refused before.
        routine: its symbol.
        where: the table or switch, and the place in it, in words.
    """

    address: int
    routine: str
    where: str

    @property
    def implemented(self) -> bool:
        """Whether there is a service routine, and not the one that stands for none."""
        return is_implemented(self.routine)


def find_entry_point(inside: Inside, path: EntryPath) -> int:
    """Return the address at which a call by an entry path enters the kernel.

    Raises:
        NotShown: neither descriptor nor register is to be had, or it is no way into the kernel.
    """
    real = instruction_of(inside, path)
    if real in FUNCTIONS:
        raise NotShown("a function of the program's own memory is called")
    if real.name in _REGISTERS:
        return inside.msrs[_REGISTERS[real.name][0]]
    return inside.gates[INT80].handler


def instruction_of(inside: Inside, path: EntryPath) -> EntryPath:
    """Return the entry path that `path` comes down to, for __kernel_vsyscall by its own code."""
    if path is not KERNEL_VSYSCALL:
        return path
    code = read_vdso(inside.guest, path.abi).code("__kernel_vsyscall", "LINUX_2.5")
    names = [instruction.name for instruction in disassemble(code, 0, path.abi.bits)]
    found = next((name for name in names if name in _LEADS_TO), None)
    if found is None:
        raise NotShown("the code of __kernel_vsyscall has no instruction that enters the kernel")
    return find_entry_path(_LEADS_TO[found])


def tell_entry(inside: Inside, path: EntryPath) -> Step:
    """Return the descriptor or the registers by which an entry path enters the kernel."""
    real = instruction_of(inside, path)
    vdso = f"__kernel_vsyscall uses {real}: " if real is not path else ""
    place = find_entry_point(inside, path)
    name = _name(inside, place)
    facts = {"instruction": real.name, "address": hex(place), "symbol": name}
    if real.name not in _REGISTERS:
        gate = inside.gates[INT80]
        said = f"{gate.kind}, DPL {gate.dpl}, selector {gate.selector:#x}"
        lines = (f"{vdso}IDT vector {INT80:#x} leads to {name} ({place:#x})", said)
        return Step("entry", lines, {**facts, "gate": vars(gate) | {"kind": gate.kind}})
    first, *others = _REGISTERS[real.name]
    values = ", ".join(f"{register.name} {inside.msrs[register]:#x}" for register in others)
    lines = (
        f"{vdso}MSR {first.name} leads to {name} ({place:#x})",
        f"{values}; by {inside.msrs.source}",
    )
    registers = {register.name: hex(inside.msrs[register]) for register in (first, *others)}
    return Step("entry", lines, {**facts, "msrs": registers, "source": inside.msrs.source})


def tell_way(way: Way) -> Step:
    """Return the functions between entry point and dispatch."""
    return Step("dispatcher", (" > ".join(way.functions),), {"functions": list(way.functions)})


def find_slot(inside: Inside, way: Way, table: Abi, number: int) -> Slot:
    """Return where a number of `table` leads, by the table or switch of the running kernel.

    Raises:
        NotShown: the switch does something that is not read here.
    """
    number &= _NUMBER_BITS
    dispatch = way.dispatch
    if not dispatch.table:
        address = inside.text.routine(dispatch, number)
        where = f"switch {_name(inside, dispatch.switch)}, number {number}"
        return Slot(address, name_routine(inside.symbols, address, table), where)
    where = f"table {_table(inside, dispatch.table)} at {dispatch.table:#x}"
    if dispatch.bound is not None and number > dispatch.bound:
        return Slot(0, "", f"{where} ends at {dispatch.bound}: number {number:#x} has no slot")
    address = inside.text.routine(dispatch, number)
    return Slot(address, name_routine(inside.symbols, address, table), f"{where}, slot {number}")


def tell_slot(slot: Slot, table: SyscallTable, number: int) -> Step:
    """Return where a number leads."""
    name = table.name(number & _NUMBER_BITS)
    facts = {"number": number, "name": name, "symbol": slot.routine or None, "where": slot.where}
    leads = f" leads to {slot.routine} ({slot.address:#x})" if slot.address else ""
    return Step("slot", (f"{slot.where}{leads}",), {**facts, "address": hex(slot.address)})


def _table(inside: Inside, address: int) -> str:
    """Return a table's name; i386 kernels do not keep the names of data."""
    place = inside.symbols.at(address)
    return str(place) if place and not place.offset else "without a name"


def _name(inside: Inside, address: int) -> str:
    return str(inside.symbols.at(address) or hex(address))


def argument_names(table: Abi) -> tuple[str, ...]:
    """Return in which members of ``struct pt_regs`` a table's service routines find arguments."""
    if table.bits == 32:  # noqa: PLR2004
        return ("bx", "cx", "dx", "si", "di", "bp")
    return ("di", "si", "dx", "r10", "r8", "r9")

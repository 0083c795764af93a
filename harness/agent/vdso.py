# SPDX-License-Identifier: Apache-2.0
"""The vDSO of an executor, read out of its memory and looked at on the host."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import TypeVar

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerSymSection
from elftools.elf.sections import Section, Symbol, SymbolTableSection

from harness.agent.about import AT_SYSINFO_EHDR
from harness.agent.guest import Guest
from harness.agent.maps import read_maps
from harness.arch import Abi
from harness.entry import entry_paths_of
from harness.errors import GuestError

_HIDDEN = 0x7FFF
_Section = TypeVar("_Section", bound=Section)


@dataclass(frozen=True)
class Vdso:
    """One process's vDSO.

    Attributes:
        base: where it is mapped.
        size_bytes: how long the mapping is.
        pid: the executor's, in the guest.
        elf: the image.
    """

    base: int
    size_bytes: int
    pid: int
    elf: ELFFile

    @property
    def soname(self) -> str:
        """What the image calls itself."""
        tags = self._section(".dynamic", DynamicSection).iter_tags("DT_SONAME")
        return next((str(vars(tag)["soname"]) for tag in tags), "")

    def address(self, name: str, version: str) -> int | None:
        """Return the address of the symbol `name` of `version`, None when there is none."""
        symbol = self._symbols.get((name, version))
        return int(self.base + symbol["st_value"]) if symbol else None

    def function(self, name: str) -> int:
        """Return the address of the function `name` of version LINUX_2.6.

        Raises:
            GuestError: the vDSO does not export it.
        """
        address = self.address(name, "LINUX_2.6")
        if address is None:
            raise GuestError(f"the vDSO has no function {name} of version LINUX_2.6")
        return address

    @property
    def exports(self) -> dict[str, set[str]]:
        """The names of the functions that it exports, by their version."""
        versions: dict[str, set[str]] = {version: set() for _, version in self._symbols}
        for (name, version), symbol in self._symbols.items():
            if symbol["st_info"]["type"] == "STT_FUNC":
                versions[version].add(name)
        return versions

    def code(self, name: str, version: str = "LINUX_2.6") -> bytes:
        """Return the bytes of the function `name`, as many as its symbol says.

        Raises:
            GuestError: there is no such symbol.
        """
        symbol = self._symbols.get((name, version))
        if not symbol:
            raise GuestError(f"the vDSO has no function {name} of version {version}")
        self.elf.stream.seek(symbol["st_value"])
        return bytes(self.elf.stream.read(symbol["st_size"]))

    @functools.cached_property
    def _symbols(self) -> dict[tuple[str, str], Symbol]:
        """Every defined symbol by its name and version."""
        versions = self._section(".gnu.version", GNUVerSymSection)
        names = self._version_names()
        found = {}
        for place, symbol in enumerate(self._section(".dynsym", SymbolTableSection).iter_symbols()):
            index = versions.get_symbol(place)["ndx"]
            if isinstance(index, int) and symbol["st_shndx"] != "SHN_UNDEF":
                found[symbol.name, names.get(index & _HIDDEN, "")] = symbol
        return found

    def _version_names(self) -> dict[int, str]:
        definitions = self._section(".gnu.version_d", GNUVerDefSection)
        return {
            definition["vd_ndx"]: str(next(names).name)
            for definition, names in definitions.iter_versions()
        }

    def _section(self, name: str, kind: type[_Section]) -> _Section:
        section = self.elf.get_section_by_name(name)
        if not isinstance(section, kind):
            raise GuestError(f"the vDSO has no section {name}")
        return section


def read_vdso(guest: Guest, abi: Abi) -> Vdso:
    """Read the vDSO of the executor of `abi`.

    Raises:
        GuestError: the process has none, or what is there cannot be read or is no ELF image.
    """
    base = guest.about(abi).auxv.get(AT_SYSINFO_EHDR, 0)
    pid = guest.call(entry_paths_of(abi)[0], "getpid").value
    size = _mapped_bytes(guest, pid, base)
    image = guest.read(abi, base, size)
    if not size or len(image) != size or not image.startswith(b"\x7fELF"):
        raise GuestError(f"the {abi} executor has no vDSO at {base:#x}")
    return Vdso(base, size, pid, ELFFile(io.BytesIO(image)))


def _mapped_bytes(guest: Guest, pid: int, base: int) -> int:
    return next((m.end - base for m in read_maps(guest, pid) if m.start == base), 0)

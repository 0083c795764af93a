# SPDX-License-Identifier: Apache-2.0
"""The system programs that the harness runs: what they are for, and where to get them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.distribution import APK, APT, DNF, FAMILIES, PACMAN, ZYPPER, Family, find_family
from harness.errors import HostError


@dataclass(frozen=True)
class Tool:
    """One system program.

    Attributes:
        name: what the harness calls it.
        executables: the names under which it may be installed, the preferred one first.
        purpose: what it is to the harness, for messages.
        packages: what to install, by family.
        required: whether nothing works without it.
        variable: an environment variable that names another executable, empty when there is none.
    """

    name: str
    executables: tuple[str, ...]
    purpose: str
    packages: Mapping[Family, str]
    required: bool = True
    variable: str = ""

    @property
    def override(self) -> str:
        """The executable that the environment asks for instead, empty when it does not."""
        return os.environ.get(self.variable, "") if self.variable else ""


# On Debian, qemu-system-x86 depends on seabios and qemu-system-data (firmware, the PVH option
# ROM); what it recommends (user interface, OVMF, block drivers) is not used here.
TOOLS = (
    Tool(
        name="qemu-system-x86_64",
        executables=("qemu-system-x86_64",),
        purpose="the machine that kernels boot in",
        packages={
            APT: "qemu-system-x86",
            DNF: "qemu-system-x86",
            PACMAN: "qemu-system-x86",
            ZYPPER: "qemu-x86",
            APK: "qemu-system-x86_64",
        },
    ),
    Tool(
        name="cc",
        executables=("gcc", "clang"),
        purpose="the compiler of the programs in the guest",
        packages=dict.fromkeys(FAMILIES, "gcc"),
        variable="CC",
    ),
    Tool(
        name="ld",
        executables=("ld",),
        purpose="the linker that the compiler calls",
        packages=dict.fromkeys(FAMILIES, "binutils"),
    ),
    Tool(
        name="setpriv",
        executables=("setpriv",),
        purpose="what ends QEMU when the harness dies",
        packages=dict.fromkeys(FAMILIES, "util-linux") | {APK: "setpriv"},
    ),
    Tool(
        name="gdb",
        executables=("gdb",),
        purpose="the debugger that `trapgate gdb` attaches",
        packages=dict.fromkeys(FAMILIES, "gdb"),
        required=False,
    ),
    Tool(
        name="gpgv",
        executables=("gpgv",),
        purpose="the check of a package index's signature",
        packages={APT: "gpgv", DNF: "gnupg2", PACMAN: "gnupg", ZYPPER: "gpg2", APK: "gpgv"},
        required=False,
    ),
)

_BY_NAME = {tool.name: tool for tool in TOOLS}


def find_tool(name: str) -> Path | None:
    """Look for a program of `TOOLS` on the search path.

    Args:
        name: a `Tool.name`, such as "qemu-system-x86_64" or "cc".

    Returns:
        The executable's path, or None when there is none. Where the tool's environment variable
        is set (``CC``), only what it names counts.
    """
    tool = _BY_NAME[name]
    names = (tool.override,) if tool.override else tool.executables
    found = (shutil.which(executable) for executable in names)
    return next((Path(path) for path in found if path), None)


def require_tool(name: str) -> Path:
    """Find a program of `TOOLS`, or say how to get it.

    Args:
        name: a `Tool.name`.

    Returns:
        The executable's path.

    Raises:
        HostError: it is not on the search path.
    """
    return require_tools([name])[0]


def require_tools(names: Iterable[str]) -> tuple[Path, ...]:
    """Find several programs of `TOOLS`, or say in one command how to get those missing.

    Args:
        names: values of `Tool.name`, each once.

    Returns:
        The executables' paths, in the order of `names`.

    Raises:
        HostError: at least one is not on the search path.
    """
    found = {name: find_tool(name) for name in names}
    missing = [_BY_NAME[name] for name, path in found.items() if path is None]
    if missing:
        said = "; ".join(f"{_sought(tool)} not found: {tool.purpose}" for tool in missing)
        raise HostError(said, hint=remedy(missing))
    return tuple(path for path in found.values() if path)


def stamp_of(program: Path) -> tuple[str, int, int]:
    """Return what changes when a program is replaced: where it really is, its size, its time.

    Asking it for its version would cost more than most of what depends on that.
    """
    path = program.resolve()
    stat = path.stat()
    return str(path), stat.st_size, stat.st_mtime_ns


def remedy(missing: Sequence[Tool]) -> str:
    """Say what to do about missing tools.

    Args:
        missing: the tools, at least one.

    Returns:
        One line for each variable to unset, and one with the command that installs the rest.
    """
    misnamed = [tool.variable for tool in missing if tool.override]
    lines = [f"unset {name}, or let it name one executable, no arguments" for name in misnamed]
    absent = [tool for tool in missing if not tool.override]
    doctor = ", or let 'trapgate doctor --install' do it" if find_family() else ""
    return "\n".join([*lines, advise_install(absent) + doctor] if absent else lines)


def advise_install(missing: Sequence[Tool]) -> str:
    """Say in one line which packages to install, as a command where the distribution is known."""
    command = install_command(missing)
    if command:
        return f"install with '{command}'"
    names = ", ".join(packages(missing, APT))
    return f"install with this distribution's package manager what Debian calls {names}"


def install_command(missing: Sequence[Tool]) -> str:
    """Return the command line that installs tools here, for a person to type.

    Args:
        missing: the tools to install.

    Returns:
        The whole command, with sudo unless this is root; empty on a distribution that is in no
        known family.
    """
    family = find_family()
    if not family:
        return ""
    sudo = () if os.geteuid() == 0 else ("sudo",)
    return " ".join((*sudo, *family.install, *packages(missing, family)))


def packages(missing: Sequence[Tool], family: Family) -> tuple[str, ...]:
    """Return the packages that carry tools in a family, each once, in the tools' order."""
    return tuple(dict.fromkeys(tool.packages[family] for tool in missing))


def _sought(tool: Tool) -> str:
    return f"{tool.variable}={tool.override}" if tool.override else " or ".join(tool.executables)

# SPDX-License-Identifier: Apache-2.0
"""The catalogue: which packaged kernels have a spec, read from ``kernels/<series>.toml``.

A file holds one series and its name is the spec's first half; a table in it is one kernel and its
name is the second half. What the pool's file name says (package, version) is said nowhere else.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from harness.arch import ARCHES, Arch
from harness.errors import DeclarationError
from harness.places import data_dir
from harness.toml import read_toml
from harness.version import KernelVersion

ROLES = ("image", "config", "modules")
_SECURITY_POOL = "pool/updates/"


@dataclass(frozen=True)
class Package:
    """One package file of the archive.

    Attributes:
        file: its path below the mirror's base.
        size: its length in bytes.
        sha256: its hash, in hexadecimal.
    """

    file: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The package's name."""
        return PurePosixPath(self.file).name.split("_")[0]

    @property
    def version(self) -> str:
        """Its Debian version; kernels have no epoch, which a file name would leave out."""
        return PurePosixPath(self.file).name.split("_")[1]

    @property
    def security(self) -> bool:
        """Whether it lies in the security archive, whose base is another one."""
        return self.file.startswith(_SECURITY_POOL)


@dataclass(frozen=True)
class Entry:
    """One kernel of the catalogue.

    Attributes:
        spec: its name, "<series>/<architecture>[-<flavour>]".
        arch: what it is built for.
        flavour: what Debian calls this build ("686-pae", "rt-amd64").
        default: whether it is one of those that run when nobody chooses.
        suites: where a replacement may be looked for.
        names: by role ("image", "config", "modules"), how the series' packages are called;
            ``{release}`` and ``{flavour}`` stand for what differs. A role that is not there is
            served by the image's package.
        packages: the pinned packages by role; empty for an entry yet to be pinned.
    """

    spec: str
    arch: Arch
    flavour: str
    default: bool
    suites: tuple[str, ...]
    names: Mapping[str, str] = field(hash=False)
    packages: Mapping[str, Package] = field(hash=False)

    @property
    def series(self) -> str:
        """The series that its packages belong to: "7.3" for the spec "7.3-rc/x86_64"."""
        return KernelVersion.parse(self.spec).series

    def release_in(self, package: str, role: str = "image") -> str | None:
        """Return the kernel release in a package's name, None if it is not of this series.

        Args:
            package: a binary package's name.
            role: what the package would be for, a key of `names`.
        """
        series = re.escape(self.series)
        release = rf"(?P<release>{series}(?!\d)[^-]*(?:-\d[^-]*)?)"
        name = re.escape(self.names[role]).replace(r"\{release\}", release)
        found = re.fullmatch(name.replace(r"\{flavour\}", re.escape(self.flavour)), package)
        return found["release"] if found else None

    def package_name(self, role: str, release: str) -> str:
        """Return what the package for `role` is called at `release`."""
        return self.names[role].format(release=release, flavour=self.flavour)


def find_entry(spec: str) -> Entry | None:
    """Return the entry called `spec`, or None; only its own series' file is read."""
    series, _, name = spec.partition("/")
    path = data_dir("kernels") / f"{series}.toml"
    known = {file.stem for file in _files()}
    return _read_series(path).get(f"{series}/{name}") if series in known else None


def all_entries() -> tuple[Entry, ...]:
    """Return every entry, oldest series first, and in a series as its file has them."""
    return tuple(entry for path in _files() for entry in _read_series(path).values())


def default_specs() -> tuple[str, ...]:
    """Return the specs marked as default, in the catalogue's order."""
    return tuple(entry.spec for entry in all_entries() if entry.default)


@functools.cache
def _files() -> tuple[Path, ...]:
    found = data_dir("kernels").glob("[0-9]*.toml")
    return tuple(sorted(found, key=lambda path: KernelVersion.parse(path.stem)))


@functools.cache
def _read_series(path: Path) -> dict[str, Entry]:
    try:
        table = read_toml(path)
        return {entry.spec: entry for entry in _entries(path.stem, table)}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DeclarationError(f"catalogue {path.name} does not parse: {error!r}") from error


def _entries(series: str, table: dict[str, Any]) -> Iterator[Entry]:
    suites, names = tuple(table.pop("suites")), table.pop("names")
    for name, fields in table.items():
        yield Entry(
            spec=f"{series}/{name}",
            arch=ARCHES[name.partition("-")[0]],
            flavour=fields["flavour"],
            default=fields.get("default", False),
            suites=suites,
            names=names,
            packages={role: Package(**fields[role]) for role in ROLES if role in fields},
        )

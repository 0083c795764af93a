# SPDX-License-Identifier: Apache-2.0
"""A suite's package index: what kernels a mirror has now, by a signed list."""

from __future__ import annotations

import lzma
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from debian.deb822 import Packages, Release
from debian.debian_support import Version

from harness.errors import HostError
from harness.kernels.catalogue import Entry, Package
from harness.kernels.download import FileGone, download, refresh
from harness.kernels.mirrors import Mirror
from harness.kernels.reporter import Reporter, SilentReporter
from harness.kernels.signature import read_signed
from harness.kernels.storing import translated
from harness.places import state_dir
from harness.whole import replacing

_STANZA = "Package: linux-"


@dataclass(frozen=True)
class Offer:
    """One package that a suite lists."""

    package: Package
    suite: str


def read_suite(
    suite: str,
    arch: str,
    mirrors: Sequence[Mirror],
    keyrings: Sequence[Path],
    reporter: Reporter,
) -> tuple[Offer, ...]:
    """List the kernel packages (``linux-*``) of a suite.

    The index is kept in the state folder and only fetched when the mirror has a newer one.

    Args:
        suite: such as "bookworm" or "bookworm-security".
        arch: the architecture by Debian's name.
        mirrors: in the order in which they are tried.
        keyrings: the keys that the index has to be signed with.
        reporter: is told when the signature cannot be verified.

    Raises:
        HostError: no mirror has the suite's index, or its signature is bad.
    """
    folder = state_dir() / "indexes" / suite
    security = suite.endswith("-security")
    asked = [mirror for mirror in mirrors if mirror.security == security]
    with translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
        release = _read_release(folder / "InRelease", suite, asked, keyrings, reporter)
        listed = _packages_file(release, suite, arch)
        kept = folder / f"Packages-{arch}-{listed.sha256[:16]}.xz"
        if not kept.exists():
            _fetch_packages(listed, release, kept, asked)
    return tuple(Offer(package, suite) for package in parse_packages(kept))


def newest_first(entry: Entry, offers: Sequence[Offer]) -> list[Offer]:
    """Return the offers of an entry's series and flavour, by falling Debian version."""
    matching = [offer for offer in offers if entry.release_in(offer.package.name)]
    return sorted(matching, key=lambda offer: Version(offer.package.version), reverse=True)


def companions(entry: Entry, image: Offer, offers: Sequence[Offer]) -> dict[str, Package]:
    """Return an entry's packages by role that belong to one image package.

    Args:
        entry: says which roles there are, and how their packages are called.
        image: the offer chosen for the role "image".
        offers: what there is.

    Returns:
        By role; roles whose package the suite lacks are missing.
    """
    release = entry.release_in(image.package.name) or ""
    wanted = {entry.package_name(role, release): role for role in entry.names}
    return {
        wanted[offer.package.name]: offer.package
        for offer in offers
        if offer.suite == image.suite
        and offer.package.version == image.package.version
        and offer.package.name in wanted
    }


def parse_packages(file: Path) -> Iterator[Package]:
    """Yield the kernel packages of a Packages.xz file.

    Only the stanzas that begin with such a name reach the parser: a whole index has 60,000.

    Raises:
        HostError: the file cannot be read.
    """
    try:
        text = lzma.decompress(file.read_bytes()).decode("utf-8")
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise HostError(f"package index {file} is damaged: {error}") from error
    for stanza in text.split("\n\n"):
        if stanza.startswith(_STANZA):
            fields = Packages(stanza)
            yield Package(fields["Filename"], int(fields["Size"]), fields["SHA256"])


def _read_release(
    file: Path,
    suite: str,
    mirrors: Sequence[Mirror],
    keyrings: Sequence[Path],
    reporter: Reporter,
) -> Release:
    name = f"the package index of {suite}"
    with replacing(file) as part:
        if file.exists():
            shutil.copy2(file, part)
        refresh(f"dists/{suite}/InRelease", part, mirrors)
        text, warning = read_signed(part, name, keyrings)
    if warning:
        reporter.say(f"warning: {warning}")
    return Release(text)


def _packages_file(release: Release, suite: str, arch: str) -> Package:
    path = f"main/binary-{arch}/Packages.xz"
    for line in release.get("SHA256", []):
        if line["name"] == path:
            return Package(f"dists/{suite}/{path}", int(line["size"]), line["sha256"])
    raise HostError(f"suite {suite} has no index of {arch}: expected {path} in its InRelease")


def _fetch_packages(
    listed: Package, release: Release, kept: Path, mirrors: Sequence[Mirror]
) -> None:
    """Fetch by hash where that is offered: such a name is right even in mid-sync."""
    by_hash = f"{listed.file.rpartition('/')[0]}/by-hash/SHA256/{listed.sha256}"
    with replacing(kept) as part:
        try:
            path = by_hash if release.get("Acquire-By-Hash") == "yes" else listed.file
            download(replace(listed, file=path), part, mirrors, SilentReporter())
        except FileGone:  # offered by the archive, but there are mirrors without it
            download(listed, part, mirrors, SilentReporter())
    for old in kept.parent.glob(f"{kept.name.rpartition('-')[0]}-*.xz"):
        if old != kept:
            old.unlink(missing_ok=True)

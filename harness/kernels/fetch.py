# SPDX-License-Identifier: Apache-2.0
"""From a catalogue entry to a folder in the cache: the pinned package, or the newest instead."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.errors import DeclarationError, HostError
from harness.kernels import package as content
from harness.kernels.assembly import assembling, locked, scratch, sweep
from harness.kernels.catalogue import Entry, Package
from harness.kernels.download import FileGone, download
from harness.kernels.elf import read_vmlinux
from harness.kernels.image import parse_header
from harness.kernels.index import Offer, companions, newest_first, read_suite
from harness.kernels.kernel import Provenance
from harness.kernels.mirrors import Mirror, find_mirrors
from harness.kernels.payload import vmlinux_of
from harness.kernels.signature import BadSignature, find_keyrings
from harness.kernels.store import Record, find_record, folder_of, write_record
from harness.kernels.supply import Supply


def fetch(entry: Entry, supply: Supply) -> Record:
    """Put an entry's kernel into the cache, unless it is there whole.

    Args:
        entry: a pinned entry of the catalogue.
        supply: where to get it, and with what.

    Returns:
        The record of what is in the cache now.

    Raises:
        HostError: no mirror can be reached or has a kernel of this series, the index's signature
            is bad, a package is unusable, or the disk is full.
    """
    folder = folder_of(entry)
    sweep(folder.parent)
    with locked(folder, supply.reporter):
        record = find_record(folder) or _fetch_new(entry, folder, supply)
        if supply.with_modules and lacks_modules(record):
            record = _add_modules(record, folder, supply)
    return record


def lacks_modules(record: Record) -> bool:
    """Whether there is a package with modules that has not been fetched."""
    return bool(record.modules_package) and not any(
        name in content.MODULES for name in record.files
    )


def list_offers(entry: Entry, suites: Iterable[str], supply: Supply) -> list[Offer]:
    """List what the mirrors' signed indexes have for an entry's architecture.

    A suite that no mirror has is skipped with a word: some mirrors carry only some.

    Raises:
        HostError: no suite at all can be read, or a signature is bad.
    """
    mirrors = find_mirrors(supply.mirrors)
    keyrings = find_keyrings() if supply.keyrings is None else supply.keyrings
    offers: list[Offer] = []
    failures: list[str] = []
    for suite in suites:
        try:
            offers += read_suite(suite, entry.arch.debian, mirrors, keyrings, supply.reporter)
        except BadSignature:
            raise
        except HostError as error:
            failures.append(error.message)
            supply.reporter.say(f"skipping suite {suite}: {error.message}")
    if failures and not offers:
        raise HostError(f"no package index can be read for {entry.spec}: {'; '.join(failures)}")
    return offers


def _fetch_new(entry: Entry, folder: Path, supply: Supply) -> Record:
    with assembling(folder) as part:
        mirrors = find_mirrors(supply.mirrors)
        try:
            _collect(entry, entry.packages, part, mirrors, supply)
            record = _describe(part, entry.packages, replaced="")
        except FileGone as gone:
            supply.reporter.say(f"{gone.message}; looking for another {entry.series} kernel")
            record = _replacement(entry, part, mirrors, supply)
        return write_record(part, record)


def _collect(
    entry: Entry,
    packages: Mapping[str, Package],
    part: Path,
    mirrors: Sequence[Mirror],
    supply: Supply,
) -> None:
    """Download and unpack the packages that always are wanted."""
    config = () if "config" in entry.names else (content.CONFIG,)
    modules = () if "modules" in entry.names else content.MODULES
    _unpack(packages["image"], (content.IMAGE, *config, *modules), part, mirrors, supply)
    if "config" in entry.names:
        _unpack(packages["config"], (content.CONFIG,), part, mirrors, supply)


def _unpack(
    package: Package,
    wanted: tuple[str, ...],
    part: Path,
    mirrors: Sequence[Mirror],
    supply: Supply,
) -> None:
    deb = part / "package.deb"
    archive = [mirror for mirror in mirrors if mirror.security == package.security]
    download(package, deb, archive, supply.reporter)
    content.unpack(deb, package.name, wanted, part)
    deb.unlink()


def _describe(part: Path, packages: Mapping[str, Package], replaced: str) -> Record:
    """Take the vmlinux out of the image and write down what both say of themselves."""
    package = packages["image"]
    image = (part / content.IMAGE).read_bytes()
    try:
        (part / "vmlinux").write_bytes(vmlinux_of(image, f"the image in {package.name}"))
        facts = read_vmlinux(part / "vmlinux", f"the vmlinux in {package.name}")
        banner = parse_header(image, f"the image in {package.name}").banner
    except DeclarationError as error:
        raise HostError(f"package {package.name} is unusable: {error.message}") from error
    return Record(
        arch=facts.arch.name,
        banner=banner,
        pvh=facts.pvh,
        sha256=hashlib.sha256(image).hexdigest(),
        provenance=Provenance(
            package.name, package.version, package.sha256, not replaced, replaced
        ),
        modules_package=packages.get("modules"),
    )


def _replacement(entry: Entry, part: Path, mirrors: Sequence[Mirror], supply: Supply) -> Record:
    """Take the newest of the series that can be had; a mirror in mid-sync lists what it lacks."""
    pin = entry.packages["image"]
    offers = list_offers(entry, entry.suites, supply)
    for offer in newest_first(entry, offers):
        packages = companions(entry, offer, offers)
        try:
            if packages.keys() >= entry.names.keys():
                _collect(entry, packages, part, mirrors, supply)
                why = f"{pin.name} {pin.version} is gone from the mirrors; newest in {offer.suite}"
                supply.reporter.say(
                    f"{entry.spec}: taking {offer.package.name} {offer.package.version} "
                    f"from {offer.suite} instead of {pin.name} {pin.version}"
                )
                return _describe(part, packages, replaced=why)
        except FileGone as gone:
            supply.reporter.say(f"{gone.message}; trying the next newest")
    raise HostError(
        f"no {entry.series} kernel for {entry.spec}: {pin.name} {pin.version} is gone, and no "
        f"mirror has another in {', '.join(entry.suites)}",
        hint="name another Debian mirror with --mirror or TRAPGATE_MIRROR",
    )


def _add_modules(record: Record, folder: Path, supply: Supply) -> Record:
    """Put the modules beside a cached kernel, whose files stay where they are."""
    package = record.modules_package
    if package is None:
        return record
    with scratch(folder) as part:
        _unpack(package, content.MODULES, part, find_mirrors(supply.mirrors), supply)
        for name in content.MODULES:
            (part / name).replace(folder / name)
        return write_record(folder, record)

# SPDX-License-Identifier: Apache-2.0
"""From a user's own files to a kernel; what is taken out of an image is kept by its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.errors import DeclarationError
from harness.kernels.assembly import assembling, locked, sweep
from harness.kernels.elf import read_vmlinux
from harness.kernels.files import KernelFiles
from harness.kernels.image import parse_header, version_of
from harness.kernels.kernel import Kernel
from harness.kernels.package import WANTED_MODULES
from harness.kernels.payload import decompress, vmlinux_of
from harness.kernels.reporter import Reporter
from harness.kernels.store import Record, find_record, folder_of_image, kernel_in, write_record


def prepare(files: KernelFiles, spec: str, reporter: Reporter) -> Kernel:
    """Return the kernel that a user's files hold.

    Args:
        files: what the spec stands for.
        spec: what the user called it.
        reporter: is told when another process has to be waited for.

    Raises:
        DeclarationError: the image is damaged, or a vmlinux alone that QEMU cannot start.
        HostError: the cache cannot be written.
    """
    return _from_vmlinux(files, spec) if files.is_elf else _from_image(files, spec, reporter)


def _from_vmlinux(files: KernelFiles, spec: str) -> Kernel:
    facts = read_vmlinux(files.image, f"kernel {files.image}")
    if not facts.pvh:
        raise DeclarationError(
            f"kernel {files.image} has no PVH entry note, so QEMU cannot start it",
            hint="give its bzImage, or build it with CONFIG_PVH=y",
        )
    with files.image.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Kernel(
        spec=spec,
        arch=facts.arch,
        version=version_of(facts.banner),
        release=facts.banner.split(" ", 1)[0],
        image=files.image,
        sha256=sha256,
        vmlinux=files.image,
        pvh=True,
        config=files.config,
        modules=_plain_modules(files),
    )


def _from_image(files: KernelFiles, spec: str, reporter: Reporter) -> Kernel:
    image = files.image.read_bytes()
    sha256 = hashlib.sha256(image).hexdigest()
    folder = folder_of_image(sha256)
    record = find_record(folder) or _extract(image, files, folder, reporter)
    kept = kernel_in(folder, record, spec)
    return Kernel(
        spec=spec,
        arch=kept.arch,
        version=kept.version,
        release=kept.release,
        image=files.image,
        sha256=sha256,
        vmlinux=kept.vmlinux,
        pvh=kept.pvh,
        config=files.config,
        modules=_plain_modules(files) or kept.modules,
    )


def _extract(image: bytes, files: KernelFiles, folder: Path, reporter: Reporter) -> Record:
    name = f"kernel {files.image}"
    vmlinux = vmlinux_of(image, name)
    sweep(folder.parent)
    with locked(folder, reporter):
        found = find_record(folder)
        if found:
            return found
        with assembling(folder) as part:
            (part / "vmlinux").write_bytes(vmlinux)
            _expand_modules(files, part)
            facts = read_vmlinux(part / "vmlinux", f"the payload of {name}")
            banner = parse_header(image, name).banner
            sha256 = hashlib.sha256(image).hexdigest()
            return write_record(part, Record(facts.arch.name, banner, facts.pvh, sha256))


def _plain_modules(files: KernelFiles) -> dict[str, Path]:
    if files.modules is None:
        return {}
    found = {name: files.modules / f"{name}.ko" for name in WANTED_MODULES}
    return {name: path for name, path in found.items() if path.is_file()}


def _expand_modules(files: KernelFiles, into: Path) -> None:
    """Expand compressed modules (``msr.ko.zst``), as many distributions install them."""
    for name in WANTED_MODULES if files.modules else ():
        for path in (files.modules or into).glob(f"{name}.ko.*"):
            if path.suffix in (".gz", ".xz", ".zst"):
                (into / f"{name}.ko").write_bytes(decompress(path.read_bytes(), str(path)))

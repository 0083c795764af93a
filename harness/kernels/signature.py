# SPDX-License-Identifier: Apache-2.0
"""Whether a package index is signed by Debian: gpgv with this machine's own keyrings."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HostError

_FOLDERS = (Path("/usr/share/keyrings"), Path("/etc/apt/trusted.gpg.d"))
_SUFFIXES = (".gpg", ".pgp")  # gpgv reads no armoured keyring
_GPGV_S = 60


class BadSignature(HostError):
    """A package index is signed, but not by Debian, or it was changed afterwards."""


def find_keyrings(folders: Sequence[Path] = _FOLDERS) -> tuple[Path, ...]:
    """Return this machine's keyrings of the Debian archive, without that of removed keys."""
    return tuple(
        path
        for folder in folders
        for path in sorted(folder.glob("debian-archive-*"))
        if path.suffix in _SUFFIXES and "removed" not in path.name
    )


def read_signed(file: Path, name: str, keyrings: Sequence[Path]) -> tuple[str, str]:
    """Return the signed text of a clear-signed file.

    Args:
        file: such as a suite's InRelease.
        name: what to call it in messages.
        keyrings: the keys to believe; none means that nothing can be verified.

    Returns:
        The text, and a warning when its signature could not be verified, empty when it was.

    Raises:
        BadSignature: there is none, it is bad, or made by none of the keys.
    """
    if not keyrings or not shutil.which("gpgv"):
        missing = "gpgv is not installed" if keyrings else "no keyring of the Debian archive"
        return _payload(file.read_text("utf-8")), f"{name} is not verified: {missing}"
    ran = _gpgv(file, name, keyrings)
    refusal = judge(ran.stderr.decode("utf-8", "replace"))
    if refusal:
        raise BadSignature(
            f"the signature of {name} is no good: {refusal}",
            hint="try another mirror, or install the newest debian-archive-keyring package",
        )
    return ran.stdout.decode("utf-8"), ""


def judge(status: str) -> str:
    """Return what is wrong with a signature, empty when it is good.

    One good signature is enough where there are several: a suite is signed with its own key and
    with later ones, which this machine need not have. A bad one is never outweighed.

    Args:
        status: what gpgv wrote to ``--status-fd`` (GnuPG's doc/DETAILS), other lines included.
    """
    words = [
        line.split()[1]
        for line in status.splitlines()
        if line.startswith("[GNUPG:] ") and len(line.split()) > 1
    ]
    if "BADSIG" in words:
        return "the text was changed after it was signed"
    if "GOODSIG" in words or "EXPKEYSIG" in words:  # archived suites outlive their keys
        return ""
    return "it was made by no key that this machine has" if "ERRSIG" in words else "there is none"


def _gpgv(file: Path, name: str, keyrings: Sequence[Path]) -> subprocess.CompletedProcess[bytes]:
    options = [f"--keyring={keyring}" for keyring in keyrings]
    command = ["gpgv", "--status-fd=2", *options, "--output=-", str(file)]
    try:
        return subprocess.run(command, capture_output=True, timeout=_GPGV_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"gpgv cannot verify {name}: {error}") from error


def _payload(text: str) -> str:
    """Take the text out of a clear-signed message, without looking at the signature."""
    _, _, after = text.partition("-----BEGIN PGP SIGNED MESSAGE-----")
    signed = after.partition("\n\n")[2].partition("-----BEGIN PGP SIGNATURE-----")[0]
    return signed or text

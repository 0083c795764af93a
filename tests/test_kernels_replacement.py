# SPDX-License-Identifier: Apache-2.0
"""When the pinned package is gone: the newest of its series from a signed index, said aloud."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_archive import NAMES_APART, Archive, Heard, Server, gpg, serving

from harness.errors import HostError
from harness.kernels.catalogue import Entry, Package
from harness.kernels.fetch import fetch
from harness.kernels.pin import pinned_text
from harness.kernels.signature import BadSignature, find_keyrings, judge
from harness.kernels.store import Record, folder_of
from harness.kernels.supply import Supply

GONE = Package("pool/main/l/linux/linux-image-6.1.0-7-686-unsigned_6.1.70-1_i386.deb", 9, "0" * 64)

needs_gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="makes a signing key with gpg")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("TRAPGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRAPGATE_STATE", str(tmp_path / "state"))
    return Archive(tmp_path / "archive")


@pytest.fixture
def server(archive: Archive) -> Iterator[Server]:
    with serving(archive.root) as server:
        yield server


@pytest.fixture(scope="module")
def key() -> Iterator[Path]:
    """Make a signing key, and give the GnuPG home that holds it and its keyring."""
    home = Path(tempfile.mkdtemp())  # pytest's own may be too long for the agent's socket
    gpg(home, "--quick-gen-key", "test archive", "ed25519", "sign")
    gpg(home, "--export", "-o", str(home / "archive.gpg"))
    yield home
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


def fetched(entry: Entry, server: Server, heard: Heard, *keyrings: Path) -> Record:
    return fetch(entry, Supply((server.address,), reporter=heard, keyrings=keyrings))


def package_of(record: Record) -> tuple[str, bool]:
    assert record.provenance
    return record.provenance.version, record.provenance.pinned


def test_the_newest_of_the_series_replaces_a_lost_pin(archive: Archive, server: Server) -> None:
    for release, version in (("6.1.0-9", "6.1.90-1"), ("6.1.0-10", "6.1.100-1"), ("6.2.0-1", "9")):
        archive.add_kernel(release, version)
    archive.publish()
    heard = Heard()
    record = fetched(archive.entry(GONE), server, heard)
    assert package_of(record) == ("6.1.100-1", False)
    assert record.provenance
    assert "linux-image-6.1.0-7-686-unsigned 6.1.70-1 is gone" in record.provenance.replaced
    assert any("6.1.100-1 from test instead of" in line for line in heard.lines)
    assert any("not verified: no keyring" in line for line in heard.lines)


def test_a_replacement_is_found_in_the_cache_again(archive: Archive, server: Server) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    archive.publish()
    first = fetched(archive.entry(GONE), server, Heard())
    asked = len(server.asked)
    assert fetched(archive.entry(GONE), server, Heard()) == first
    assert len(server.asked) == asked


def test_a_listed_file_that_is_missing_gives_the_next_newest(
    archive: Archive, server: Server
) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    newest = archive.add_kernel("6.1.0-10", "6.1.100-1")
    archive.publish()
    (archive.root / newest.file).unlink()
    assert package_of(fetched(archive.entry(GONE), server, Heard())) == ("6.1.90-1", False)


def test_an_altered_pin_is_replaced(archive: Archive, server: Server) -> None:
    altered = archive.add_kernel("6.1.0-9", "6.1.90-1")
    (archive.root / altered.file).write_bytes(b"?" * altered.size)
    archive.add_kernel("6.1.0-8", "6.1.80-1")
    archive.publish()
    assert package_of(fetched(archive.entry(altered), server, Heard())) == ("6.1.80-1", False)


def test_the_packages_of_one_kernel_stay_together(archive: Archive, server: Server) -> None:
    archive.add_kernel_apart("6.1.5", "6.1.5-1")
    archive.add("linux-binary-6.1.6-686", "6.1.6-1", {})
    archive.publish()
    entry = archive.entry(names=NAMES_APART, packages={"image": GONE, "config": GONE})
    assert package_of(fetched(entry, server, Heard())) == ("6.1.5-1", False)


def test_a_series_that_is_gone_is_one_sentence(archive: Archive, server: Server) -> None:
    archive.add_kernel("6.2.0-1", "6.2.1-1")
    archive.publish()
    with pytest.raises(HostError, match=r"no 6\.1 kernel for 6\.1/i386") as caught:
        fetched(archive.entry(GONE), server, Heard())
    assert "\n" not in caught.value.message
    assert not folder_of(archive.entry(GONE)).exists()


def test_a_suite_that_is_gone_is_skipped_with_a_word(archive: Archive, server: Server) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    archive.publish()
    heard = Heard()
    entry = archive.entry(GONE, suites=("former", "test"))
    assert package_of(fetched(entry, server, heard)) == ("6.1.90-1", False)
    assert any(line.startswith("skipping suite former") for line in heard.lines)


def test_an_index_is_fetched_again_only_when_it_changed(archive: Archive, server: Server) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    archive.publish()
    supply = Supply((server.address,), reporter=Heard(), keyrings=())
    assert "6.1.90-1" in pinned_text(archive.entry(), supply)
    assert "6.1.90-1" in pinned_text(archive.entry(), supply)
    assert [path.rpartition("/")[2] for path in server.asked] == [
        *("InRelease", "Packages.xz", "InRelease")
    ]


def test_a_mirror_without_the_names_by_hash_will_do(archive: Archive, server: Server) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    archive.publish(fields="Acquire-By-Hash: yes\n")
    assert package_of(fetched(archive.entry(GONE), server, Heard())) == ("6.1.90-1", False)
    assert any("/by-hash/SHA256/" in path for path in server.asked)


@needs_gpg
def test_a_good_signature_is_silent(archive: Archive, server: Server, key: Path) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    archive.publish(home=key)
    heard = Heard()
    record = fetched(archive.entry(GONE), server, heard, key / "archive.gpg")
    assert package_of(record) == ("6.1.90-1", False)
    assert not any("not verified" in line for line in heard.lines)


@needs_gpg
def test_a_text_changed_after_signing_is_an_error(
    archive: Archive, server: Server, key: Path
) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    archive.publish(home=key)
    index = archive.root / "dists/test/InRelease"
    index.write_text(index.read_text().replace("Origin: Test", "Origin: Evil"))
    with pytest.raises(BadSignature, match="changed after it was signed"):
        fetched(archive.entry(GONE), server, Heard(), key / "archive.gpg")


@needs_gpg
@pytest.mark.skipif(not find_keyrings(), reason="compares with this machine's Debian keyrings")
def test_a_signature_by_a_stranger_is_an_error(archive: Archive, server: Server, key: Path) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    archive.publish(home=key)
    with pytest.raises(BadSignature, match="no key that this machine has"):
        fetched(archive.entry(GONE), server, Heard(), *find_keyrings())


@needs_gpg
def test_an_unsigned_index_is_an_error_where_there_are_keys(
    archive: Archive, server: Server, key: Path
) -> None:
    archive.add_kernel("6.1.0-9", "6.1.90-1")
    archive.publish()
    with pytest.raises(BadSignature, match="there is none"):
        fetched(archive.entry(GONE), server, Heard(), key / "archive.gpg")


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        ("[GNUPG:] GOODSIG A x\n[GNUPG:] ERRSIG B 1", ""),
        ("[GNUPG:] EXPKEYSIG A x", ""),
        ("[GNUPG:] GOODSIG A x\n[GNUPG:] BADSIG B x", "the text was changed after it was signed"),
        (
            "[GNUPG:] ERRSIG B 1\n[GNUPG:] NO_PUBKEY B",
            "it was made by no key that this machine has",
        ),
        ("gpgv: GOODSIG is only a word here", "there is none"),
    ],
)
def test_one_good_signature_is_enough_and_one_bad_too_many(status: str, refusal: str) -> None:
    assert judge(status) == refusal

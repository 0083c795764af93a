# SPDX-License-Identifier: Apache-2.0
"""Getting files from mirrors: streamed, verified, from the first mirror that has a good one."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate, mktime_tz, parsedate_tz
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

from harness.deadline import Deadline
from harness.errors import HostError
from harness.kernels.catalogue import Package
from harness.kernels.mirrors import Mirror
from harness.kernels.reporter import Reporter

_CONNECT_S, _READ_S = 10, 30
_CHUNK_BYTES = 1 << 18
_SLOWEST_BYTES_PER_S = 50_000
_ATTEMPTS = 2
_NOT_THERE = (403, 404, 410)
_NOT_MODIFIED = 304


class FileGone(HostError):
    """A mirror answered, but no mirror has the file as it should be."""


@dataclass(frozen=True)
class _Answer:
    """A file being received; no chunks at all where it is not newer than was asked for."""

    chunks: Iterator[bytes]
    modified_s: float


class _Trouble(Exception):
    """Why one attempt at one mirror failed; `alive` is whether the mirror gave an answer."""

    def __init__(self, reason: str, *, alive: bool, final: bool = False) -> None:
        super().__init__(reason)
        self.alive = alive
        self.final = final


def download(package: Package, target: Path, mirrors: Sequence[Mirror], reporter: Reporter) -> None:
    """Download a file of known size and hash.

    Args:
        package: which file.
        target: where it goes; half a file may be left there when an error is raised.
        mirrors: in the order in which they are tried, each twice before the next.
        reporter: is shown the progress.

    Raises:
        FileGone: a mirror answered, but none has this file with this size and hash.
        HostError: no mirror can be reached.
        OSError: `target` cannot be written.
    """

    def attempt(mirror: Mirror) -> None:
        _receive(mirror, package, target, reporter)

    _from_any(attempt, mirrors, package.file)


def refresh(path: str, target: Path, mirrors: Sequence[Mirror]) -> None:
    """Download a file that changes, unless `target` is as new as the mirror's.

    Args:
        path: the file's path below the base of each mirror.
        target: where it goes; its time becomes the mirror's.
        mirrors: in the order in which they are tried.

    Raises:
        FileGone: a mirror answered, but none has the file.
        HostError: no mirror can be reached.
        OSError: `target` cannot be written.
    """
    _from_any(lambda mirror: _receive_newer(mirror, path, target), mirrors, path)


def _from_any(attempt: Callable[[Mirror], None], mirrors: Sequence[Mirror], path: str) -> None:
    troubles: dict[str, _Trouble] = {}
    for mirror in mirrors:
        trouble = _tried(attempt, mirror)
        if trouble is None:
            return
        troubles[mirror.name] = trouble
    told = "; ".join(f"{name}: {trouble}" for name, trouble in troubles.items())
    if any(trouble.alive for trouble in troubles.values()):
        raise FileGone(f"no mirror has a good {path}: {told}")
    raise HostError(
        f"no mirror can be reached for {path}: {told or 'none is known for this archive'}",
        hint="name a Debian mirror that can be reached with --mirror or TRAPGATE_MIRROR",
    )


def _tried(attempt: Callable[[Mirror], None], mirror: Mirror) -> _Trouble | None:
    trouble = None
    for _ in range(_ATTEMPTS):
        try:
            attempt(mirror)
        except _Trouble as error:
            trouble = error
            if error.final:
                break
        else:
            return None
    return trouble


def _receive(mirror: Mirror, package: Package, target: Path, reporter: Reporter) -> None:
    deadline = Deadline.after(_READ_S + package.size / _SLOWEST_BYTES_PER_S, "download")
    digest, done = hashlib.sha256(), 0
    reporter.progress(package.name, 0, package.size)
    with _opened(mirror, package.file) as answer, target.open("wb") as file:
        for chunk in answer.chunks:
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if done > package.size:
                break
            if deadline.expired:
                raise _Trouble(f"slower than {_SLOWEST_BYTES_PER_S} bytes a second", alive=False)
            reporter.progress(package.name, done, package.size)
    if done != package.size:
        raise _Trouble(f"expected {package.size} bytes, got {done}", alive=True)
    if digest.hexdigest() != package.sha256:
        raise _Trouble(
            f"expected SHA-256 {package.sha256[:16]}…, got {digest.hexdigest()[:16]}…", alive=True
        )


def _receive_newer(mirror: Mirror, path: str, target: Path) -> None:
    since = formatdate(target.stat().st_mtime, usegmt=True) if target.exists() else ""
    with _opened(mirror, path, since) as answer:
        content = b"".join(answer.chunks)
    if content:
        target.write_bytes(content)
        os.utime(target, (answer.modified_s, answer.modified_s))


@contextlib.contextmanager
def _opened(mirror: Mirror, path: str, since: str = "") -> Iterator[_Answer]:
    opened = _opened_file if mirror.base.startswith("file:") else _opened_url
    with opened(mirror, path, since) as answer:
        yield answer


@contextlib.contextmanager
def _opened_file(mirror: Mirror, path: str, _since: str) -> Iterator[_Answer]:
    local = Path(unquote(urlsplit(mirror.base).path)) / path
    try:
        file = local.open("rb")
    except OSError as error:
        alive = local.parents[len(Path(path).parts) - 1].is_dir()
        raise _Trouble(str(error.strerror), alive=alive, final=True) from error
    with file:
        chunks = iter(lambda: file.read(_CHUNK_BYTES), b"")
        yield _Answer(chunks, os.fstat(file.fileno()).st_mtime)


@contextlib.contextmanager
def _opened_url(mirror: Mirror, path: str, since: str) -> Iterator[_Answer]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "trapgate"}
    proxies = {"http": mirror.proxy, "https": mirror.proxy} if mirror.proxy else None
    try:
        with requests.get(
            mirror.url(path),
            headers={**headers, "If-Modified-Since": since} if since else headers,
            proxies=proxies,
            stream=True,
            timeout=(_CONNECT_S, _READ_S),
        ) as answer:
            modified = parsedate_tz(answer.headers.get("Last-Modified", ""))
            yield _Answer(_chunks(answer), mktime_tz(modified) if modified else 0.0)
    except requests.RequestException as error:
        raise _Trouble(_reason(error), alive=False) from error


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    if answer.status_code in _NOT_THERE:
        raise _Trouble(f"HTTP status {answer.status_code}", alive=True, final=True)
    if not answer.ok:
        raise _Trouble(f"HTTP status {answer.status_code}", alive=False)
    if answer.status_code == _NOT_MODIFIED:
        return iter(())
    return answer.iter_content(_CHUNK_BYTES)


def _reason(error: requests.RequestException) -> str:
    """Say the innermost reason: what requests wraps around it is an address and an object."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return getattr(inner, "strerror", None) or str(inner) or type(error).__name__

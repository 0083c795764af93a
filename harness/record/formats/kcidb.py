# SPDX-License-Identifier: Apache-2.0
"""KCIDB's submission format, schema 5.3: a build a kernel, a test a result.

The schema is kcidb-io's own. What kcidb-io holds documents against it with takes ten times as long
as the code that fastjsonschema makes of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import DeclarationError, HostError
from harness.record.compare import Comparison
from harness.record.reading import Run
from harness.record.result import Configuration, Result, as_json

ORIGIN = "trapgate"
_LOG_EXCERPT = 16_384
_NOT_IN_A_PATH = re.compile(r"[^a-zA-Z0-9_-]+")
_LOGGED = ("message", "expected", "got", "call", "registers", "failure", "console", "log")

Object = dict[str, Any]


def render(run: Run, comparison: Comparison | None) -> str:
    """Return the document, which has been held against the schema.

    Raises:
        HostError: what has the schema, or reads it, is not installed.
    """
    del comparison
    document = describe(run)
    validate(document)
    members = [f"{json.dumps(name)}: {_show(value)}" for name, value in document.items()]
    return "\n".join(["{", ",\n".join(members), "}", ""])


def describe(run: Run) -> Object:
    """Return a run as KCIDB's objects, linked by their identifiers."""
    kernels = {result.configuration.kernel: result.configuration for result in run.results}
    return {
        "version": {"major": 5, "minor": 3},
        "checkouts": [_checkout(one) for one in kernels.values()],
        "builds": [_build(one) for one in kernels.values()],
        "tests": _tests(run),
    }


def validate(document: Object) -> None:
    """Hold a document against KCIDB's own schema.

    Raises:
        HostError: what has the schema, or reads it, is not installed.
        DeclarationError: the document is not what it should be.
    """
    fits = _reader()
    try:
        fits(document)
    except ValueError as error:
        said = str(error).removeprefix("data.")
        raise DeclarationError(f"the record does not fit KCIDB's schema: {said}") from error


def _reader() -> Callable[[Object], object]:
    """Return what raises a ValueError for a document that does not fit."""
    try:
        import fastjsonschema  # noqa: PLC0415 - an extra that only this format needs
        from kcidb_io.schema import V5_3  # noqa: PLC0415
    except ImportError as error:
        said = "kcidb-io, which has the schema, is not installed"
        if (error.name or "").startswith("fastjsonschema"):
            said = "fastjsonschema, which reads KCIDB's schema, is not installed"
        raise HostError(said, hint="pip install 'trapgate[kcidb]'") from error
    reader: Callable[[Object], object] = fastjsonschema.compile(V5_3.json, use_default=False)
    return reader


def _show(value: object) -> str:
    """Return a member of the document as JSON: of a list, an object a line."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "\n".join(["[", ",\n".join(map(json.dumps, value)), "]"])


def _checkout(kernel: Configuration) -> Object:
    return {
        "id": _id("checkout", kernel.kernel),
        "origin": ORIGIN,
        "comment": kernel.package or kernel.spec,
        "valid": True,
    }


def _build(kernel: Configuration) -> Object:
    return {
        "id": _id("build", kernel.kernel),
        "checkout_id": _id("checkout", kernel.kernel),
        "origin": ORIGIN,
        "architecture": kernel.arch,
        "comment": f"Linux {kernel.release} ({kernel.version})",
        "status": "PASS",
        "misc": as_json(kernel),
    }


def _tests(run: Run) -> list[Object]:
    asked = {result.configuration for result in run.results}
    common = {who: _common(run, who) for who in asked}
    return [common[result.configuration] | _test(run, result) for result in run.results]


def _common(run: Run, who: Configuration) -> Object:
    """Return what all tests of a configuration have in common."""
    machine = {"cpu": who.cpu, "accelerator": who.accelerator, "qemu": who.qemu}
    host = {"host": run.facts.host, "trapgate": run.facts.trapgate, "append": who.append}
    environment = {
        "comment": f"{who.cpu} by {who.accelerator} of QEMU {who.qemu}",
        "misc": _filled(machine | host),
    }
    build = _id("build", who.kernel)
    return {"build_id": build, "origin": ORIGIN, "environment": environment}


def _test(run: Run, result: Result) -> Object:
    log = _log(result)
    known: Object = {
        "id": _id("test", run.name, run.facts.started, result.test),
        "path": _path(result),
        "comment": result.test,
        "status": result.kind.value.kcidb,
        "duration": result.duration_s,
        "misc": {"outcome": result.kind.word, "reproduce": result.evidence.reproduce},
    }
    return known | ({"log_excerpt": log} if log else {})


def _path(result: Result) -> str:
    """Return the place in KCIDB's tree: trapgate, group, function, and what else it is put to."""
    _, _, rest = result.question.partition("::")
    name, _, parameters = rest.removesuffix("]").partition("[")
    parts = [ORIGIN, result.group, name, parameters]
    return ".".join(_NOT_IN_A_PATH.sub("_", part) for part in parts if part)


def _log(result: Result) -> str:
    shown = ((name, getattr(result.evidence, name)) for name in _LOGGED)
    text = "\n".join(f"{name}: {said}" for name, said in shown if said).replace("\0", "")
    return text[:_LOG_EXCERPT]


def _filled(named: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in named.items() if value}


def _id(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{ORIGIN}:{parts[0]}-{digest[:32]}"

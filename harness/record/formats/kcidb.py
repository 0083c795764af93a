# SPDX-License-Identifier: Apache-2.0
"""KCIDB's submission format, schema 5.3: a build a kernel, a test a result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
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
        HostError: kcidb-io is not installed.
    """
    del comparison
    document = describe(run)
    validate(document)
    return json.dumps(document, indent=1) + "\n"


def describe(run: Run) -> Object:
    """Return a run as KCIDB's objects, linked by their identifiers."""
    kernels = {result.configuration.kernel: result.configuration for result in run.results}
    return {
        "version": {"major": 5, "minor": 3},
        "checkouts": [_checkout(one) for one in kernels.values()],
        "builds": [_build(one) for one in kernels.values()],
        "tests": [_test(run, result) for result in run.results],
    }


def validate(document: Object) -> None:
    """Hold a document against KCIDB's own schema.

    Raises:
        HostError: kcidb-io is not installed.
        DeclarationError: the document is not what it should be.
    """
    try:
        from kcidb_io.schema import V5_3  # noqa: PLC0415 - an extra that only this format needs
    except ImportError as error:
        hint = "pip install 'trapgate[kcidb]'"
        raise HostError("kcidb-io, which has the schema, is not installed", hint=hint) from error
    try:
        V5_3.validate(document)
    except Exception as error:  # jsonschema's own, which is not ours to import
        said = str(error).partition("\n")[0]
        raise DeclarationError(f"the record does not fit KCIDB's schema: {said}") from error


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


def _test(run: Run, result: Result) -> Object:
    log = _log(result)
    known: Object = {
        "id": _id("test", run.name, run.facts.started, result.test),
        "build_id": _id("build", result.configuration.kernel),
        "origin": ORIGIN,
        "path": _path(result),
        "comment": result.test,
        "status": result.kind.value.kcidb,
        "duration": result.duration_s,
        "environment": _environment(run, result.configuration),
        "misc": {"outcome": result.kind.word, "reproduce": result.evidence.reproduce},
    }
    return known | ({"log_excerpt": log} if log else {})


def _environment(run: Run, who: Configuration) -> Object:
    machine = {"cpu": who.cpu, "accelerator": who.accelerator, "qemu": who.qemu}
    host = {"host": run.facts.host, "trapgate": run.facts.trapgate, "append": who.append}
    return {
        "comment": f"{who.cpu} by {who.accelerator} of QEMU {who.qemu}",
        "misc": _filled(machine | host),
    }


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

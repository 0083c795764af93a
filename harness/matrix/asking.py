# SPDX-License-Identifier: Apache-2.0
"""A matrix asked on this host: one pytest session, watched while it writes its record."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.errors import DeclarationError, TrapgateError
from harness.matrix.choice import Matrix
from harness.matrix.following import Watcher, follow, following
from harness.matrix.session import COULD_ASK, NOTHING_BLAMED, NOTHING_CHOSEN, Session, start_session
from harness.record.closing import close_abandoned, has_results
from harness.scratch import scratch_folder


def ask_here(matrix: Matrix, folder: Path, watcher: Watcher) -> None:
    """Ask, and leave a record; however it ends, no guest and no worker is left.

    Args:
        matrix: a checked one.
        folder: where the record goes; there is none yet.
        watcher: is told how it goes; what it raises ends the session.

    Raises:
        DeclarationError: no test was chosen.
        HostError: the session could not ask.
    """
    made = not folder.exists()
    try:
        with scratch_folder("matrix") as scratch:
            plan, output = scratch / "plan.json", scratch / "pytest.log"
            arguments = matrix.session(plan, folder)
            with (
                following(plan, folder, watcher) as follower,
                start_session(arguments, output) as session,
            ):
                check_status(follow(session, follower, watcher), session, matrix, folder)
    finally:
        close_abandoned(folder)
        if made and not has_results(folder):
            shutil.rmtree(folder, ignore_errors=True)


def check_status(status: int, session: Session, matrix: Matrix, folder: Path) -> None:
    """Raise what a session's status says, if it could not ask.

    Raises:
        DeclarationError: no test was chosen.
        HostError: it could not ask.
    """
    if status == NOTHING_CHOSEN:
        raise no_test(matrix)
    blameless = status == NOTHING_BLAMED and has_results(folder)
    if status not in COULD_ASK and not blameless:
        raise session.trouble(f"{matrix.name} could not be asked")


def no_test(matrix: Matrix) -> TrapgateError:
    """Return the error to raise when nothing would be asked."""
    chosen = f"no test is like {matrix.select!r}" if matrix.select else "there is no test"
    return DeclarationError(
        f"{chosen}: nothing was asked of {matrix.name}",
        hint="see `pytest --collect-only -q` for what there is",
    )

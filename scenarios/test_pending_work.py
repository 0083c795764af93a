# SPDX-License-Identifier: Apache-2.0
"""What is done on the way out of a call: another's turn, signals; and the call answers as ever.

Source: kernel/entry/common.c exit_to_user_mode_loop (6.1).
"""

import pytest

from harness.entry import entry_paths_of


@pytest.mark.claim(57)
def test_signals_and_other_processes_do_not_change_what_a_call_answers(guest, entry):
    table = guest.table(entry)
    place = entry_paths_of(entry.abi).index(entry)
    numbers = (table.number("getppid"), table.number("sched_yield"))
    said = guest.probe(entry.abi, "busy", place, *numbers)
    assert said["signals"] >= 20
    assert said["wrong"] == 0, "results and registers that were not as without"
    assert said["turns_of_the_other"] > 0
    assert said["preempted"] == 1

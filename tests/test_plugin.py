# SPDX-License-Identifier: Apache-2.0
"""The plugin as users meet it: pytest run on small scenario files, its words and its status."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest
from live import I386, X86_64
from planting import OOPS, Bug, plant

from harness.kernels import find_source, obtain
from harness.places import data_dir

HERE = Path(__file__).resolve().parent
NOWHERE = "http://127.0.0.1:9/debian"

pytestmark = pytest.mark.xdist_group("plugin")

ENDINGS = """
    from pathlib import Path

    import pytest
    from live import machine_of

    MARK = "/tmp/was-here"

    def is_there(guest, path):
        return guest.call(SYSCALL, "access", path.encode() + b"\\0", 0).errno is None

    def test_right(guest):
        guest.write_file(MARK, b"")
        assert is_there(guest, MARK)

    def test_wrong(guest):
        assert guest.call(SYSCALL, "getppid").value == 2

    @pytest.mark.needs(since="99.1")
    def test_not_yet(guest):
        raise AssertionError

    @pytest.mark.known("what it says", arch="x86_64", since="5.0")
    def test_known(guest):
        raise AssertionError

    @pytest.mark.known("of another architecture", arch="i386")
    def test_known_elsewhere(guest):
        guest.write_file(MARK, b"")
        assert is_there(guest, MARK)

    def test_panic(guest):
        guest.write_file("/proc/sysrq-trigger", b"c")

    def test_fresh_after_a_panic(guest):
        assert not is_there(guest, MARK)

    def test_lost(guest):
        machine_of(guest).process.process.kill()
        guest.call(SYSCALL, "getpid")

    def test_fresh_after_a_loss(guest):
        assert guest.call(SYSCALL, "getppid").value == 1
"""

LOSSES = """
    from live import machine_of

    def test_right(guest):
        assert guest.call(SYSCALL, "getppid").value == 1

    def test_lost(guest):
        machine_of(guest).process.process.kill()
        guest.call(SYSCALL, "getpid")
"""

ISOLATION = """
    from pathlib import Path

    import pytest

    MARK = "/tmp/was-here"

    def is_there(guest):
        return guest.call(SYSCALL, "access", MARK.encode() + b"\\0", 0).errno is None

    @pytest.mark.parametrize("again", range(6))
    def test_alone(guest, again):
        assert not is_there(guest)
        guest.write_file(MARK, b"")
        guest.write_file("/proc/sys/kernel/hostname", b"changed")

    def test_pristine_kernel(guest):
        assert guest.read_file("/proc/sys/kernel/hostname") == b"(none)\\n"

    @pytest.mark.pristine
    def test_marked(guest):
        assert not is_there(guest)
        guest.write_file(MARK, b"")

    def test_sharing(shared_guest):
        assert not is_there(shared_guest)
        shared_guest.write_file(MARK, b"")

    @pytest.mark.entries("syscall")
    def test_shared(shared_guest, entry):
        assert is_there(shared_guest)
"""

TOUCHED = """
    import pytest

    HOSTNAME = "/proc/sys/kernel/hostname"

    @pytest.mark.pristine
    def test_changes(guest):
        guest.write_file(HOSTNAME, b"changed")

    def test_behind_it(guest):
        assert guest.read_file(HOSTNAME) == b"(none)\\n"
"""

MACHINES = """
    import pytest

    @pytest.mark.machine()
    @pytest.mark.machine(append="quiet.one=1 two=2")
    @pytest.mark.machine(append="never", arch="i386")
    @pytest.mark.machine(cpu="EPYC")
    def test_machines(guest, configuration):
        line = guest.read_file("/proc/cmdline").decode()
        assert ("quiet.one=1 two=2" in line) == ("two" in configuration.id)
        assert (guest.cpu.vendor == "AuthenticAMD") == ("EPYC" in configuration.id)

    @pytest.mark.machine(arch="i386")
    def test_elsewhere(guest): raise AssertionError
"""

MULTIPLIED = """
    import pytest

    def test_all(entry): pass

    @pytest.mark.entries("int80", "syscall")
    def test_two(entry): pass

    @pytest.mark.abis("i386")
    def test_one_abi(guest, abi): pass

    def test_abis(guest, abi): pass

    def test_plain(): pass

    @pytest.mark.parametrize("n", [1, 2])
    def test_more(entry, n, bad_pointer): pass
"""


@dataclass(frozen=True)
class Session:
    """One run of pytest.

    Attributes:
        status: what it ended with.
        output: what it printed.
        errors: what it printed to standard error.
        folder: where it ran.
    """

    status: int
    output: str
    errors: str
    folder: Path

    def ending_of(self, name: str) -> set[str]:
        """The elements that JUnit's report has for a test."""
        root = ET.parse(self.folder / "junit.xml").getroot()  # noqa: S314 - ours
        cases = [c for c in root.iter("testcase") if c.attrib["name"].startswith(f"{name}[")]
        return {element.tag for case in cases for element in case if element.tag != "properties"}

    def properties_of(self, name: str) -> dict[str, str]:
        """What JUnit's report says of a test besides."""
        root = ET.parse(self.folder / "junit.xml").getroot()  # noqa: S314 - ours
        cases = [c for c in root.iter("testcase") if c.attrib["name"].startswith(f"{name}[")]
        found = [element.attrib for case in cases for element in case.iter("property")]
        return {element["name"]: element["value"] for element in found}


def session(folder: Path, scenarios: str, *arguments: str, **environment: str) -> Session:
    """Run pytest on one file of scenarios, as a user's process with nothing of ours around it."""
    text = "from harness.entry import SYSCALL\n" + textwrap.dedent(scenarios)
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    found_at = os.pathsep.join(filter(None, [str(HERE), clean.get("PYTHONPATH", "")]))
    options = ["--strict-markers", "--accel", "tcg", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "test_it.py", *options, *arguments],
        env=clean | {"PYTHONPATH": found_at, "COLUMNS": "160"} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return Session(done.returncode, done.stdout, done.stderr, folder)


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("endings")
    return session(folder, ENDINGS, "--kernel", X86_64, "--junitxml", "junit.xml")


@pytest.mark.parametrize(
    ("name", "word", "element", "kind"),
    [
        ("test_right", "", set(), "pass"),
        ("test_wrong", "FAILED", {"failure"}, "fail"),
        ("test_not_yet", "", {"skipped"}, "skip"),
        ("test_known", "", {"skipped"}, "known"),
        ("test_known_elsewhere", "", set(), "pass"),
        ("test_panic", "PANIC", {"failure"}, "panic"),
        ("test_fresh_after_a_panic", "", set(), "pass"),
        ("test_lost", "LOST", {"error"}, "lost"),
        ("test_fresh_after_a_loss", "", set(), "pass"),
    ],
)
def test_an_ending_has_its_word_everywhere(
    name: str, word: str, element: set[str], kind: str, endings: Session
) -> None:
    summary = [line for line in endings.output.splitlines() if f"::{name}[" in line]
    assert [line.split()[0] for line in summary] == ([word] if word else [])
    assert endings.ending_of(name) == element
    assert endings.properties_of(name)["outcome"] == kind
    assert endings.properties_of(name)["kernel"] == X86_64


def test_a_failure_among_losses_is_status_1(endings: Session) -> None:
    assert endings.status == 1, endings.output + endings.errors
    assert "2 failed, 4 passed, 1 skipped, 1 xfailed, 1 error" in endings.output


def test_a_session_says_what_it_asks(endings: Session) -> None:
    said = [line for line in endings.output.splitlines() if line.startswith("trapgate: ")]
    assert len(said) == 1
    assert said[0].startswith(f"trapgate: {X86_64} is Linux 6.1")
    assert said[0].endswith("by tcg: asked for")


def test_a_failure_shows_the_scenario_and_the_kernel_and_not_the_harness(endings: Session) -> None:
    assert 'guest.write_file("/proc/sysrq-trigger", b"c")' in endings.output
    assert "Kernel panic - not syncing: sysrq triggered crash" in endings.output
    assert "about 99.1" not in endings.output
    assert "def _explained" not in endings.output
    assert "came with 99.1" in session_skips(endings)


def session_skips(done: Session) -> str:
    return ET.tostring(ET.parse(done.folder / "junit.xml").getroot(), encoding="unicode")  # noqa: S314


def test_only_losses_are_status_2(tmp_path: Path) -> None:
    done = session(tmp_path, LOSSES, "--kernel", X86_64)
    assert done.status == 2
    assert "1 passed, 1 error" in done.output


def test_compiled_scenarios_are_kept_where_they_may_not_lie_beside_their_source(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for name in ("conftest.py", "test_gates.py"):
        shutil.copy(data_dir("scenarios") / name, folder)
    cache = {"TRAPGATE_CACHE": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = session(folder, "", "--collect-only", "test_gates.py", **cache)
    assert done.status == 0, done.output + done.errors
    kept = list(tmp_path.rglob("test_gates.*.pyc"))
    assert [path.is_relative_to(tmp_path / "cache" / "bytecode") for path in kept] == [True]


def test_a_splat_fails_a_test_whose_answers_were_right(tmp_path: Path) -> None:
    bug = Bug("__x64_sys_getppid", OOPS)
    kernel = plant(obtain(find_source(X86_64)), bug, tmp_path)
    scenarios = """
        def test_splat(guest):
            guest.write_file("/tmp/was-here", b"")
            try:
                guest.call(SYSCALL, "getppid")
            except Exception:
                pass

        def test_fresh(guest):
            assert guest.call(SYSCALL, "access", b"/tmp/was-here\\0", 0).errno
    """
    done = session(tmp_path, scenarios, "--kernel", str(kernel))
    assert done.status == 1, done.output + done.errors
    assert "SPLAT test_it.py::test_splat[vmlinux-__x64_sys_getppid]" in done.output
    assert "the kernel logged: invalid opcode" in done.output
    assert "1 failed, 1 passed" in done.output


def test_evidence_that_a_kernel_does_not_show_is_a_skip(tmp_path: Path) -> None:
    scenarios = """
        import pytest

        @pytest.fixture
        def place(inside):
            return inside.symbols["no_such_symbol"]

        def test_in_a_fixture(place):
            raise AssertionError

        def test_in_a_test(inside):
            assert inside.symbols["entry_SYSCALL_64"]
            assert inside.symbols["no_such_symbol"]
    """
    done = session(tmp_path, scenarios, "--kernel", X86_64, "-rs")
    assert done.status == 0, done.output + done.errors
    assert "2 skipped" in done.output
    assert "not shown: this kernel's /proc/kallsyms has no symbol no_such_symbol" in done.output


def test_what_no_kernel_here_can_be_asked_is_a_skip_that_says_why(tmp_path: Path) -> None:
    scenarios = """
        import pytest

        @pytest.mark.entries("syscall", "int80_64")
        def test_entry(guest, entry):
            raise AssertionError

        @pytest.mark.abis("x86_64")
        def test_program(guest, abi):
            raise AssertionError

        @pytest.mark.machine(append="quiet", arch="x86_64")
        def test_machine(guest):
            raise AssertionError
    """
    done = session(tmp_path, scenarios, "--kernel", I386, "-rs")
    assert done.status == 0, done.output + done.errors
    for reason in (
        "i386 kernels have no syscall or int80_64",
        "i386 kernels run no x86_64 programs",
        "about x86_64 kernels",
    ):
        assert f": {reason}\n" in done.output, done.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_test_sees_what_another_has_done_unless_it_shares(workers: str, tmp_path: Path) -> None:
    done = session(tmp_path, ISOLATION, "--kernel", X86_64, "-n", workers, "--dist", "loadfile")
    assert "10 passed" in done.output, done.output


def test_where_guests_are_booted_only_a_marked_test_gets_a_kernel_of_its_own(
    tmp_path: Path,
) -> None:
    done = session(tmp_path, ISOLATION, "--kernel", X86_64, "--boot", "-k", "marked or shar")
    assert "3 passed" in done.output, done.output


def test_what_a_pristine_test_leaves_behind_is_nobody_elses(tmp_path: Path) -> None:
    done = session(tmp_path, TOUCHED, "--kernel", X86_64, "--boot")
    assert "2 passed" in done.output, done.output


def test_a_scenario_is_asked_in_the_machines_that_it_wants(tmp_path: Path) -> None:
    done = session(tmp_path, MACHINES, "--kernel", X86_64, "-v")
    for name in ("-quiet.one=1 two=2", "-EPYC", ""):
        assert f"test_machines[{X86_64}{name}] PASSED" in done.output, done.output
    assert "3 passed, 1 skipped" in done.output, done.output
    assert "never" not in done.output


def test_a_kernel_that_does_not_boot_is_not_tried_for_every_test(tmp_path: Path) -> None:
    nowhere = ("--kernel-append", "rdinit=/nowhere", "--kernel-append", "init=/nowhere")
    scenarios = """
        import pytest

        @pytest.mark.parametrize("n", range(4))
        def test_it(guest, n):
            pass
    """
    done = session(tmp_path, scenarios, "--kernel", X86_64, *nowhere)
    assert done.status == 1
    assert "4 failed" in done.output
    assert done.output.count("is not booted again after: the kernel panicked") >= 2
    assert "Traceback" not in done.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_that_its_first_failure_ends_says_who_is_at_fault(
    workers: str, tmp_path: Path
) -> None:
    scenarios = """
        from harness.errors import HostError

        def test_kernel(guest):
            assert guest.call(SYSCALL, "getppid").value == 2

        def test_host(guest):
            raise HostError("the disk is full")
    """
    options = ("--kernel", X86_64, "-x", "-n", workers)
    assert session(tmp_path, scenarios, *options, "-k", "kernel").status == 1
    assert session(tmp_path, scenarios, *options, "-k", "host").status == 2


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_host_without_tools_ends_it_with_one_sentence(workers: str, tmp_path: Path) -> None:
    scenarios = "def test_it(entry): pass"
    done = session(tmp_path, scenarios, "-n", workers, PATH=str(tmp_path), CC="")
    assert done.status == 2
    assert done.errors.startswith("trapgate: qemu-system-x86_64 not found")
    assert "no tests ran" in done.output
    assert "ERROR" not in done.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_mirror_that_is_not_there_ends_it_with_one_sentence(workers: str, tmp_path: Path) -> None:
    scenarios = "def test_it(entry): pass"
    options = ("--kernel", X86_64, "--mirror", NOWHERE, "-n", workers)
    done = session(tmp_path, scenarios, *options, TRAPGATE_CACHE=str(tmp_path / "cache"))
    assert done.status == 2
    assert done.errors.startswith("trapgate: ")
    assert "127.0.0.1" in done.errors
    assert "no tests ran" in done.output
    assert "ERROR" not in done.output


def test_an_unknown_kernel_is_one_sentence_with_the_nearest_names(tmp_path: Path) -> None:
    done = session(tmp_path, "def test_it(entry): pass", "--kernel", "6.1/x86-64")
    assert done.status == 2
    assert done.errors.splitlines()[0] == "trapgate: no kernel is called '6.1/x86-64'"
    assert "6.1/x86_64" in done.errors.splitlines()[1]
    assert done.output == ""


def test_workers_share_out_the_kernels_and_the_user_hears_of_them(tmp_path: Path) -> None:
    options = ("-n", "2", "--dist", "loadgroup", "-v")
    scenarios = """
        @pytest.mark.entries("int80")
        def test_parent(guest, entry):
            assert guest.call(entry, "getppid").value == 1

        @pytest.mark.entries("int80")
        def test_user(guest, entry):
            assert guest.call(entry, "getuid").value == 0
    """
    done = session(tmp_path, "import pytest\n" + textwrap.dedent(scenarios), *options)
    assert done.status == 0, done.output + done.errors
    said = [line for line in done.output.splitlines() if line.startswith("trapgate: ")]
    assert [line.split()[1] for line in said] == ["6.1/i386", "6.1/x86_64"]
    passed = [line.split() for line in done.output.splitlines() if " PASSED " in line]
    workers = {(words[0], words[-1].partition("@")[2]) for words in passed}
    assert len(passed) == 4
    assert len(workers) == 2, "one kernel's tests are for one worker"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_without_scenarios_nothing_is_prepared(workers: str, tmp_path: Path) -> None:
    done = session(tmp_path, "def test_it(): pass", "-n", workers, PATH=str(tmp_path))
    assert done.status == 0
    assert "trapgate: " not in done.output


def collected(folder: Path, *arguments: str) -> list[str]:
    done = session(folder, MULTIPLIED, "--collect-only", "-q", *arguments, PATH=str(folder))
    assert done.status == 0, done.output + done.errors
    names = (line.partition("::test_")[2] for line in done.output.splitlines())
    return [name for name in names if name]


def test_scenarios_are_multiplied_as_their_marks_say(tmp_path: Path) -> None:
    names = collected(tmp_path, "--kernel", X86_64)
    count = {name: sum(n.startswith(f"{name}[") for n in names) for name in ("all", "two", "abis")}
    assert count == {"all": 6, "two": 2, "abis": 2}
    assert f"one_abi[{X86_64}-i386]" in names
    assert f"one_abi[{X86_64}-x86_64]" not in names
    assert "plain" in names
    assert f"more[{X86_64}-syscall-non_canonical_low-2]" in names


def test_kernels_and_processors_multiply(tmp_path: Path) -> None:
    options = ("--kernel", "6.1/i386", "--kernel", X86_64, "--cpu", "Nehalem", "--cpu", "EPYC")
    names = collected(tmp_path, *options)
    assert {name for name in names if name.startswith("two[")} == {
        *("two[6.1/i386-Nehalem-int80]", "two[6.1/i386-EPYC-int80]"),
        *("two[6.1/x86_64-Nehalem-int80]", "two[6.1/x86_64-Nehalem-syscall]"),
        *("two[6.1/x86_64-EPYC-int80]", "two[6.1/x86_64-EPYC-syscall]"),
    }


@pytest.mark.parametrize(("mark", "word"), [("entries", "sysentre"), ("abis", "i836")])
def test_a_misspelt_mark_is_said_where_it_stands(mark: str, word: str, tmp_path: Path) -> None:
    scenarios = f"""
        import pytest

        @pytest.mark.{mark}("{word}")
        def test_it(guest, entry, abi): pass
    """
    done = session(tmp_path, scenarios, "--kernel", X86_64)
    assert done.status == 2
    assert (
        f"test_it: unknown {'entry path' if mark == 'entries' else 'abi'} '{word}'" in done.output
    )
    assert "did you mean" in done.output


def test_garbage_is_looked_for_again_once_tests_are_collected(tmp_path: Path) -> None:
    scenarios = """
        import gc

        def test_while_it_is_asked():
            assert gc.isenabled()

        BEFORE = gc.isenabled()

        def test_while_it_was_collected():
            assert not BEFORE
    """
    assert session(tmp_path, scenarios, "--kernel", X86_64).status == 0

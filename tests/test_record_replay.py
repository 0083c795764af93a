# SPDX-License-Identifier: Apache-2.0
"""`trapgate record` and `trapgate replay --recorded`: the same run, instruction for instruction."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from live import CHECKOUT, I386, PROGRAM, X86_64, emulators_of, eventually, is_there, trapgate

from harness import wire
from harness.agent.channel import ChannelBroken
from harness.agent.determined import Held, OtherRequest
from harness.agent.frames import Frame, encode_frame
from harness.arch import ARCH_X86_64
from harness.build.initramfs import add_requests, build_initramfs
from harness.deadline import Deadline
from harness.errors import DeclarationError
from harness.kernels import find_source, obtain
from harness.machine.emulator import find_qemu_version
from harness.repro.archive import write_archive
from harness.repro.recording import Facts, Recording, read_recording, write_recording
from harness.script.reading import parse_script
from harness.tools import find_tool

SOON = Deadline.after(60, "answer")
SAME = "the same run as recorded\n"
SCRIPT = """\
pid = {entry} getpid
{entry} kill $pid 0 -> 0
fd = {entry} open "/dev/urandom" 0
buffer random 16
{entry} read $fd $random 16 -> 16
peek {abi} $random 16
{entry} close $fd -> 0
{entry} close $fd -> EBADF
"""
"""A number that another boot may have otherwise, and bytes that no two have."""


def record(folder: Path, spec: str, script: str) -> subprocess.CompletedProcess[str]:
    (folder / "s.trap").write_text(script)
    target = str(folder / "s.recording")
    return trapgate("record", "--kernel", spec, "-o", target, "--", str(folder / "s.trap"))


def play(recording: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return trapgate("replay", "--recorded", str(recording), *options, **environment)


@pytest.mark.parametrize(
    ("spec", "entry", "abi"), [(X86_64, "syscall", "x86_64"), (I386, "sysenter", "i386")]
)
def test_two_replays_are_the_run_that_was_recorded(
    spec: str, entry: str, abi: str, tmp_path: Path
) -> None:
    recorded = record(tmp_path, spec, SCRIPT.format(entry=entry, abi=abi))
    assert recorded.returncode == 0, recorded.stderr
    shown, _, size = recorded.stdout.removesuffix("\n").rpartition("\n")
    assert size.startswith(f"{tmp_path}/s.recording, ")
    assert "\n4 of 4 expectations held\npass\n" in shown.replace("8 statements, ", "")
    assert f" instructions, by QEMU {find_qemu_version()}" in shown
    for _ in range(2):
        played = play(tmp_path / "s.recording")
        assert (played.stdout, played.returncode) == (f"{shown}\n{SAME}", 0), played.stderr


@dataclass(frozen=True)
class Kept:
    """A recording that several tests play, and what was shown as it was made."""

    path: Path
    shown: str


together = pytest.mark.xdist_group("recording")


@pytest.fixture(scope="module")
def panicked(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("panicked")
    script = 'syscall close -1 -> EBADF\nfile "/proc/sysrq-trigger" 0644 "c"\nsyscall getpid\n'
    recorded = record(folder, X86_64, script)
    assert recorded.returncode == 0, recorded.stderr
    return Kept(folder / "s.recording", recorded.stdout.rpartition(str(folder))[0])


@together
def test_a_panic_is_recorded_and_played(panicked: Kept) -> None:
    assert "\npanic: the kernel panicked: Kernel panic - not syncing: sysrq" in panicked.shown
    played = play(panicked.path)
    assert (played.stdout, played.returncode) == (f"{panicked.shown}{SAME}", 1), played.stderr


@together
def test_what_qemu_cannot_play_is_not_the_kernels_fault(panicked: Kept, tmp_path: Path) -> None:
    """Half of what QEMU noted, as if it had been all."""
    whole = read_recording(panicked.path)
    events = whole.files["events"][: len(whole.files["events"]) // 2]
    sha256 = {**whole.facts.sha256, "events": hashlib.sha256(events).hexdigest()}
    facts, files = replace(whole.facts, sha256=sha256), {**whole.files, "events": events}
    write_recording(tmp_path / "x", Recording(facts, whole.script, files))
    played = play(tmp_path / "x")
    assert played.stderr.startswith("trapgate: replay: qemu ")
    assert "error reading the replay data" in played.stderr
    assert played.returncode == 2


@together
@pytest.mark.skipif(not find_tool("gdb"), reason="gdb is not installed")
def test_gdb_goes_back_from_the_end_of_a_panic(panicked: Kept) -> None:
    look = ("hbreak panic", "continue", "hbreak emergency_restart", "continue", "reverse-continue")
    commands = [word for each in (*look, "info symbol $rip") for word in ("-ex", each)]
    said = trapgate("gdb", "--recorded", str(panicked.path), "--", "--batch", *commands)
    assert said.returncode == 0, said.stderr
    assert "\nstopped before its end, as it does not make: syscall getpid\n" in said.stdout
    _, _, panicking = said.stdout.partition("in panic ()\n")
    assert "in emergency_restart ()\n" in panicking
    assert panicking.partition("\n[")[0].endswith("in panic ()\npanic in section .text")


@together
def test_gdb_has_no_other_machine_for_a_recording(panicked: Kept) -> None:
    said = trapgate("gdb", "--recorded", "--memory", "64", str(panicked.path))
    assert said.stderr.startswith("trapgate: a recording has its machine already\n")
    assert said.returncode == 2


@together
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"instructions": 7}, "expected 7 instructions, got "),
        ({}, "the guest answers otherwise"),
    ],
)
def test_another_run_is_not_taken_for_the_same(
    changed: Mapping[str, int], said: str, panicked: Kept, tmp_path: Path
) -> None:
    whole = read_recording(panicked.path)
    answers = whole.files["answers"][:-1]
    sha256 = {**whole.facts.sha256, "answers": hashlib.sha256(answers).hexdigest()}
    facts = replace(whole.facts, sha256=sha256, **changed)
    other = Recording(facts, whole.script, {**whole.files, "answers": answers})
    write_recording(tmp_path / "x", other)
    played = play(tmp_path / "x")
    assert played.stderr.startswith(f"trapgate: qemu played another run than it recorded: {said}")
    assert (played.stdout, played.returncode) == ("", 2)


@together
@pytest.mark.parametrize("command", ["replay", "gdb"])
def test_control_c_leaves_nothing_of_a_replay(command: str, panicked: Kept, tmp_path: Path) -> None:
    interrupt(tmp_path, command, "--recorded", str(panicked.path))
    assert not list(tmp_path.iterdir())


def test_control_c_leaves_nothing_of_a_record(tmp_path: Path) -> None:
    (tmp_path / "s.trap").write_text("syscall getpid\n")
    interrupt(tmp_path, "record", "s.trap")
    assert [path.name for path in tmp_path.iterdir()] == ["s.trap"]


def interrupt(folder: Path, *arguments: str) -> None:
    """Press Control-C as soon as there is a QEMU, which is to be gone then."""
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(folder)},
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(  # noqa: PLW1509 - whoever runs us may ignore it
            signal.SIGINT, signal.default_int_handler
        ),
    )
    emulators = eventually(lambda: emulators_of(started.pid))
    started.send_signal(signal.SIGINT)
    started.communicate()
    assert started.returncode == 128 + signal.SIGINT
    assert eventually(lambda: not any(map(is_there, emulators)))


def asking(number: int, sequence: int = 1) -> bytes:
    return encode_frame(Frame(wire.FrameType.RUN, 0, sequence, number.to_bytes(8, "little")))


def test_what_was_asked_is_to_be_asked_again() -> None:
    held = Held(asking(1) + asking(2), b"said")
    held.send(asking(1), SOON)
    assert held.receive(SOON) == b"said"
    with pytest.raises(ChannelBroken, match="ended before it had answered everything"):
        held.receive(SOON)


def test_another_number_is_what_will_be_asked_the_next_time() -> None:
    held = Held(asking(1) + asking(2) + asking(3), b"")
    held.send(asking(1), SOON)
    with pytest.raises(OtherRequest, match="answered otherwise than when") as other:
        held.send(asking(7), SOON)
    assert other.value.corrected == asking(1) + asking(7) + asking(3)


def test_another_request_is_not_guessed() -> None:
    held = Held(asking(1), b"")
    with pytest.raises(OtherRequest) as other:
        held.send(asking(1, sequence=2), SOON)
    assert other.value.corrected == b""


def test_an_initramfs_with_requests_begins_like_any_other() -> None:
    usual = build_initramfs(ARCH_X86_64).path.read_bytes()
    given = add_requests(usual, asking(1))
    assert given.startswith(usual)
    assert wire.REQUESTS_FILE.encode() + b"\0" in given[len(usual) :]
    assert asking(1) in given[len(usual) :]
    assert len(given) % 4 == 0


FILES = {"initramfs": b"i", "requests": b"r", "events": b"e", "answers": b"a"}


def made_up(path: Path, files: Mapping[str, bytes] = FILES, **said: object) -> Path:
    """Write a recording of the x86_64 kernel, which nobody has made."""
    kernel = obtain(find_source(X86_64))
    facts = Facts(
        kernel={"spec": X86_64, "sha256": kernel.sha256, "version": "6.1", "release": "6.1"},
        cpu="Nehalem",
        memory_mib=128,
        command_line=("quiet",),
        versions={"qemu": find_qemu_version(), "trapgate": "0"},
        outcome="pass",
        message="",
        answers=(),
        instructions=1,
        sha256={name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
    )
    script = parse_script("syscall getpid\n", "s.trap")
    write_recording(path, Recording(replace(facts, **said), script, files))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    recording = read_recording(made_up(tmp_path / "x", answers=("1", "2")))
    assert recording.files == FILES
    assert recording.facts.answers == ("1", "2")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_recording_from_before_is_read(tmp_path: Path) -> None:
    """QEMU cannot load states of its machine, which is not to be another one now."""
    facts = read_recording(made_up(tmp_path / "x", format=1)).facts
    assert (facts.format, facts.saveable) == (1, False)


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_other_bytes_is_damage(name: str, tmp_path: Path) -> None:
    path = made_up(tmp_path / "x", {**FILES, name: b"other"})
    with pytest.raises(DeclarationError, match=f"x is damaged: expected {name} with sha256 "):
        read_recording(path)


@pytest.mark.parametrize("memory_mib", [0, -1, 1 << 20])
def test_nobody_elses_recording_takes_all_memory(memory_mib: int, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=f"x wants a guest of {memory_mib} MiB"):
        read_recording(made_up(tmp_path / "x", memory_mib=memory_mib))


@pytest.mark.parametrize(
    "facts",
    [b"", b"[]", b'{"format": 2}', b'{"format": 3}', b'{"format": 1}', b'{"format": 1, "more": 1}'],
)
def test_facts_that_are_none_are_damage(facts: bytes, tmp_path: Path) -> None:
    write_archive(tmp_path / "x", {"recording.json": facts, "program.trap": b"", **FILES})
    with pytest.raises(DeclarationError, match=r"recording .*x (?:is damaged|has another format)"):
        read_recording(tmp_path / "x")


def test_a_script_is_no_recording_and_a_recording_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "s.trap").write_text("syscall getpid\n")
    said = play(tmp_path / "s.trap")
    assert said.stderr == (
        f"trapgate: {tmp_path}/s.trap is no recording\n`trapgate record` makes one\n"
    )
    assert said.returncode == 2
    said = trapgate("replay", str(made_up(tmp_path / "x")))
    assert "no bundle has 'recording.json'" in said.stderr
    assert said.returncode == 2


@pytest.mark.parametrize(
    ("options", "said", "expected"),
    [
        (["--kernel", I386], {}, "trapgate: the recording is of 6.1/x86_64 (6.1) with sha256 "),
        ([], {"kernel": {"spec": "/x", "release": "9"}}, "of /x (9), not in the catalogue\n"),
        ([], {"versions": {"qemu": "5.2.0"}}, "trapgate: QEMU 5.2.0 made the recording, and only"),
        (["--append", "quiet"], {}, "trapgate: a recording has its machine already\n"),
        (["--accel", "kvm"], {}, "trapgate: a recording has its machine already\n"),
        (["--target", "local"], {}, "trapgate: a recording has its machine already\n"),
    ],
)
def test_what_it_cannot_be_played_with(
    options: list[str], said: Mapping[str, object], expected: str, tmp_path: Path
) -> None:
    played = play(made_up(tmp_path / "x", **said), *options)
    assert expected in played.stderr
    assert (played.stdout, played.returncode) == ("", 2)


def test_only_emulation_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "s.trap").write_text("syscall getpid\n")
    said = trapgate("record", "--accel", "kvm", str(tmp_path / "s.trap"))
    assert said.stderr == "trapgate: kvm counts no instructions: expected --accel tcg\n"
    assert said.returncode == 2

# SPDX-License-Identifier: Apache-2.0
"""Scripts: what is written reads back, what is wrong is said with its place, and what they do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live import I386, X86_64, native, on, trapgate

import harness.script
from harness.agent.arguments import Buffer
from harness.agent.calls import Call
from harness.agent.guest import Guest
from harness.agent.program import Program
from harness.arch import ABIS, Abi
from harness.arch import I386 as ABI32
from harness.arch import X86_64 as ABI64
from harness.entry import INT80, SYSCALL, EntryPath, default_registers
from harness.errors import DeclarationError, GuestError
from harness.landscape import ARENA, EDGE, HOLE, READ_ONLY
from harness.script.lifting import lift
from harness.script.notation import Plain, parse_argument, parse_bytes, show_argument, show_bytes
from harness.script.reading import ENTRIES, ERRORS, SIGNALS, parse_script, parse_statement, split
from harness.script.replay import Answered, Replay
from harness.script.statements import (
    AnyStatement,
    CallStatement,
    GetFile,
    Header,
    Load,
    Peek,
    Poke,
    PutFile,
    Reference,
    Renew,
    Reserve,
    RunProbe,
    RunProgram,
    Script,
)
from harness.script.writing import show_statement, write_command, write_script

MOST = ARENA.size_bytes // 8

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
contents = st.one_of(
    st.binary(max_size=40),
    words.map(lambda text: text.encode() + b"\0"),
    st.lists(st.one_of(st.binary(max_size=8), st.integers(14, 40).map(bytes)), max_size=4).map(
        b"".join
    ),
)
buffers = st.builds(Buffer, st.integers(1, MOST), st.integers(0, 255))
abis = st.sampled_from(list(ABIS.values()))


def numbers(abi: Abi) -> st.SearchStrategy[int]:
    places = st.sampled_from([EDGE.start, EDGE.end - 8, READ_ONLY.start, ARENA.end, HOLE])
    return st.one_of(st.integers(-(1 << abi.bits - 1), abi.mask), places, st.integers(-20, 5000))


def places(known: frozenset[str]) -> st.SearchStrategy[int | Reference]:
    addresses = numbers(ABI32).map(abs)
    offsets = st.integers(-5000, 5000)
    named = [st.builds(Reference, st.sampled_from(sorted(known)), offsets)] if known else []
    return st.one_of(addresses, *named)


@st.composite
def calls(draw: st.DrawFn, known: frozenset[str]) -> CallStatement:
    entry: EntryPath = draw(st.sampled_from(list(ENTRIES.values())))
    loads = st.builds(Load, st.sampled_from([1, 2, 4, 8]), places(known))
    values = st.one_of(numbers(entry.abi), contents, buffers, loads, places(known))
    registers = st.one_of(numbers(entry.abi), loads, places(known))
    settable = st.sampled_from(sorted(default_registers(entry.abi)))
    expected = st.one_of(numbers(entry.abi), st.sampled_from(sorted(ERRORS | SIGNALS)))
    return CallStatement(
        entry,
        draw(st.one_of(st.integers(-(1 << 31), 1 << 31), st.sampled_from(["read", "getpid"]))),
        tuple(draw(st.lists(values, max_size=6))),
        tuple(draw(st.dictionaries(settable, registers, max_size=3)).items()),
        draw(st.one_of(st.just(""), names)),
        draw(st.one_of(st.none(), st.floats(0.1, 100))),
        draw(st.one_of(st.none(), expected)),
    )


def statements(known: frozenset[str]) -> st.SearchStrategy[AnyStatement]:
    maybe = st.one_of(st.none(), contents)
    pairs = st.dictionaries(names, st.integers(-9, 1 << 40), max_size=3).map(
        lambda found: tuple(found.items())
    )
    some = st.lists(numbers(ABI64), max_size=200).map(tuple)
    sizes = st.integers(1, MOST)
    argv = st.lists(words, min_size=1, max_size=3).map(tuple)
    status = st.one_of(st.none(), st.integers(0, 255))
    return st.one_of(
        calls(known),
        st.builds(Reserve, names, sizes),
        st.builds(Poke, abis, places(known), contents),
        st.builds(Peek, abis, places(known), sizes, maybe),
        st.builds(PutFile, words, contents, st.integers(0, 0o777)),
        st.builds(GetFile, words, maybe),
        st.builds(RunProbe, abis, names, some, pairs),
        st.builds(RunProgram, argv, status),
        st.just(Renew()),
    )


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    plain = st.from_regex(r"[\w./=,-]{1,12}", fullmatch=True)
    header = Header(
        draw(st.one_of(st.just(""), plain)),
        draw(st.one_of(st.just(""), plain)),
        tuple(draw(st.lists(plain, max_size=2))),
        draw(st.sampled_from(["", "tcg"])),
        draw(st.sampled_from([0, 256])),
    )
    known: frozenset[str] = frozenset()
    body: list[AnyStatement] = []
    for _ in range(draw(st.integers(0, 5))):
        body.append(draw(statements(known)))
        said = getattr(body[-1], "result", "") or (
            body[-1].name if isinstance(body[-1], Reserve) else ""
        )
        known |= frozenset(filter(None, [said]))
    return Script(header, tuple(body))


@settings(max_examples=60, deadline=None)
@given(scripts())
def test_what_is_written_reads_back(script: Script) -> None:
    assert parse_script(write_script(script, ["what it is"])) == script


@settings(max_examples=60, deadline=None)
@given(contents)
def test_bytes_read_back(content: bytes) -> None:
    assert parse_bytes(show_bytes(content)) == content
    assert split(show_bytes(content)) == [show_bytes(content)]


@settings(max_examples=60, deadline=None)
@given(st.one_of(numbers(ABI64), contents, buffers))
def test_arguments_read_back(argument: Plain) -> None:
    assert parse_argument(show_argument(argument), ABI64) == argument


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"/proc/version\0", '"/proc/version"'),
        (b"abc\n", r'raw:"abc\n"'),
        (b'"\\\0', r'"\"\\"'),
        (b"\0\1\2", "hex:000102"),
        (bytes(4096), "zeros:4096"),
        (b"\5" * 20 + b"ab\0", 'fill:20:0x5+"ab"'),
        (b"", "hex:"),
    ],
)
def test_bytes_are_shown_readably(content: bytes, text: str) -> None:
    assert show_bytes(content) == text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("int08 getpid", "expected a statement, got 'int08'\ndid you mean int80"),
        ("int80", "expected int80 and a call's name or number"),
        ("int80 read 0 $fd", "nothing is called 'fd' yet"),
        ("int80 read 0 @egde", "unknown region '@egde'\ndid you mean @edge"),
        ("int80 read 0 0x100000000", "does not fit the 32 bits"),
        ("int80 read 1 2 3 4 5 6 7", "six arguments at most, got 7"),
        ("int80 getpid exx=1", "i386 has no register 'exx'"),
        ("int80 getpid -> EBDAF", "expected a number, an error's or a signal's name behind ->"),
        ("int80 getpid ->", "expected what is to be answered behind ->, got nothing"),
        ("int80 getpid timeout=soon", "expected timeout=SECONDS"),
        ("x = renew", "only calls have a result"),
        ("peek i368 @edge 1", "expected an ABI, got 'i368'\ndid you mean i386"),
        ("peek i386 @edge", "expected peek ABI PLACE SIZE"),
        ("probe i386 x y", "no number or place in memory: 'y'"),
        ("poke i386 @edge abc", "expected bytes as in"),
        ('poke i386 @edge "\\q"', "no escape: \\q"),
        ("poke i386 @edge hex:abc", "half a byte too many"),
        ("file /x 0999 hex:", "expected a mode in octal"),
        ('file "/x hex:', "a quote that does not end"),
        ("kernel 6.1/i386", "the header ends with the first statement"),
    ],
)
def test_a_wrong_line_is_said_with_its_place(line: str, said: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse_script(f"# a comment\nrenew\n{line}\n", "some.trap")
    assert str(caught.value).startswith("some.trap:3: ")
    assert said in str(caught.value)


def test_comments_and_blanks_are_nothing() -> None:
    assert parse_script('\n  # kernel\n  renew # "\n').statements == (Renew(),)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("int80 read 0 @hole 16 flags=0x602", "--register flags=0x602 read 0 @hole 16"),
        ('int80 open "/proc/a b" -1 timeout=2', "--timeout 2 open 'str:/proc/a b' -1"),
        ("int80 0x7fffffff buf:8 hex:00ff", "0x7fffffff buf:8 hex:00ff"),
        (r'int80 chdir "a\nb"', r"""chdir '"a\nb"'"""),
    ],
)
def test_a_call_is_one_command(line: str, options: str) -> None:
    header = Header("6.1/i386", "EPYC", ("vsyscall=none",))
    call = parse_statement(split(line))
    assert isinstance(call, CallStatement)
    machine = "--kernel 6.1/i386 --cpu EPYC --kernel-append vsyscall=none"
    assert write_command(header, call) == f"trapgate call {machine} --entry int80 {options}"


def test_what_only_scripts_have_is_no_command() -> None:
    call = CallStatement(INT80, "read", (Reference("fd"), 0, 0))
    assert write_command(Header(), call) is None


def ask_something(guest: Guest) -> None:
    """Everything that a scenario can ask of a guest, with names for it to find."""
    entry = native(guest)
    guest.write_file("/letters", b"abc")
    fd = guest.call(entry, "open", b"/letters\0", 0).value
    guest.call(entry, "read", fd, Buffer(4), 3, flags=0x602)
    guest.write(entry.abi, EDGE.start, b"/letters\0")
    guest.call(entry, "open", EDGE.start, 0)
    guest.read(entry.abi, EDGE.start, 4)
    guest.calls([Call.of(entry, 0x7FFF, (-1,), "none"), Call.of(entry, 0x7FFE, (), "none")])
    program = Program()
    program.fill(EDGE.start, 300, 7)
    program.read(EDGE.start, 300)
    guest.run(entry.abi, program)
    guest.renew()
    guest.read_file("/letters")
    guest.call(entry, "read", 0, HOLE, 16)


@on(X86_64)
def test_what_was_asked_is_lifted(booted: Guest) -> None:
    booted.renew()
    booted.asked.clear()
    ask_something(booted)
    lifted = lift(booted.asked, booted.table)
    assert write_script(Script(Header(kernel=X86_64), lifted)).splitlines() == [
        "kernel 6.1/x86_64",
        "",
        'file "/letters" raw:"abc"',
        'fd = syscall open "/letters" 0  # 3',
        "syscall read $fd buf:4 3 flags=0x602  # 3",
        'poke x86_64 @edge "/letters"',
        "syscall open @edge 0  # 4",
        "peek x86_64 @edge 4",
        "syscall 32767 -1  # ENOSYS",
        "syscall 32766  # ENOSYS",
        "poke x86_64 @edge fill:300:0x7",
        "peek x86_64 @edge 300",
        "renew",
        'cat "/letters"',
        "syscall read 0 @hole 16  # EFAULT",
    ]


@on(I386)
def test_lifting_and_replaying_comes_back_to_the_same(booted: Guest) -> None:
    booted.renew()
    booted.asked.clear()
    ask_something(booted)
    first = lift(booted.asked, booted.table)
    booted.renew()
    booted.asked.clear()
    answered = list(Replay(booted).run(Script(Header(), first)))
    again = lift(booted.asked, booted.table)
    assert [show_statement(s) for s in again] == [show_statement(s) for s in first]
    assert [s.note for s in again] == [s.note for s in first]
    assert all(isinstance(one, Answered) and one.held is None for one in answered)


@on(X86_64)
def test_what_was_asked_is_kept_within_bounds(booted: Guest) -> None:
    booted.asked.clear()
    for _ in range(6):
        booted.write_file("/big", bytes(1 << 20))
    assert booted.asked.lost == 3
    assert len(list(booted.asked)) == 3
    booted.asked.clear()
    assert (list(booted.asked), booted.asked.lost) == ([], 0)


@on(X86_64)
def test_a_probe_is_one_thing_that_was_asked(booted: Guest) -> None:
    booted.asked.clear()
    booted.probe(ABI32, "vdso_gettimeofday")
    assert lift(booted.asked, booted.table) == (RunProbe(ABI32, "vdso_gettimeofday"),)


@on(X86_64)
def test_expectations_are_judged(booted: Guest) -> None:
    script = parse_script(
        """
        buffer pair 8
        int80 pipe $pair -> 0
        int80 lseek u32:$pair 0 0 -> ESPIPE
        int80 close -1 -> ENOENT
        int80 mmap2 0xfe000000 4096 1 0x32 -1 0 -> 0xfe000000
        sysenter getpid esp=@hole -> SIGSEGV
        poke i386 @edge "abc"
        peek i386 @edge 4 -> "abc"
        peek i386 @edge 4 -> "abd"
        syscall getpid
        file /tmp/x "a"
        cat /tmp/x -> "a"
        exec /no/such
        """
    )
    *statements, last = script.statements
    replay = Replay(booted)
    held = [replay.ask(statement).held for statement in statements]
    assert held == [None, True, True, False, True, True, None, True, False, None, None, True]
    with pytest.raises(DeclarationError, match="the guest cannot run /no/such"):
        replay.ask(last)


@on(X86_64)
def test_a_call_without_an_answer_is_no_end(booted: Guest) -> None:
    script = parse_script("syscall pause timeout=0.2\nsyscall getppid -> 1\n")
    first, second = Replay(booted).run(script)
    assert isinstance(first.answer, GuestError)
    assert (first.held, second.held) == (False, True)


REPLAYED = """
kernel 6.1/x86_64
accel tcg
fd = syscall open "/proc/version" 0
syscall read $fd buf:16 5 -> 5
int80 close 99 -> EBADF
"""


def test_replay_shows_each_answer(tmp_path: Path) -> None:
    script = tmp_path / "some.trap"
    script.write_text(REPLAYED)
    said = trapgate("replay", str(script))
    assert (said.returncode, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    assert lines[:6] == [
        'fd = syscall open "/proc/version" 0',
        "  3 (0x3)",
        "syscall read $fd buf:16 5 -> 5",
        "  5 (0x5)",
        "  buffer 1, 16 bytes:",
        "    0000  4c 69 6e 75 78 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5  Linux...........",
    ]
    assert lines[8] == "3 statements, 2 of 2 expectations held"
    assert lines[9].startswith("kernel: Linux 6.1")


def test_an_expectation_that_does_not_hold_is_status_1(tmp_path: Path) -> None:
    script = tmp_path / "some.trap"
    script.write_text("accel tcg\nint80 close 99 -> 0\n")
    said = trapgate("replay", "--kernel", I386, str(script))
    assert (said.returncode, said.stderr) == (1, "")
    assert "  -9 EBADF (Bad file descriptor)\n  not what was expected\n" in said.stdout
    assert "(i386)" in said.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("int80 getpdi\n", "unknown system call 'getpdi' on i386"),
        ("int80 close $fd\n", "some.trap:1: nothing is called 'fd' yet"),
        (None, "cannot read the script"),
    ],
)
def test_a_script_that_is_wrong_is_status_2(text: str | None, said: str, tmp_path: Path) -> None:
    script = tmp_path / "some.trap"
    if text:
        script.write_text(text)
    done = trapgate("replay", str(script))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_format_is_described_as_it_is() -> None:
    said = harness.script.__doc__ or ""
    block = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    script = parse_script("\n".join(block))
    assert len(script.statements) == 14
    assert script.header.memory_mib == 256
    assert SYSCALL in {s.entry for s in script.statements if isinstance(s, CallStatement)}

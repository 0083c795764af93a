# SPDX-License-Identifier: Apache-2.0
"""What a way into the kernel costs: counted exactly, kept as data, compared and drawn."""

from __future__ import annotations

import json
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from live import CHECKOUT, I386, X86_64, native, on, own_guest, trapgate

from harness.agent.guest import Guest
from harness.cost.compare import compare
from harness.cost.figures import Cost, Figures, Unit, read_figures, to_json
from harness.cost.measure import measure_call, read_mitigations, warm_up
from harness.cost.picture import draw
from harness.cost.savings import savings
from harness.cost.subjects import CLOCK, EMPTY, SUBJECTS, Preparation, Subject
from harness.cost.table import show_markdown, tables
from harness.entry import ENTRY_PATHS, INT80_64, SYSCALL, EntryPath, function_path
from harness.errors import DeclarationError
from harness.machine.plan import MachineOptions

DOCS = CHECKOUT / "docs"
COUNTED = MachineOptions(accelerator="tcg", boot=True, counted=True)
TRACED = next(s for s in SUBJECTS if s.preparation is Preparation.TRACED)


def cost(subject: Subject, path: str, value: float, abi: str = "i386", spread: float = 0) -> Cost:
    return Cost(subject.name, abi, path, value, value - spread, value + spread)


COSTS = (
    cost(EMPTY, "int80", 332),
    cost(EMPTY, "kernel_vsyscall", 351),
    cost(CLOCK, "int80", 500),
    cost(CLOCK, "vdso", 100),
)
FIGURES = Figures(
    kernel=I386,
    release="6.1.0-50-686 (6.1.176)",
    arch="i386",
    sha256="00ff",
    cpu="Nehalem",
    emulator="tcg, QEMU 7.2",
    unit=Unit.INSTRUCTIONS,
    mitigations={"meltdown": "Vulnerable", "mds": "Not affected"},
    costs=COSTS,
)
OTHER = replace(FIGURES, kernel=X86_64, arch="x86_64")


def test_a_file_gives_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(to_json([FIGURES, OTHER]))
    assert read_figures(file) == [FIGURES, OTHER]


def damaged() -> Iterator[tuple[str, str]]:
    """Yield the text of files of which each is wrong in one way, and what is said of it."""
    whole = json.loads(to_json([FIGURES]))
    row = whole["figures"][0]
    yield "no JSON", "not a file of `trapgate cost --json`"
    yield "[1, 2]", "not a file of `trapgate cost --json`"
    yield json.dumps({"figures": []}), "not a file of `trapgate cost --json`"
    yield json.dumps({**whole, "version": 99}), "expected version 1 of its format, got 99"
    yield json.dumps({**whole, "figures": []}), "holds no kernel's figures"
    for wrong in (None, 7, [7], [{}], [{**row, "unit": "ells"}], [{**row, "more": 1}]):
        yield json.dumps({**whole, "figures": wrong}), "damaged figures"
    for part in ({"cpu": 7}, {"mitigations": 7}, {"costs": [7]}, {"costs": [{"value": 1}]}):
        yield json.dumps({**whole, "figures": [{**row, **part}]}), "damaged figures"
    for part in ({"value": "1"}, {"value": True}, {"path": 3}):
        text = {**row, "costs": [{**row["costs"][0], **part}]}
        yield json.dumps({**whole, "figures": [text]}), "damaged figures"


@pytest.mark.parametrize(("text", "said"), list(damaged()))
def test_what_is_no_such_file_is_said(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(DeclarationError, match=said):
        read_figures(file)


def test_a_file_that_is_not_there_or_is_a_folder_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DeclarationError, match="cannot be read"):
            read_figures(path)


def with_costs(*costs: Cost, unit: Unit = Unit.INSTRUCTIONS) -> Figures:
    return replace(FIGURES, costs=costs, unit=unit)


def test_one_instruction_is_a_change() -> None:
    first, *rest = COSTS
    assert compare([FIGURES], [FIGURES]) == []
    (change,) = compare(
        [FIGURES], [with_costs(replace(first, value=333, low=333, high=333), *rest)]
    )
    assert str(change) == ("6.1/i386 on Nehalem: getpid by int80 (i386): 332 -> 333 (+1, +0.3 %)")


def test_what_only_one_file_has_is_a_change() -> None:
    first, *rest = COSTS
    gone, new = with_costs(*rest), FIGURES
    assert [str(c) for c in compare([new], [gone])] == [
        "6.1/i386 on Nehalem: getpid by int80 (i386): only in the first"
    ]
    assert str(compare([gone], [new])[0]).endswith("only in the second")
    assert compare([new], [with_costs(*rest, first)]) == []


@pytest.mark.parametrize(("cycles", "changes"), [(104, 0), (106, 1), (94, 1)])
def test_cycles_differ_where_their_middle_halves_do(cycles: float, changes: int) -> None:
    before = with_costs(cost(EMPTY, "int80", 100, spread=3), unit=Unit.CYCLES)
    after = with_costs(cost(EMPTY, "int80", cycles, spread=2), unit=Unit.CYCLES)
    assert len(compare([before], [after])) == changes


def test_kernels_of_another_name_are_compared_one_by_one() -> None:
    own = replace(FIGURES, kernel="build/bzImage", costs=COSTS[1:])
    assert str(compare([FIGURES], [own])[0]).startswith(
        "6.1/i386 on Nehalem -> build/bzImage on Nehalem: getpid by int80"
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([FIGURES], [OTHER], "only one of the files has 6.1/i386 on Nehalem, 6.1/x86_64 on"),
        ([FIGURES, OTHER], [FIGURES], "only one of the files has 6.1/x86_64 on Nehalem"),
        ([FIGURES], [with_costs(unit=Unit.CYCLES)], "different things: cycles and instructions"),
    ],
)
def test_what_cannot_be_compared_is_said(
    before: list[Figures], after: list[Figures], said: str
) -> None:
    with pytest.raises(DeclarationError, match=said):
        compare(before, after)


def test_what_the_fast_ways_save_is_held_against_the_trap_gate() -> None:
    assert [str(saving) for saving in savings(FIGURES)] == [
        "kernel_vsyscall 6 % more than int80",
        "vdso 80 % less than int80",
    ]
    assert list(savings(with_costs(*COSTS[1:2]))) == []


def test_tables_have_kernels_side_by_side_and_one_of_each() -> None:
    all_kernels, first, second = tables([FIGURES, OTHER])
    assert all_kernels.head == ("kernel", "int80", "kernel_vsyscall", "vdso (i386)")
    assert all_kernels.rows[0] == ("6.1/i386 on Nehalem", "332", "351", "100")
    assert first.rows == (("getpid", "332", "351", "-"), ("clock_gettime", "500", "-", "100"))
    assert "mitigations: meltdown: Vulnerable" in second.notes
    assert tables([FIGURES]) == [first]
    cycles = with_costs(cost(EMPTY, "int80", 100, spread=3), unit=Unit.CYCLES)
    assert tables([cycles])[0].rows == (("getpid", "100 ±3 %"),)


def test_the_claim_is_a_line_at_a_quarter_of_the_trap_gate() -> None:
    picture = ET.fromstring(draw([FIGURES]))  # noqa: S314 - ours
    shapes = list(picture.iter())
    bars = [float(s.get("width", 0)) for s in shapes if s.get("fill") == "#2f6f9f"]
    (dashed,) = (s for s in shapes if s.get("stroke-dasharray"))
    assert len(bars) == 3
    assert float(dashed.get("x1", 0)) - 396 == pytest.approx(bars[0] / 4, abs=0.1)
    texts = [s.text for s in shapes if s.tag.endswith("text")]
    assert "measured: kernel_vsyscall 6 % more than int80, vdso 80 % less than int80" in texts


def test_the_page_and_its_picture_are_made_from_the_figures() -> None:
    figures = read_figures(DOCS / "cost.json")
    said = "`trapgate cost --run docs/cost.json --svg docs/cost.svg --markdown` makes them"
    assert (DOCS / "cost-figures.md").read_text() == show_markdown(figures), said
    assert (DOCS / "cost.svg").read_text() == draw(figures), said


def counts(guest: Guest, *subjects: Subject) -> dict[tuple[str, str, str], float]:
    entries = [e for e in ENTRY_PATHS.values() if not guest.why_not_asked(e)]
    warm_up(guest)
    found = [
        measure_call(guest, entry, subject, Unit.INSTRUCTIONS)
        for entry, subject in product(entries, subjects)
    ]
    vdso = [
        measure_call(guest, function_path(abi), CLOCK, Unit.INSTRUCTIONS)
        for abi in guest.identity.arch.abis
    ]
    return {c.key: c.value for c in (*found, *vdso) if c}


@pytest.mark.parametrize("spec", [I386, X86_64])
def test_two_boots_give_the_same_counts(spec: str) -> None:
    with own_guest(spec, COUNTED) as first:
        once = counts(first, EMPTY, TRACED, SUBJECTS[-1])
    with own_guest(spec, COUNTED) as second:
        again = counts(second, SUBJECTS[-1], EMPTY, TRACED)
    traced = {key for key in once if key[0] == TRACED.name}
    assert {k: v for k, v in again.items() if k not in traced} == {
        k: v for k, v in once.items() if k not in traced
    }
    assert {key: again[key] for key in traced} == pytest.approx(
        {key: once[key] for key in traced}, rel=0.02
    )
    assert len(once) >= 3 * 3 + 1
    assert all(value > 0 for value in once.values())


def test_a_clock_costs_the_same_wherever_in_its_second_it_is_asked() -> None:
    costs = set()
    with own_guest(X86_64, COUNTED) as guest:
        warm_up(guest)
        for nanoseconds in (500_000_000, 990_000_000, 995_000_000, 999_000_000):
            time = struct.pack("<qq", 2_000_000_000, nanoseconds)
            assert guest.call(SYSCALL, "clock_settime", 0, time).value == 0
            found = measure_call(guest, function_path(SYSCALL.abi), CLOCK, Unit.INSTRUCTIONS)
            costs.add(found and found.value)
    assert len(costs) == 1
    assert None not in costs


def test_a_clone_counts_what_a_boot_counts_and_a_kernel_that_does_less_counts_less() -> None:
    with own_guest(X86_64, COUNTED) as guest:
        booted = counts(guest, EMPTY)
    with own_guest(X86_64, replace(COUNTED, boot=False)) as guest:
        assert counts(guest, EMPTY) == booted
    with own_guest(X86_64, replace(COUNTED, append=("mitigations=off",))) as guest:
        bare = counts(guest, EMPTY)
    assert {key for key in booted if bare[key] < booted[key]} >= {
        (EMPTY.name, path.abi.name, path.name) for path in (SYSCALL, INT80_64)
    }


@on(X86_64)
def test_cycles_have_a_spread(booted: Guest) -> None:
    found = measure_call(booted, native(booted), EMPTY, Unit.CYCLES)
    assert found
    assert found.low <= found.value <= found.high
    assert found.value > 0


@on(X86_64)
def test_what_answers_something_else_has_no_cost(booted: Guest) -> None:
    entry: EntryPath = native(booted)
    wrong = replace(EMPTY, errno=1)
    assert measure_call(booted, entry, wrong, Unit.INSTRUCTIONS) is None


@on(X86_64)
def test_mitigations_are_told_as_the_kernel_tells_them(booted: Guest) -> None:
    said = read_mitigations(booted)
    folder = "/sys/devices/system/cpu/vulnerabilities"
    assert said["meltdown"] == booted.read_file(f"{folder}/meltdown").decode().strip()
    assert "spectre_v2" in said


def test_an_earlier_run_is_shown_and_written(tmp_path: Path) -> None:
    file, again, picture = (tmp_path / name for name in ("a.json", "b.json", "c.svg"))
    file.write_text(to_json([FIGURES]))
    said = trapgate("cost", "--run", str(file), "--json", str(again), "--svg", str(picture))
    assert (said.returncode, said.stderr) == (0, "")
    assert "kernel_vsyscall 6 % more than int80" in said.stdout
    assert again.read_text() == file.read_text()
    assert picture.read_text() == draw([FIGURES])
    assert sorted(tmp_path.iterdir()) == [file, again, picture]


def test_a_real_host_has_cycles(tmp_path: Path) -> None:
    said = trapgate("cost", "--target", "local", "--json", str(tmp_path / "a.json"))
    assert said.returncode == 0, said.stderr
    (figures,) = read_figures(tmp_path / "a.json")
    assert (figures.kernel, figures.unit) == ("local", Unit.CYCLES)
    empty = figures.find(EMPTY.name, "x86_64", "syscall")
    clock = figures.find(CLOCK.name, "x86_64", "vdso")
    assert empty
    assert clock
    assert 0 < clock.low <= clock.value <= clock.high


def test_figures_of_different_units_are_not_drawn_together(tmp_path: Path) -> None:
    one, two = (tmp_path / name for name in ("1.json", "2.json"))
    one.write_text(to_json([FIGURES]))
    two.write_text(to_json([with_costs(*COSTS, unit=Unit.CYCLES)]))
    both = ("--run", str(one), "--run", str(two))
    assert trapgate("cost", *both).returncode == 0
    done = trapgate("cost", *both, "--svg", str(tmp_path / "a.svg"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "different things: cycles and instructions" in done.stderr
    assert sorted(tmp_path.iterdir()) == [one, two]


def test_a_comparison_ends_as_diff_does(tmp_path: Path) -> None:
    one, two, none = (tmp_path / name for name in ("1.json", "2.json", "3.json"))
    one.write_text(to_json([FIGURES]))
    two.write_text(to_json([with_costs(*COSTS[1:])]))
    statuses = [
        trapgate("cost", "--compare", str(one), str(other)).returncode for other in (one, two, none)
    ]
    assert statuses == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kernel", "6.1/i368"), "trapgate: no kernel is called '6.1/i368'"),
        (("--run", "none.json"), "trapgate: none.json cannot be read: No such file or directory"),
        (("--json", "nowhere/a.json"), "trapgate: nowhere/a.json cannot be written"),
        (("--svg", "."), "trapgate: . cannot be written"),
        (("--target", "local", "--cpu", "max"), "trapgate: local has a kernel and a processor"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments: tuple[str, ...], said: str) -> None:
    done = trapgate("cost", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr

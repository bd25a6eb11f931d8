"""The tool that makes faults in formulas makes the faults it tells of, in what is computed alone."""

from __future__ import annotations

import pytest

from benchmarks.mutants import ROOT, TESTS, chosen, mutants

SOURCE = '''
def spread(x, power=2):
    """The root of 3 things."""
    if x < 0:
        raise ValueError(f"{x - 1} is below {0}")
    return (x + 1).sqrt()
'''


def test_formulas_are_changed_and_checks_defaults_and_messages_are_not():
    assert {(mutant.was, mutant.now) for mutant in mutants("spread.py", SOURCE)} == {
        ("x + 1", "x - 1"), ("1", "2"), ("(x + 1).sqrt()", "x + 1")}


@pytest.mark.parametrize("line, faults", [
    ("a / b", {"a * b", "b / a"}), ("-a", {"a"}), ("a ** 2", {"a * 2", "a ** 3"}), ("alpha_t", {"alpha_s"}),
    ("a < b", {"a > b"}), ("math.sqrt(a)", {"a"}), ("a[0]", {"a[1]"}), ("0.5", {"0.625"}), ("min(a)", {"max(a)"}),
])  # fmt: skip
def test_each_kind_of_fault(line, faults):
    made = {mutant.source().splitlines()[0].removeprefix("y = ") for mutant in mutants("line.py", f"y = {line}")}
    assert made == faults


def test_the_files_and_tests_it_names_are_there_and_their_faults_can_be_read():
    picked = chosen(ROOT, 160)
    assert len(picked) == 160 and len({mutant.path for mutant in picked}) > 20
    for mutant in picked[::8]:
        compile(mutant.source(), mutant.path, "exec")
    assert all((ROOT / "tests" / f"test_{name}.py").exists() for names in TESTS.values() for name in names)

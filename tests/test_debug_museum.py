"""The bug museum: each case is a whole script, and the Doctor names its line."""

from __future__ import annotations

import ast

import pytest

from core.debug import Place
from core.debug.cases import CASES, SOUND, museum
from tests.sweep import few

#: One case of each script; `python -m benchmarks.diagnosis` runs all, by two networks, three seeds.
FEW = few(("skipped-steps", "root-missing", "time-shifted", "loss-not-squared", "start-unscaled", "guidance-swapped",
           "scheduler-betas", "clip-too-tight", "ema-asleep"),
          "skipped-steps", "loss-not-squared", "start-unscaled", "guidance-swapped", "scheduler-betas",
          "clip-too-tight", "ema-asleep")
FEW_SOUND = few(("ddpm-x0", "ddim-eta", "flow-sigma-min", "edm", "guided-doubled"),
                "ddim-eta", "flow-sigma-min", "edm")


def test_there_are_enough_cases_over_all_kinds_of_script():
    assert len(CASES) >= 24 and len({case.place for case in CASES}) >= 15
    assert len({case.script for case in CASES}) == 7 and len(museum()) == len(CASES) + len(SOUND)


@pytest.mark.parametrize("case", museum().values(), ids=lambda case: case.name)
def test_a_case_is_a_script_of_its_own_that_says_what_there_is_to_learn(case):
    ast.parse(case.source)
    assert case.title
    if case.place is not None:
        assert case.lines and case.met and case.symptom and len(case.procedure) >= 2


@pytest.mark.parametrize("name", FEW)
def test_the_faulty_line_of_a_case_is_named_first(name):
    case = museum()[name]
    run = case.run(steps=20, samples=16, batch=32)
    report = run.diagnose()
    assert not run.facts["faults"] and report.causes and report.causes[0].place == case.place, report


@pytest.mark.parametrize("name", FEW_SOUND)
def test_a_sound_script_however_odd_has_no_cause(name):
    run = museum()[name].run(steps=20, samples=16, batch=32)
    report = run.diagnose()
    assert not run.facts["faults"] and report.healthy, report


def test_a_script_without_noise_in_its_time_is_said_to_be_just_that():
    report = museum()["time-constant"].run(steps=20, samples=8).diagnose()
    assert [cause.place for cause in report.causes] == [Place.TIME]

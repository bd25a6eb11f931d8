"""The Doctor: every line of a diffusion program is an identity; which of them fails first?"""

from __future__ import annotations

import math

from .checks import sampling_checks, training_checks
from .exam import Exam
from .places import EXPLAINS, Place
from .record import Run
from .report import Cause, Report

#: Places in the order of cause and effect: of two faults, the earlier makes the later.
ORDER = [
    Place.DATA,
    Place.PRECISION,
    Place.TIME_SAMPLING,
    Place.NOISE,
    Place.FORWARD,
    Place.TARGET,
    Place.TIME,
    Place.LOSS,
    Place.LEARNING,
    Place.NETWORK,
    Place.WEIGHTS,
    Place.MODE,
    Place.PARAMETERIZATION,
    Place.SCHEDULE,
    Place.LADDER,
    Place.GUIDANCE,
    Place.STEP,
    Place.STEP_NOISE,
    Place.CLIP,
    Place.TERMINAL,
    Place.START,
    Place.OUTPUT,
]


def diagnose(run: Run) -> Report:
    """Examine a run: ranked causes, what they explain, what is unusual and what could not be seen."""
    if not run.seen:
        return Report(seen=False, unknown=[{"what": "no call of a watched network was seen", "how": _why_nothing(run)}])
    exam = Exam(run)
    training_checks(exam)
    sampling_checks(exam)
    wrong = sorted(exam.wrong, key=lambda c: (ORDER.index(c.place), -exam.weight.get(id(c), 0)))
    first: dict[Place, Cause] = {}
    for cause in wrong:
        first.setdefault(cause.place, cause)
    causes: list[Cause] = []
    consequences: list[Cause] = []
    for cause in first.values():
        explained = any(cause.place in EXPLAINS.get(other.place, ()) for other in causes)
        (consequences if explained else causes).append(cause)
    report = Report(
        causes,
        consequences,
        exam.unusual,
        exam.unknown,
        sorted(exam.checked, key=ORDER.index),
        exam.identified,
        True,
        exam.tests,
        exam.tests * exam.LEVEL,
    )
    for cause in causes:
        cause.chance = min(1.0, cause.chance * max(1, exam.tests)) if math.isfinite(cause.chance) else 0.0
    return report


def _why_nothing(run: Run) -> str:
    if run.facts.get("other_threads"):
        return (
            f"{run.facts['other_threads']} calls came from other threads than the one that entered: "
            "put `with watch(net):` into the function that the thread runs"
        )
    if run.facts["unseen"]:
        return f"Seen was only {run.facts['unseen'][0]}: give watch the network that takes x_t and t"
    return (
        "give `watch` the very module that the loop calls, and call it inside the block; of a torch.compile'd module "
        "watch what torch.compile returned"
    )

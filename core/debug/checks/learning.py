"""Whether the network learns, and whether its answer depends on what it should."""

from __future__ import annotations

import numpy as np

from ..exam import Exam, number
from ..places import Place
from ..record import Train


def check_learning(exam: Exam) -> None:
    calls, run = exam.learning, exam.run
    if len(calls) < 8 or any(c.facts.get("by_hand") for c in calls[:1]):
        return
    exam.fine(Place.LEARNING)
    end = run.facts.get("weights", {}).get("end")
    trained = calls[-1].facts["network"]
    n = run.facts["training_calls"]
    stepped = calls[-1].facts["stepped"]
    moved = end["moved"][trained] if end and trained < len(end["moved"]) else None
    graded = [c.facts["grad_rms"] for c in calls if "grad_rms" in c.facts]
    if moved == 0.0:
        exam.found(
            Place.LEARNING,
            f"after {n} training calls the weights are what they were",
            weight=3,
            measured=f"{stepped} steps of an optimizer, no weight changed"
            + ("" if graded else "; no gradient ever reached the output"),
            expected="loss.backward() reaches the network, and the optimizer holds its parameters",
        )
        return
    if not graded and n >= 8:
        exam.found(
            Place.LEARNING,
            "no gradient ever reached the network's output",
            weight=2,
            expected="loss.backward() on a loss that was not detached",
        )
        return
    held = [c.facts.get("left_gradient") for c in calls if c.facts.get("left_gradient") is not None]
    if len(held) > 5 and np.mean([h > 0 for h in held]) > 0.8:
        exam.found(
            Place.LEARNING,
            "gradients of earlier steps are still there when the next are added",
            weight=2,
            measured=f"{np.mean([h > 0 for h in held]):.0%} of {len(held)} backward passes begin with some",
            expected="optimizer.zero_grad() once a step",
        )
        return
    scored = [_score(c) for c in calls if c.error is not None]
    if len(scored) < 30 or exam.has(Place.TARGET, Place.LOSS, Place.NOISE):
        return
    errors, powers = np.array(scored).T
    third = max(8, len(scored) // 4)
    # Of sums: with a batch of one, a call's own quotient has no mean to speak of.
    first, last = (float(errors[part].sum() / powers[part].sum()) for part in (slice(8), slice(-third, None)))
    rows = sum(len(c.error) for c in [c for c in calls if c.error is not None][-third:])
    beyond_chance = 1 + 4 * (2 / rows) ** 0.5  # of the quotient of two mean squares over pairs, 4 deviations up
    exam.identified["loss"] = {"first": first, "last": last}
    exam.tell(f"the loss falls from {number(first)} to {number(last)} of what always saying 0 would have")
    if last > max(1.5, beyond_chance) and last > 1.2 * first:
        exam.found(
            Place.LEARNING,
            "the loss rises: it ends above that of always saying 0",
            weight=1,
            measured=f"{number(last)} of it",
            expected="below 1",
            refute="a smaller learning rate, and the same",
        )
    elif n >= 300 and last > 0.985 and last > 0.9 * first:
        exam.found(
            Place.LEARNING,
            f"after {n} calls the network does no better than always saying 0",
            weight=1,
            measured=f"loss {number(last)} of that",
            expected="well below 1 at high noise",
            refute="more steps, and it falls",
        )
    elif len(calls) > 60 and n < 300 and last > 0.985:
        exam.found(Place.LEARNING, "not learnt yet", unusual=True, measured=f"{n} calls")


def _score(call: Train) -> tuple[float, float]:
    """(mean error, mean square of the target), each row counted by what its target has on average at its t."""
    weight = np.ones(len(call.error))
    if call.u is not None and np.isfinite(call.u).all():
        weight = 1 / np.maximum(call.u**2 + call.v**2, 1e-12)
    return float((weight * call.error).mean()), max(float((weight * call.power).mean()), 1e-12)


def check_network(exam: Exam) -> None:
    for found in exam.run.facts.get("probes", ()):
        if "failed" in found:
            continue
        name = exam.run.networks[found["network"]]["name"] if found["network"] < len(exam.run.networks) else "network"
        exam.fine(Place.NETWORK)
        if found.get("x", 1) < 1e-6:
            exam.found(
                Place.NETWORK,
                f"{name} says the same whatever x_t is",
                weight=2,
                measured="output unchanged",
                expected="an output that depends on x_t",
            )
        if found.get("rows", 0) > 1e-3:
            exam.found(
                Place.NETWORK,
                f"{name}'s answer for a row depends on the other rows of the batch, in eval mode",
                measured=f"it changes by {found['rows']:.1%}",
                expected="each row by itself",
                weight=1,
            )
        if "t" in found:
            exam.fine(Place.TIME)
            if found["t"] < 1e-6:
                exam.found(
                    Place.TIME,
                    f"{name} says the same whatever t is",
                    weight=2,
                    measured="output unchanged",
                    expected="an output that depends on t",
                    refute="a network that is blind to noise on purpose",
                )

"""Fair turns: what a training gets done beside a busy neighbour, of what it would get done alone in half the time.

One worker, as on a machine with two cores. The pool's clock is the processor time of this process, so other processes
do not count. One neighbour is as light as the training itself, the other takes long steps.
"""

from __future__ import annotations

import time
from statistics import median

from benchmarks.measure import Row
from core.data.datasets import load
from core.training.presets import preset
from core.training.trainer import Trainer
from dashboard.server.jobs import Pool


def points():
    data = load("trex")
    return Trainer(data, preset("fast", data, steps=1_000_000)).run()


def images():
    data = load("mnist16")
    return Trainer(data, preset("fast", data, "unet", steps=1_000_000, bf16=False)).run()


def steps_done(makes: list, seconds: float) -> float:
    """Steps that the first job takes in so many seconds of processor time, while the others run too."""
    with Pool(workers=1, clock=time.process_time) as pool:
        jobs = [pool.submit(make) for make in makes]
        while min(job.steps_done for job in jobs) < 3:  # the first steps load what torch needs
            time.sleep(0.005)
        before, began = jobs[0].steps_done, time.process_time()
        while (spent := time.process_time() - began) < seconds:
            time.sleep(0.005)
        return (jobs[0].steps_done - before) * seconds / spent


def run(quick: bool = False) -> list[Row]:
    rounds, rows = 2 if quick else 7, []
    for what, job, neighbour in (("points beside points", points, points), ("points beside a U-Net", points, images),
                                 ("a U-Net beside points", images, points)):
        seconds = 4.0 if job is images else 1.0  # long steps are few, and one more or less must not decide
        shares, alone = [], [steps_done([job], seconds)]
        for _ in range(rounds):
            together = steps_done([job, neighbour], 2 * seconds)
            alone.append(steps_done([job], seconds))
            shares.append(2 * together / (alone[-2] + alone[-1]))
        share = median(shares)
        rows.append(Row(f"two trainings at once, {what}", f"{share:.0%} of the fair share ({min(shares):.0%} to "
                        f"{max(shares):.0%})", f"alone {median(alone) / seconds:.0f} steps a CPU-second", "", "≥ 90 %",
                        share >= 0.9))
    return rows

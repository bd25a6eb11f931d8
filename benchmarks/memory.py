"""Memory stays flat: films of every kind in a row, as a page makes them, and what is left when visitors have gone.

    python -m benchmarks.memory --rounds 5
    python -m benchmarks.memory --visitors 16

Each round makes one film of every kind (KINDS), on one of four threads and for one of four visitors in turn, looks at
every panel, and exports it. The process is one of its own, so that nothing else in it counts. Visitors come to a server
by HTTP (`benchmarks.load`), all train and ask for films, and all leave; and then as many again. Asks Linux (/proc).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.load import server, visit
from benchmarks.measure import Row
from core.recipe.recipe import Recipe
from core.runs.brought import Brought
from core.runs.comparison import compare
from core.runs.trainings import Training
from core.runs.walks import denoise, forward_film, lens
from core.views import View
from dashboard.server.exports import export_stream
from dashboard.server.heap import release, settle
from dashboard.server.visitors import Visitors
from dashboard.stage.stage import new_folder
from dashboard.stage.stream import play

GOAL = 300  #: MB that all films may add for good
VISITORS = 4
LEFT = 65.0  #: seconds after which the things of a visitor who left are gone, and what they took is given back


def forward(recipe: Recipe, brought: Brought) -> Iterator[View]:
    yield forward_film(recipe, brought)


def train(recipe: Recipe, brought: Brought) -> Iterator[View]:
    """A training of a few hundred steps and its denoising clocks."""
    training = Training(recipe, brought)
    for _ in training.run():
        pass
    training.progress(0.0)
    yield training.clocks()


#: name → (what makes it, its recipe)
KINDS = {
    "forward": (forward, "data=trex"), "heat": (forward, "data=moons&forward=heat"),
    "exact": (denoise, "data=moons&model=exact&steps=100"), "points": (denoise, "data=trex&steps=100"),
    "pictures": (denoise, "data=mnist28&steps=50"), "exact pictures": (denoise, "data=mnist16&model=exact&steps=50"),
    "linear": (denoise, "data=digits8&model=linear&steps=50"),
    "memorization": (denoise, "data=digits8&model=memorization"),
    "lens": (lens, "data=moons"), "lens of pictures": (lens, "data=digits8"),
    "compare": (compare, "data=trex&steps=50"), "train": (train, "data=trex&train_steps=300"),
}  # fmt: skip


def memory(of: str = "VmRSS", process: int | str = "self") -> float:
    """MB of a process, now or ("VmHWM") at most so far."""
    return int(re.search(rf"{of}:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) * 1024 / 1e6


def film(visitors: Visitors, token: str, kind: str, form: str) -> None:
    """Make a film, keep it for a visitor, send every panel, and export it."""
    make, query = KINDS[kind]
    recipe, complaints = Recipe.from_query(query)
    assert not complaints, complaints
    visitor = visitors.of(token)
    for stream, _ in play(make(recipe, visitor)):
        visitor.keep(kind, stream)
    for key in list(stream.film.offers):
        if key != "p_model":  # an ODE a cell: minutes, and one picture
            stream.want(key)
            stream.value()
    folder = new_folder()
    for _ in export_stream(stream, {"format": form, "size": 160, "every": 4, "pacing": "frame"}, folder):
        pass
    shutil.rmtree(folder)


def films_in_a_row(rounds: int) -> dict[str, object]:
    """The curve: MB after every film, and what is left of it."""
    torch.set_num_threads(1)
    visitors, threads = Visitors(), ThreadPoolExecutor(VISITORS)
    tokens = [visitors.enter() for _ in range(VISITORS)]
    for token in tokens:
        visitors.open_page(token)
    visitors.start()  # whose reaper gives memory back, as in a server
    settle()
    curve, base = [], memory()
    for number in range(rounds * len(KINDS)):
        kind = list(KINDS)[number % len(KINDS)]
        form = ("gif", "png", "webp", "mp4")[number // len(KINDS) % 4]
        threads.submit(film, visitors, tokens[number % VISITORS], kind, form).result()
        curve.append(memory())
        print(f"{number + 1:4} {kind:18} {curve[-1]:6.0f} MB, {visitors.nbytes / 1e6:4.0f} MB counted", file=sys.stderr)
    held, peak = visitors.nbytes / 1e6, memory("VmHWM")
    visitors.stop()
    gc.collect()
    gone = memory()
    release()
    return {"base": base, "curve": curve, "peak": peak, "held": held, "gone": gone, "released": memory()}


def visitors_leave(visitors: int, waves: int = 2, seconds: float = 30.0) -> dict[str, object]:
    """MB of a server before anybody came, and of every wave of visitors: at most while they were here, and LEFT later.

    `told`: what each wave waited for, in words.
    """
    with server() as (url, process):
        time.sleep(5)  # it gives back what starting left behind
        base, highest, left, told = memory(process=process), [], [], []
        for _ in range(waves):
            Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak counts from now on
            told.append(str(asyncio.run(visit(url, visitors, 10.0, seconds))))
            highest.append(memory("VmHWM", process))
            time.sleep(LEFT)
            left.append(memory(process=process))
    return {"base": base, "highest": highest, "left": left, "told": told}


def run(quick: bool = False) -> list[Row]:
    rounds = 1 if quick else 5
    command = [sys.executable, "-m", "benchmarks.memory", "--rounds", str(rounds), "--json"]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=one_thread)
    seen = json.loads(done.stdout)
    base, curve = seen["base"], seen["curve"]
    ends = [curve[k * len(KINDS) - 1] - base for k in range(1, rounds + 1)]
    grown = ", ".join(f"{mb:+.0f}" for mb in ends)
    many = 4 if quick else 16
    waves = visitors_leave(many, seconds=10.0 if quick else 30.0)
    before, stayed = waves["base"], [mb - waves["base"] for mb in waves["left"]]
    return [
        Row(f"memory after each round of {len(KINDS)} films, one of every kind, beyond what there was before",
            f"{grown} MB ({base:.0f} before, {seen['peak']:.0f} at most); visitors hold {seen['held']:.0f} of it", "",
            "", f"≤ {GOAL} MB", ends[-1] <= GOAL),
        Row(f"memory left when all visitors of {len(curve)} films have gone", f"{seen['released'] - base:+.0f} MB", "",
            "", f"≤ {GOAL} MB", seen["released"] - base <= GOAL),
        Row(f"memory that a server keeps when {many} visitors who trained and watched have left, and {many} more",
            f"{stayed[0]:+.0f}, then {stayed[1]:+.0f} MB ({before:.0f} before, {waves['highest'][0]:.0f} and "
            f"{waves['highest'][1]:.0f} at most)", "", "", f"≤ {GOAL} MB", max(stayed) <= GOAL),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="films of each kind (default %(default)s)")
    parser.add_argument("--visitors", type=int, help="who come to a server and leave it, instead of films in a row")
    parser.add_argument("--json", action="store_true", help="print numbers for a program")
    given = parser.parse_args()
    if given.visitors:
        seen = visitors_leave(given.visitors)
        print(*seen["told"], sep="\n")
        waves = ", then ".join(f"{most:.0f} at most and {left:.0f} when they had left"
                              for most, left in zip(seen["highest"], seen["left"]))
        print(f"{seen['base']:.0f} MB before, {waves}")
        return
    seen = films_in_a_row(given.rounds)
    if given.json:
        print(json.dumps(seen))
        return
    print(f"{seen['base']:.0f} MB before, {seen['curve'][-1]:.0f} after, {seen['peak']:.0f} at most; "
          f"when visitors have gone {seen['gone']:.0f}, given back {seen['released']:.0f}")


if __name__ == "__main__":
    main()

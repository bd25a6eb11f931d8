"""python -m benchmarks [--only trex,walk] [--quick] [--full]: measure, print the table and write RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
from datetime import date
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.measure import table
from core.files import atomic_write

COMPARISONS = {"trex": "trex", "walk": "walking", "gif": "gif", "images": "images",
               "digits": "legible", "sharing": "sharing", "gan": "gan",
               "latent": "latent", "load": "load", "memory": "memory"}
RESULTS = Path(__file__).parent / "RESULTS.md"

NOTE = """# Noisescope beside its peers

Measured {date} with Python {python} and PyTorch {torch} on {cores} cores, one thread; `make bench` measures again.
Times are processor time, the two sides took turns in small rounds, and a ratio is the median of the rounds with the
smallest and the largest: how many times as much the peer needs.

How to read it:
- T-Rex: time is that of the first look, every 25 steps, at which both figures hold; the row below is the whole recipe.
  The peer is written anew from its description, and its goal figures are the better ones of its author's code.
- Equal work: our step also averages weights, keeps losses by timestep and looks for numbers that are not finite.
- Walk: the goal is judged on a lean stub, the case that favours us most; a model is walked through a `Denoiser`.
- GIF: matplotlib's cost depends on what it draws; both ways are judged, and only the bare axes show the same picture.
- Digits: what counts as legible is this benchmark's own measure.
- Latent: both sides are ours, one recipe and networks of one width, in the latent of an autoencoder and in pixels.
- Memory: of processes of their own (resident); films are made as by pages, or visitors come to a server by HTTP.
- GANs: as many steps, rows and parameters as the fast recipe; a GAN's step updates two networks and takes longer.
  A mode is covered by a quarter of its fair share within 3 bandwidths; 99 % of the data are as good. A look: 50 steps.
- Load: seconds of the clock, server and simulated visitors on the same two cores; `python -m benchmarks.load` alone.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=",".join(COMPARISONS), help="comma-separated: %(default)s")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter films, one seed; writes no file")
    parser.add_argument("--full", action="store_true", help="train the T-Rex's peer to its end too, 2 CPU-minutes")
    given = parser.parse_args()
    chosen = given.only.split(",")
    unknown = [name for name in chosen if name not in COMPARISONS]
    if unknown:
        parser.error(f"--only {given.only}: there is no {', '.join(unknown)}; choose of {', '.join(COMPARISONS)}")
    torch.set_num_threads(1)
    rows = []
    for name in chosen:
        print(f"measuring {name} …", flush=True)
        options = {"full": True} if given.full and name == "trex" else {}
        rows += import_module(f"benchmarks.{COMPARISONS[name]}").run(quick=given.quick, **options)
    text = NOTE.format(date=date.today(), python=platform.python_version(), torch=torch.__version__,
                       cores=os.cpu_count()) + "\n" + table(rows) + "\n"
    print(text)
    if not given.quick and len(chosen) == len(COMPARISONS):
        with atomic_write(RESULTS) as part:
            part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

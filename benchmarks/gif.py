"""A film as a GIF: `core.export` beside matplotlib's FuncAnimation with its PillowWriter.

The scatter shows 1,000 points in 512 × 512, drawn by matplotlib in two ways: black dots on bare axes, the least it can
do, and dots coloured by a third value on ordinary axes, as tutorials have it. Against the latter ours draws its
captions, clock and progress line, but its dots are in one colour: that is less work, and not like for like. The grid
shows 64 digits: ours pixel by pixel, which with a line between them is 231 × 231; matplotlib's at 448 × 448, where
digits can be seen on a screen, and at the native 224 × 224.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import matplotlib
import numpy as np
import torch

from benchmarks.measure import Row, paired
from core.data.datasets import load
from core.drawing.export import export
from core.forward import noised
from core.scene import Panel, Scene
from core.schedules import make_schedule

matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402 (the backend is chosen before)
from matplotlib.animation import FuncAnimation, PillowWriter  # noqa: E402

VIEW = (-2.5, 2.5)


def dissolving(name: str, count: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """t of every frame, 1 → 0, and x_t of `count` samples of the data, (F, count, ...)."""
    generator, schedule = torch.Generator().manual_seed(0), make_schedule("cosine")
    x0, _ = load(name).draw(count, generator)
    eps, times = torch.randn(x0.shape, generator=generator), torch.linspace(1, 0, frames, dtype=torch.float64)
    return times.numpy(), torch.stack([noised(schedule, x0, t, eps).x_t for t in times]).numpy()


def ours(scene: Scene, path: Path, captions: bool = False, **look) -> None:
    export(scene, path, fps=25, hold=0, captions=captions, **look)


def animate(figure: plt.Figure, update: Callable[[int], object], frames: int, path: Path) -> None:
    FuncAnimation(figure, update, frames=frames).save(path, writer=PillowWriter(fps=25))
    plt.close(figure)


def scatter(xt: np.ndarray, path: Path, plain: bool) -> None:
    figure = plt.figure(figsize=(5.12, 5.12), dpi=100)
    axes = figure.add_axes([0, 0, 1, 1]) if plain else figure.add_subplot()
    if plain:
        axes.axis("off")
    axes.set(xlim=VIEW, ylim=VIEW)
    colour = dict(c="k") if plain else dict(c=xt[-1, :, 1], cmap="viridis")
    dots = axes.scatter(*xt[0].T, s=6, **colour)
    animate(figure, lambda k: dots.set_offsets(xt[k]), len(xt), path)


def digits(xt: np.ndarray, path: Path, side: int) -> None:
    grid = xt[:, :, 0].reshape(-1, 8, 8, 28, 28).transpose(0, 1, 3, 2, 4).reshape(-1, 224, 224)
    figure = plt.figure(figsize=(side / 100, side / 100), dpi=100)
    axes = figure.add_axes([0, 0, 1, 1])
    axes.axis("off")
    image = axes.imshow(grid[0], cmap="gray", vmin=-2, vmax=2, interpolation="nearest")
    animate(figure, lambda k: image.set_data(grid[k]), len(grid), path)


def run(quick: bool = False) -> list[Row]:
    frames, rounds, rows = 50 if quick else 200, 1 if quick else 3, []
    t, points = dissolving("trex", 1000, frames)
    _, images = dissolving("mnist28", 64, frames)
    images_hwc = np.ascontiguousarray(np.moveaxis(images, 2, -1))
    scenes = {"points": Scene((Panel("x_t", "x_{t}", "", "points", points, VIEW, "ink"),), {"t": t}),
              "images": Scene((Panel("x_t", "x_{t}", "", "images", images_hwc, (-2, 2)),), {"t": t})}
    with tempfile.TemporaryDirectory() as folder:
        film, theirs = Path(folder) / "ours.gif", Path(folder) / "theirs.gif"
        dots, captioned = (partial(ours, scenes["points"], film, c, size=512) for c in (False, True))
        native, doubled = (partial(ours, scenes["images"], film, scale=scale) for scale in (1, 2))
        for what, mine, peer, note, goal in (
                ("scatter 512 × 512, 1,000 points", dots, partial(scatter, points, theirs, True),
                 "bare axes, black dots", 20),
                ("scatter 512 × 512, 1,000 points, with captions", captioned,
                 partial(scatter, points, theirs, False), "ordinary axes, dots in colour (ours: one colour)", 20),
                ("64 digits, native grid", native, partial(digits, images, theirs, 448), "448 × 448", 40),
                ("64 digits, native grid", native, partial(digits, images, theirs, 224), "224 × 224", None),
                ("64 digits, two pixels to one", doubled, partial(digits, images, theirs, 448), "448 × 448", None)):
            mine()  # fonts and tables are loaded once in a process, not once a film
            got = paired(mine, peer, rounds, warm_up=False)
            rows.append(Row(f"GIF of {frames} frames, {what}", f"{median(got.ours):.2f} s",
                            f"{median(got.peer):.1f} s, matplotlib, {note}", str(got),
                            f"≥ {goal}×" if goal else "", got.ratio >= goal if goal else None))
    return rows

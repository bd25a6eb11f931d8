"""What points and small pictures of a latent look like to the eye: decoded, and over the decoder's map of the plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..numerics import grid
from ..scene import Panel
from .base import PanelSpec, View

DECODED = 16  #: how many samples are shown as pictures, unless told
TILES = 14  #: pictures a side of the map of a plane
MOST = 6  #: panels that stand side by side


def offer_decoded(film: View, shown: int = DECODED) -> None:
    """Offer what the decoder of film's data draws of the first `shown` samples; in a film of latents, show it first.

    decoded_…   for every panel of latents, such as decoded_x0 and decoded_x_t: decode(x̂0) is the picture that the guess
                stands for; of a noisy state the decoder draws something too, which means nothing yet
    walkers     in a film of paths: the ways of those that are decoded, alone

    In a plane, every panel of places gets the decoder's map behind it. Call it when all other panels are offered.
    ValueError where the data are no latents.
    """
    if film.dataset.decode is None:
        raise ValueError(f"{film.dataset.name} holds {film.dataset.kind} and no latents; there is nothing to decode")
    latents = [key for key, spec in film.offers.items() if spec.holds == "samples"]
    for key in latents:
        film.offers[f"decoded_{key}"] = _decoded(film.offers[key], film.dataset.decode, shown)
    drawn = [key for key in film.default if key in latents]
    pictures = [f"decoded_{key}" for key in drawn]
    if "paths" in film.offers:
        film.offers["walkers"] = _walkers(film.offers["paths"], shown)
        best = "decoded_x0" if "decoded_x0" in pictures else pictures[0]
        film.default = ("walkers", best, *drawn[:2])
    elif 2 * len(drawn) >= len(film.default):  # otherwise the film is about something else, as the lens is
        # Of more than three runs or moments the pictures alone: none of them is to be missing.
        film.default = tuple((drawn if len(drawn) <= 3 else []) + pictures)[:MOST]
    film.offers = {key: film.offers[key] for key in (*film.default, *film.offers)}
    if film.dataset.kind == "points":
        _draw_map(film)


def _decoded(source: PanelSpec, decode: Callable[[Tensor], Tensor], shown: int) -> PanelSpec:
    """The pictures of the samples that a panel shows as points or as small pictures (then with channels last)."""
    title, key = f"decoded {source.title}", f"decoded_{source.key}"
    note = f"what the decoder draws of the first {shown} (point at one to find it in the others): {source.note}"

    def make(first: int, end: int) -> Panel:
        z = torch.from_numpy(np.ascontiguousarray(source.make(first, end).data[:, :shown]))
        frames = len(z)
        z = rearrange(z, "f n h w c -> (f n) c h w") if z.ndim == 5 else rearrange(z, "f n d -> (f n) d")
        x = rearrange(decode(z), "(f n) c h w -> f n h w c", f=frames)
        return Panel(key, title, note, "images", x.numpy(), (-1.0, 1.0))

    return PanelSpec(key, title, note, make, source.still)


def _walkers(paths: PanelSpec, shown: int) -> PanelSpec:
    title, note = f"{shown} paths", "the ways of those that are decoded, over what the decoder draws of each place"

    def make(first: int, end: int) -> Panel:
        made = paths.make(first, end)
        return replace(made, key="walkers", title=title, note=note, data=made.data[:, :shown],
                       caption=f"the first {shown}")

    return PanelSpec("walkers", title, note, make, holds="places")


def _draw_map(film: View) -> None:
    """The decoder's map behind every panel of film in which a point is a latent."""
    maps: dict[float, np.ndarray] = {}

    def mapped(make: Callable[[int, int], Panel]) -> Callable[[int, int], Panel]:
        def panel(first: int, end: int) -> Panel:
            made = make(first, end)
            if made.kind not in ("points", "paths", "field"):
                return made
            view = made.range[1]
            if view not in maps:
                maps[view] = plane_map(film.dataset.decode, film.dataset.x0, view).numpy()
            # The map is read in place of the dots of the data, which would lie upon it.
            return replace(made, map=maps[view], backdrop=None)

        return panel

    for key, offer in film.offers.items():
        if offer.holds:
            film.offers[key] = replace(offer, make=mapped(offer.make))


def plane_map(decode: Callable[[Tensor], Tensor], points: Tensor, view: float, tiles: int = TILES) -> Tensor:
    """What the decoder draws at tiles × tiles places of the view [−view, view]², as one picture in [0, 1], (H, W).

    Each picture stands where its latent is, y upwards. Where no point of the data lies within a tile of it the map is
    empty: the decoder was never asked about such places.
    """
    places = grid(view, tiles)
    near = (places[:, None] - points).abs().amax(2).amin(1) < 2 * view / tiles
    drawn = decode(places).mean(1).add(1).div(2).clamp(0, 1) * near[:, None, None]
    return rearrange(drawn, "(gy gx) h w -> (gy h) (gx w)", gy=tiles)

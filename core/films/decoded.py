"""What a walk through latents looks like to the eye: its points decoded, and the decoder's map behind the plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from core.films.base import STATE_VIEW, Film, Offer, over, pictures, scaled
from core.films.forward import ForwardFilm
from core.films.trace import TraceFilm
from core.scene import Panel

DECODED = 16  #: how many of the walkers are shown as pictures, unless told
TILES = 14  #: pictures a side of the map of a plane


def offer_decoded(film: TraceFilm | ForwardFilm, decode: Callable[[Tensor], Tensor] | None = None,
                  shown: int = DECODED) -> None:
    """Offer what the decoder draws of the first `shown` walkers through latents, and show it first.

    decoded    decode(x̂0), the picture that the guess stands for (a forward process knows x0 and has no guess)
    drawn      decode(x_t): of noise it draws something too, which means nothing yet
    walkers    points only: the ways of those that are decoded, in the same order

    In a plane, every panel of states or guesses gets the decoder's map behind it. decode: (N, *shape) → pictures
    (N, C, H, W); the data set's own unless told. ValueError where there is none.
    """
    decode = decode or film.dataset.decode
    if decode is None:
        raise ValueError(f"{film.dataset.name} holds {film.dataset.kind} and no latents; there is nothing to decode")
    walk = isinstance(film, TraceFilm)
    state = film.state if walk else lambda a, b: over(film.jump(a, b), film.scale[a:b])
    look = {"kind": "images", "range": (-1.0, 1.0), "palette": "data"}

    def decoded(make: Callable[[int, int], Tensor]) -> Callable[[int, int], Tensor]:
        def panel(first: int, end: int) -> Tensor:
            z = make(first, end)[:, :shown]
            x = decode(rearrange(z.float(), "f n ... -> (f n) ..."))
            return pictures(rearrange(x, "(f n) ... -> f n ...", n=z.shape[1]))

        return panel

    if walk:
        film.offer("decoded", "decoded x̂_{0}", f"what the decoder draws of the guess, for the first {shown}",
                   decoded(lambda a, b: film.quantity("x0", a, b)), **look)
    film.offer("drawn", "decoded x_{t}", f"what the decoder draws of the state itself, for the first {shown}: of "
               "noise, anything", decoded(state), **look)
    if film.dataset.kind == "points":
        film.offer("walkers", f"{shown} paths", "the ways of those that are decoded, over what the decoder draws of "
                   "each place", lambda a, b: state(a, b)[:, :shown], kind="paths", palette="accent",
                   range=(-STATE_VIEW, STATE_VIEW), caption=scaled(film.scale, f"the first {shown}"))
        _draw_map(film, decode)
        film.default = ("walkers", "decoded", "x_t", "field") if walk else ("walkers", "drawn", "x_t", "density")
    else:
        film.default = ("x_t", "x0", "decoded") if walk else ("x_t", "walked", "drawn")


def _draw_map(film: Film, decode: Callable[[Tensor], Tensor]) -> None:
    """The decoder's map behind every panel of film in which a point is a latent."""
    maps: dict[float, np.ndarray] = {}

    def mapped(make: Callable[[int, int], Panel]) -> Callable[[int, int], Panel]:
        def panel(first: int, end: int) -> Panel:
            made = make(first, end)
            if made.kind not in ("points", "paths", "field"):
                return made
            view = made.range[1]
            if view not in maps:
                maps[view] = plane_map(decode, film.dataset.x0, view).numpy()
            # The map is read in place of the dots of the data, which would lie upon it.
            return replace(made, map=maps[view], backdrop=None)

        return panel

    for key in ("walkers", "x_t", "x0", "field", "field_exact", "paths", "walked", "walked_paths"):
        if key in film.offers:
            offer: Offer = film.offers[key]
            film.offers[key] = replace(offer, make=mapped(offer.make))


def plane_map(decode: Callable[[Tensor], Tensor], points: Tensor, view: float, tiles: int = TILES) -> Tensor:
    """What the decoder draws at tiles × tiles places of the view [−view, view]², as one picture in [0, 1], (H, W).

    Each picture stands where its latent is, y upwards. Where no point of the data lies within a tile of it the map is
    empty: the decoder was never asked about such places.
    """
    edge = view * (1 - 1 / tiles)
    axis = torch.linspace(-edge, edge, tiles)
    y, x = torch.meshgrid(axis.flip(0), axis, indexing="ij")
    places = torch.stack([x.flatten(), y.flatten()], 1)
    near = (places[:, None] - points).abs().amax(2).amin(1) < 2 * view / tiles
    drawn = decode(places).mean(1).add(1).div(2).clamp(0, 1) * near[:, None, None]
    return rearrange(drawn, "(gy gx) h w -> (gy h) (gx w)", gy=tiles)

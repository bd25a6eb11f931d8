"""What guidance does, as panels and a chart of a walk: the noise with the label, without it, and their difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..guidance.classifier_free import scale_at
from ..numerics import centres
from ..prediction import Denoise
from ..scene import Chart, Series
from .base import DENSITY_CELLS, NOISE_VIEW, STATE_VIEW, scaled, signed_pictures, vector_field
from .trace import TraceView

#: The half-width of the view of two noises' difference: of points, and of the values of pictures.
PULL = {"points": 1.6, "images": 0.5}


def offer_guidance(film: TraceView, conditional: Denoise, unconditional: Denoise, scale: float = 1.0,
                   between: tuple[float, float] = (1.0, 0.0), rows: Tensor | None = None,
                   outside: float = 1.0) -> None:
    """Offer what the model says given the label (eps_c), given none (eps_u), and the difference (guidance_delta).

    Of points also as fields, field_c, field_u and guidance_field: eps_u − eps_c = sigma·∇log p(c | x_t), the direction
    in which the label becomes likelier, whatever the scale. And tilted_density: p(x)·p(c | x)^scale of the data, in
    closed form: the density whose score guidance takes at each t. The walk does not arrive at it (Bradley & Nakkiran
    2024, "Classifier-Free Guidance is a Predictor-Corrector", section 3), as these scores are not those of one density
    that noise spreads. What the walk makes is the film's panel p_model.

    A chart says how much the label changes the noise, ‖eps_c − eps_u‖ over t, for the frames that were looked at.

    conditional, unconditional  what the walk is guided with, on the film's schedule: either kind of guidance at scale 1
                                and at 0. Of points, one label for all, so that fields can be asked for
    scale, between, outside     those of the walk, for tilted_density and the chart; outside: the scale beyond
                                `between`, 1 of classifier-free guidance and 0 of a classifier's
    rows                        which rows of the data are called what was asked for, bool (N,); tilted_density needs it

    The walk keeps nothing for this: both are asked again at its states, for the frames that are looked at.
    """
    asked = _Asked(film, conditional, unconditional)
    points = film.dataset.kind == "points"
    texts = {
        "eps_c": ("noise with label ε̂_{c}", "the noise the model sees if it is told the label"),
        "eps_u": ("noise without ε̂_{u}", "the noise the model sees if it is told no label"),
        "guidance_delta": ("label changes ε̂_{c} − ε̂_{u}",
                           "what the label changes about the noise: guidance adds more of it"),
    }
    for key, (title, note) in texts.items():
        view = PULL[film.dataset.kind] if key == "guidance_delta" else NOISE_VIEW if points else 3.0
        look = dict(kind="points", palette="noise") if points else dict(kind="images", palette="signed")
        film.offer(key, title, note, _as_shown(asked, key, points), range=(-view, view), **look)
    if points:
        _offer_fields(film, conditional, unconditional)
        if rows is not None and scale >= 0:
            scales = scale_at(scale, between, outside)
            film.offer("tilted_density", "sharpened p·p(c|x)^{w}",
                       "the tilted density, whose score guidance takes at this t, exact, over its maximum; the density "
                       "it learned shows what the walk makes of it",
                       lambda a, b: sharpened(film, rows, scales, a, b), kind="heat", range=(0.0, 1.0),
                       palette="magnitude", caption=scaled(film.scale, f"w = {scale:g} · p / max p"))
    film.more_bytes.append(lambda: asked.nbytes)
    film.more_charts.append(lambda: _chart(film, asked.sizes, () if scale == outside else between))


def _as_shown(asked: _Asked, key: str, points: bool) -> Callable[[int, int], Tensor]:
    return lambda a, b: asked(a, b)[key] if points else signed_pictures(asked(a, b)[key])


class _Asked:
    """(first, end) → what both denoisers say at the states of those frames, by the keys of panels, (F, N, ...)."""

    def __init__(self, film: TraceView, conditional: Denoise, unconditional: Denoise):
        self.film, self.denoisers = film, (conditional, unconditional)
        self.sizes: dict[int, float] = {}  #: frame → mean over samples of ‖eps_c − eps_u‖/√D
        self._last: tuple[tuple[int, int], dict[str, Tensor]] | None = None  # three panels ask for the same frames

    @property
    def nbytes(self) -> int:
        last = self._last
        return sum(said.nbytes for said in last[1].values()) if last else 0

    @torch.no_grad()
    def __call__(self, first: int, end: int) -> dict[str, Tensor]:
        last = self._last
        if last is not None and last[0] == (first, end):
            return last[1]
        film, found = self.film, []
        for k, t in zip(range(first, end), film.frame_times(first, end)):
            k = min(k, len(film.trace) - 1)
            x_t = film.trace.part("x_t", k, k + 1)[0]
            found.append(torch.stack([denoise(x_t, t).eps for denoise in self.denoisers]))
        c, u = torch.stack(found, 1)
        each = (c - u).flatten(2).square().mean(2).sqrt().mean(1)
        self.sizes |= dict(zip(range(first, end), each.tolist()))
        said = {"eps_c": c, "eps_u": u, "guidance_delta": c - u}
        self._last = (first, end), said
        return said


def _offer_fields(film: TraceView, conditional: Denoise, unconditional: Denoise) -> None:
    def arrows(cell: float) -> dict[str, object]:
        return dict(kind="field", range=(-STATE_VIEW, STATE_VIEW), palette="noise", scale=cell,
                    caption=scaled(film.scale, f"cell = {cell:g}"), backdrop=film.dataset.x0.numpy(),
                    holds="places")

    size = torch.cat([film.scale[:-1], film.scale[-2:-1]])  # the last frame's field is that of the last step

    def field(denoise: Denoise, a: int, b: int) -> Tensor:
        return vector_field(denoise, film.frame_times(a, b), STATE_VIEW, lambda p: -p.eps, size[a:b])

    film.offer("field_c", "push with label −ε̂_{c}", "where the model wants to go if it is told the label and no more",
               lambda a, b: field(conditional, a, b), **arrows(2))
    film.offer("field_u", "push without −ε̂_{u}", "where the model wants to go if it is told no label",
               lambda a, b: field(unconditional, a, b), **arrows(2))
    film.offer("guidance_field", "label adds ε̂_{u} − ε̂_{c}", "what guidance adds: σ times the slope of log p(c|x), "
               "the way to where the label is likelier",
               lambda a, b: field(conditional, a, b) - field(unconditional, a, b), **arrows(1))


def sharpened(film: TraceView, rows: Tensor, scales: Callable[[Tensor], Tensor], first: int, end: int) -> Tensor:
    """p_t(x)·p(c | x)^w over its maximum on the cells of the view, (F, H, W), row 0 at the top; as `base.density`.

    p(c | x) is the share of the asked rows in the sum that is p; w = scales(t) for each frame's t.
    """
    points, h = film.dataset.x0.double(), film.dataset.bandwidth
    axis = centres(STATE_VIEW, DENSITY_CELLS, torch.float64)
    out = []
    for t, size in zip(torch.cat([film.kept, film.times[-1:]])[first:end], film.scale[first:end].double()):
        alpha, sigma = (a / size for a in film.schedule(t))
        width = torch.sqrt(alpha**2 * h**2 + sigma**2 + (STATE_VIEW / DENSITY_CELLS) ** 2)
        gx, gy = (torch.exp(-((axis[:, None] - alpha * points[None, :, d]) ** 2) / (2 * width**2)) for d in (0, 1))
        p, own = gy @ gx.T, gy[:, rows] @ gx[:, rows].T
        # So far away that p is 0 to the last bit, the product is too.
        q = p * torch.where(p > 0, own / p.clamp(min=torch.finfo(p.dtype).tiny), 0.0) ** scales(t)
        out.append(q.flip(0) / q.max())
    return torch.stack(out)


def _chart(film: TraceView, sizes: dict[int, float], between: tuple[float, ...]) -> tuple[Chart, ...]:
    if not sizes:
        return ()
    cursor, seen = torch.cat([film.kept, film.times[-1:]]).numpy(), sorted(sizes)
    curve = Series("label − none", cursor[seen], np.array([sizes[k] for k in seen]), palette="noise")
    series = (curve,)
    if between not in ((), (1.0, 0.0)):
        top = np.full(2, max(sizes.values()))
        series = Series("guided", np.array(between), top, style="band", palette="ink", low=0 * top), curve
    return (Chart("how much does the label change the noise? ‖ε̂_{c} − ε̂_{u}‖/√D, mean over samples", series, cursor,
                  ends=("t=1 noise", "t=0 data"), flip=True),)

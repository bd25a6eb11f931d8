"""The weights of a linear denoiser at the playhead: what it looks at, how much of it it believes, and how well it does.

One file may look into this model so plainly because there is nothing in it but directions and shares: x̂0 is the mean
and, along each direction v_i, λ_i/(λ_i + sigma²/alpha²) of what is seen (`core.denoisers.linear`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from einops import rearrange
from torch import Tensor

from ..denoisers.base import Denoiser
from ..denoisers.exact import Exact
from ..denoisers.linear import Linear
from ..forward import noised
from ..prediction import Denoise
from ..scene import Chart, Series
from ..schedules import Schedule
from .base import STATE_VIEW, WAITING, over, signed_pictures, vector_field
from .trace import TraceView

HELD = "how far is the guess from the truth? root mean square of x̂₀ − x₀"
#: Directions shown as pictures; pixels a side whose filters are.
DIRECTIONS, PIXELS = 16, 4
#: Times at which the exact denoiser's error is measured, and multiplications that each may take.
PROBES, BUDGET = 12, 20_000_000


def offer_weights(film: TraceView, denoiser: Denoiser, label: int | None = None) -> None:
    """Offer the weights of a linear denoiser on this film, for the label that the walk was asked for.

    Pictures   "weights": the first principal directions v_i, each as strong as its share at this t. "filters": the
               weights with which a pixel of x̂0 looks at x_t, for PIXELS × PIXELS pixels, each over its largest
    Points     "weights": a square grid of states and where the map sends it
    Charts     the share of each direction over t, and the error of the guess beside those of the Wiener filter and of
               the exact denoiser

    ValueError if the denoiser is not linear or does not know the label.
    """
    network = denoiser.network
    if not isinstance(network, Linear):
        raise ValueError(f"the weights of a {type(network).__name__} are no one map to show; ask for a linear model")
    row = network.row(label)
    if film.dataset.kind == "points":
        _offer_map(film, _asked_for(network, film.schedule, label))
    else:
        share = lambda a, b: network.shares(film.schedule.snr(film.frame_times(a, b)), label)  # noqa: E731
        _offer_pictures(film, network.directions[row], share)
    believed, errors = cache(lambda: _believed(film, network, label)), cache(lambda: _held(film, network, label))
    film.more_charts.append(lambda: (believed(), errors() if film.finished else Chart(HELD, (), ends=WAITING)))


def _asked_for(network: Linear, schedule: Schedule, label: int | None) -> Denoise:
    """The map on the film's own schedule: it needs no other, as it is known in closed form on each."""
    model, row = Denoiser(network, schedule, "x0", 1.0, network.labels), network.row(label)
    return lambda x_t, t: model(x_t, t, torch.full((len(x_t),), row) if network.labels else None)


def _offer_map(film: TraceView, denoise: Denoise) -> None:
    at = torch.cat([film.scale[:-1], film.scale[-2:-1]])

    def sent(a: int, b: int) -> Tensor:
        field = vector_field(denoise, film.frame_times(a, b), STATE_VIEW, lambda p: p.x0, at[a:b])
        return rearrange(field, "f gy gx d -> f (gy gx) d")

    note = "where the map sends a square grid of states: to the mean at first, then along the data, at last to itself"
    film.offer("weights", "clean guess x̂_{0} of a grid", note, sent, kind="points", range=(-STATE_VIEW, STATE_VIEW),
               palette="accent", backdrop=film.dataset.x0.numpy())


def _offer_pictures(film: TraceView, directions: Tensor, shares: Callable[[int, int], Tensor]) -> None:
    shape, count = film.dataset.shape, min(DIRECTIONS, len(directions))
    shown = over(directions[:count], directions[:count].abs().amax(1)).reshape(1, count, *shape)
    # Away from the edge, where there is little to see; all channels of a pixel taken together.
    place = torch.linspace(0.2, 0.8, PIXELS).mul(shape[-1] - 1).round().long()
    picture = directions.reshape(-1, *shape)
    told = picture[:, :, place][:, :, :, place].mean(1).flatten(1)

    def weights(a: int, b: int) -> Tensor:
        return signed_pictures(shares(a, b)[:, :count, None, None, None] * shown)

    def filters(a: int, b: int) -> Tensor:
        rows = torch.einsum("fk,kp,kd->fpd", shares(a, b), told, directions)
        rows = signed_pictures(rows.reshape(*rows.shape[:2], *shape))
        return rows / rows.abs().amax((2, 3, 4), keepdim=True).clamp(min=1e-12)

    look = dict(kind="images", range=(-1.0, 1.0), palette="signed")
    film.offer("weights", "directions", "the principal directions of the data, each as strong as the share of what is "
               "seen along it that is believed at this t: coarse ones first", weights,
               caption=f"{count} of {len(directions)} · × share", **look)
    film.offer("filters", "filters", f"how a pixel of x̂₀ looks at x_t, for {PIXELS}×{PIXELS} pixels: at its wide "
               "surroundings in much noise, at itself in little", filters, caption="each over its largest", **look)


def _over_t(film: TraceView, title: str, series: tuple[Series, ...]) -> Chart:
    return Chart(title, series, torch.cat([film.kept, film.times[-1:]]).numpy(), ends=("t=1 noise", "t=0 data"),
                 flip=True)


def _believed(film: TraceView, network: Linear, label: int | None) -> Chart:
    x = film.kept
    shares = network.shares(film.schedule.snr(x), label)
    some = [i for i in ((0, 3, 15, 63) if shares.shape[1] > 3 else (0, 1)) if i < shares.shape[1]]
    styles = ("line", "line", "dashed", "faint")
    return _over_t(film, "which directions come out of the noise when? share of each that is believed",
                   tuple(Series(f"direction {i + 1}", x.numpy(), shares[:, i].numpy(), style, "accent" if n else "ink")
                         for n, (i, style) in enumerate(zip(some, styles))))


def _held(film: TraceView, network: Linear, label: int | None) -> Chart:
    ours, best, exact = _errors(film, network, label)
    return _over_t(film, HELD, (
        Series("exact denoiser", *exact, style="dots", palette="ink"),
        Series("best linear: Wiener", film.kept.numpy(), best, style="dashed", palette="ink"),
        Series("this model", film.kept.numpy(), ours)))


def _errors(film: TraceView, network: Linear, label: int | None):
    """√(E|x0 − x̂0|²/D) over the film's times of this model and of the Wiener filter, both in closed form, and (t, the
    same) of the exact denoiser, measured; all on the data of this label.
    """
    data, schedule, row = film.dataset, film.schedule, network.row(label)
    known = row < network.labels and bool((data.cond == row).any())
    x0 = data.x0[data.cond == row] if known else data.x0
    flat, h2 = x0.flatten(1).double(), data.bandwidth**2
    size, v, mean = flat.shape[1], network.directions[row], flat.mean(0)
    covariance = (flat - mean).T @ (flat - mean) / len(flat)
    away = mean - network.mean[row]
    outside = covariance.trace() + away @ away - ((v @ covariance) * v).sum() - (v @ away).square().sum()
    outside = outside.clamp(min=0) + h2 * (size - len(v))
    everything = torch.linalg.eigvalsh(covariance).clamp(min=0) + h2

    def rms(variance: Tensor, rest: float | Tensor) -> Tensor:
        left = variance / (1 + variance * schedule.snr(film.kept)[:, None])
        return ((left.sum(1) + rest) / size).sqrt()

    ours, best = rms(network.std[row] ** 2, outside), rms(everything, 0)
    # A ratio on the same few samples, since where there is much noise the two differ far less than samples do.
    generator, n = torch.Generator().manual_seed(0), max(32, min(2000, BUDGET // flat.numel()))
    asked = x0[torch.randint(len(x0), (n,), generator=generator)]
    asked = asked + data.bandwidth * torch.randn(asked.shape, generator=generator)
    eps = torch.randn(asked.shape, generator=generator)
    exact, model = Exact(x0, schedule, data.bandwidth), _asked_for(network, schedule, label)
    probes = torch.linspace(0, len(film.kept) - 1, PROBES).round().long().unique()
    found = []
    for k in probes.tolist():
        x_t = noised(schedule, asked, film.kept[k], eps).x_t
        errors = [(each.x0 - asked).norm() for each in (exact(x_t, film.kept[k]), model(x_t, film.kept[k]))]
        found.append(ours[k] * errors[0] / errors[1])
    return ours.numpy(), best.numpy(), (film.kept[probes].numpy(), torch.stack(found).numpy())

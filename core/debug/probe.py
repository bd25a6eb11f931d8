"""What only asking can tell: does the answer depend on t, on x, on the other rows; is it the same twice?

The network that is asked is a copy, in eval mode, and random numbers are put back as they were: the watched one and all
that comes after it are not touched.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .exam import walk_of
from .identify import levels_of
from .levels import KINDS, Levels
from .record import Run

#: Larger networks are not copied.
PARAMETERS = 50_000_000
#: Samples and steps of a walk with a sampler of ours, and seconds that it may take; with fewer steps it says nothing.
SAMPLES, STEPS, SECONDS, FEWEST = 64, 40, 3.0, 10


def probe(modules: list[nn.Module], calls: list[tuple[int, list, dict]]) -> list[dict[str, Any]]:
    """For each network that was called: relative changes of its answer under changes of what it is given."""
    found = []
    for index, module in enumerate(modules):
        mine = [(args, kwargs) for k, args, kwargs in calls if k == index]
        if not mine or sum(p.numel() for p in module.parameters()) > PARAMETERS:
            continue
        try:
            with torch.random.fork_rng(), torch.no_grad():
                found.append({"network": index} | _ask(copy.deepcopy(module).eval(), *mine[-1]))
        except Exception as error:  # a network that cannot be copied or asked again is merely not probed
            found.append({"network": index, "failed": f"{type(error).__name__}: {error}"[:200]})
    return found


def _ask(module: nn.Module, args: list[tuple[str, Any]], kwargs: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    from .calls import tensor_in

    def say(change=lambda role, value: value) -> Tensor:
        answer = tensor_in(module(*[change(*a) for a in args], **{k: change(*a) for k, a in kwargs.items()}))
        return answer.double()

    def other_time(role, value):
        if role != "t" or not isinstance(value, Tensor):
            return value * 0.5 if role == "t" and isinstance(value, float) else value // 2 if role == "t" else value
        if value.numel() > 1 and bool((value != value.reshape(-1)[0]).any()):
            return value.roll(1, 0)
        return value // 2 if not value.is_floating_point() else value * 0.5

    def other_state(role, value):
        return value + 0.5 * torch.randn_like(value) if role == "x" else value

    def first_rows(role, value, rows=None):
        return value[:rows] if isinstance(value, Tensor) and value.ndim and len(value) == B else value

    x = next((v for r, v in [*args, *kwargs.values()] if r == "x"), None)
    said = say()
    size = float(said.pow(2).mean().sqrt()) or 1.0

    def change(of, against=said) -> float:
        return float((say(of) - against).pow(2).mean().sqrt()) / size

    facts: dict[str, Any] = {"size": size}
    roles = [r for r, _ in [*args, *kwargs.values()]]
    if "t" in roles:
        facts["t"] = change(other_time)
    if x is not None:
        facts["x"] = change(other_state)
        B = len(x)
        if B > 2:
            half = B // 2
            facts["rows"] = change(lambda r, v: first_rows(r, v, half), said[:half])
    facts["again"] = change(lambda r, v: v)
    return facts


def swapped(run: Run, modules: list[nn.Module], calls: list[tuple[int, list, dict]]) -> np.ndarray | None:
    """A DDIM walk down the noise levels of training with the network that was sampled, (K + 1, N, ...).

    None where the levels, what the output means or the network's arguments are not known, or where it is too slow.
    """
    levels, walk = levels_of(run), walk_of(run)
    if levels is None or levels.kind not in KINDS or walk is None or len(levels.t) < 4:
        return None
    index = walk.facts.get("network", 0)
    mine = [(args, kwargs) for k, args, kwargs in calls if k == index]
    if not mine or index >= len(modules) or sum(p.numel() for p in modules[index].parameters()) > PARAMETERS:
        return None
    try:
        with torch.random.fork_rng(), torch.no_grad():
            return _walk(copy.deepcopy(modules[index]).eval(), *mine[-1], levels)
    except Exception:  # a network that cannot be copied or asked again is merely not walked with
        return None


def _walk(module: nn.Module, args: list[tuple[str, Any]], kwargs: dict[str, tuple[str, Any]],
          levels: Levels) -> np.ndarray | None:
    from .calls import tensor_in

    like = next((v for role, v in [*args, *kwargs.values()] if role == "x"), None)
    if like is None or "t" not in [role for role, _ in [*args, *kwargs.values()]]:
        return None
    B, count = len(like), min(len(like), SAMPLES)

    def say(x: np.ndarray, t: float) -> np.ndarray:
        def given(role, value):
            if role == "x":
                return torch.as_tensor(x, dtype=like.dtype, device=like.device)
            if isinstance(value, Tensor) and value.ndim and len(value) == B:
                value = value[:count]
            if role == "t":
                return torch.full_like(value, t) if isinstance(value, Tensor) else type(value)(t)
            return value

        out = tensor_in(module(*[given(*a) for a in args], **{k: given(*a) for k, a in kwargs.items()}))
        return out.double().cpu().numpy()[:, : x.shape[1]]

    noisy_first = np.argsort(levels.sigma / np.maximum(np.abs(levels.alpha), 1e-9))[::-1]
    times = levels.t[noisy_first]
    x = levels.sigma[noisy_first[0]] * np.random.default_rng(0).standard_normal((count, *like.shape[1:]))
    states, began = [x], time.monotonic()
    say(x, float(times[0]))
    steps = int(min(STEPS, len(times), SECONDS / max(time.monotonic() - began, 1e-6)))
    if steps < FEWEST:
        return None
    ladder = times[np.linspace(0, len(times) - 1, steps).round().astype(int)]
    at = [*map(tuple, levels.many(ladder)[:, :2]), (1.0, 0.0)]
    for t, (alpha, sigma), (alpha_s, sigma_s) in zip(ladder, at[:-1], at[1:]):
        u, v = KINDS[levels.kind](np.float64(alpha), np.float64(sigma))
        output, det = say(states[-1], float(t)), alpha * v - sigma * u
        x0 = (v * states[-1] - sigma * output) / det if abs(det) > 1e-6 else states[-1] / alpha
        states.append(alpha_s * x0 + (sigma_s / sigma * (states[-1] - alpha * x0) if sigma_s else 0))
    return np.stack(states).astype(np.float32)

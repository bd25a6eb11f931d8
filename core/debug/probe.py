"""What only asking can tell: does the answer depend on t, on x, on the other rows; is it the same twice?

The network that is asked is a copy, in eval mode, and random numbers are put back as they were: the watched one and all
that comes after it are not touched.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

#: Larger networks are not copied.
PARAMETERS = 50_000_000


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
    from .watching import _tensor_in

    def say(change=lambda role, value: value) -> Tensor:
        answer = _tensor_in(module(*[change(*a) for a in args], **{k: change(*a) for k, a in kwargs.items()}))
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

"""Reading one call of a network: which of its arguments is the noisy state, which the time, and what the rest is."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .sums import strip
from .tape import Node, Tape

TIME_NAMES = (
    "t",
    "time",
    "times",
    "timestep",
    "timesteps",
    "time_step",
    "sigma",
    "sigmas",
    "noise_level",
    "noise_levels",
    "c_noise",
    "noise_labels",
    "log_snr",
    "tt",
    "ts",
    "step",
    "steps",
    "s",
    "gamma",
    "lam",
)


def describe(module: nn.Module) -> dict[str, Any]:
    kinds = {type(m).__name__ for m in module.modules()}
    drop = [m.p for m in module.modules() if isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0]
    norm = [k for k in kinds if k.startswith(("BatchNorm", "SyncBatchNorm"))]
    return {
        "name": type(module).__name__,
        "parameters": sum(p.numel() for p in module.parameters()),
        "dropout": max(drop, default=0.0),
        "batch_norm": norm,
    }


def _takes_time(module: nn.Module) -> bool:
    try:
        names = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        return False
    return len(names) > 1 and any(name in TIME_NAMES for name in names)


def denoiser_in(module: nn.Module) -> nn.Module:
    """The network itself, or the one that it wraps if it takes no time and a part of it does."""
    if _takes_time(module) or type(module).__name__ in ("DataParallel", "DistributedDataParallel", "OptimizedModule"):
        return module
    try:
        names = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        names = []
    inner = [child for child in module.children() if _takes_time(child) and any(True for _ in child.parameters())]
    return inner[0] if len(inner) == 1 and len(names) < 2 else module


def tensor_in(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "sample") and isinstance(output.sample, Tensor):
        return output.sample
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        return next((o for o in output if isinstance(o, Tensor) and o.is_floating_point()), None)
    return (
        next((v for v in vars(output).values() if isinstance(v, Tensor)), None) if hasattr(output, "__dict__") else None
    )


def _names(module: nn.Module, args: tuple, kwargs: dict) -> list[tuple[str, Any]]:
    try:
        known = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        known = []
    return [(known[i] if i < len(known) else f"{i}", a) for i, a in enumerate(args)] + list(kwargs.items())


def read_call(
    tape: Tape, module, args: tuple, kwargs: dict, out: Tensor
) -> tuple[Node, Tensor, Tensor | None, dict] | None:
    """(node of x, x, t, the others) of a call, in any order and by any names; None without a state like the output."""
    named = _names(module, args, kwargs)
    tensors = [(n, a) for n, a in named if isinstance(a, Tensor)]

    def like(a: Tensor) -> bool:
        return (
            a.is_floating_point()
            and a.ndim == out.ndim
            and a.shape[:1] == out.shape[:1]
            and (a.shape[2:] == out.shape[2:])
            and (a.ndim < 2 or out.shape[1] % a.shape[1] == 0 or a.shape == out.shape)
        )

    shaped = [(n, a) for n, a in tensors if like(a)]
    times = [(n, a) for n, a in named if n.lower() in TIME_NAMES]
    same = (
        [(n, a) for n, a in shaped if a.shape == out.shape and n.lower() not in TIME_NAMES]
        or [(n, a) for n, a in shaped if n.lower() not in TIME_NAMES]
        or shaped
    )
    if not same:  # one tensor that holds both: [x, t]
        for _, a in tensors:
            if a.ndim == 2 and out.ndim == 2 and len(a) == len(out) and a.shape[1] == out.shape[1] + 1:
                node = strip(tape.node(a))
                inner = [n for n in node.args if isinstance(n, Node) and n.value.shape == out.shape]
                x = inner[0].value if inner else a[:, :-1].detach()
                return inner[0] if inner else tape.node(x), x, a[:, -1].detach(), {}
        return None
    state = same[0]
    rest = [(n, a) for n, a in named if a is not state[1]]
    t = next((a for n, a in times if a is not state[1] and a is not None), None)
    if t is None:
        B = len(out)
        t = next(
            (
                a
                for _, a in rest
                if isinstance(a, (int, float))
                and not isinstance(a, bool)
                or isinstance(a, Tensor)
                and a.numel() in (1, B)
                and a.ndim <= out.ndim
            ),
            None,
        )
    others = {n: _summary(a) for n, a in rest if a is not t}
    if t is not None and not isinstance(t, Tensor):
        t = torch.as_tensor(t) if isinstance(t, (int, float, np.number)) else None
    if t is not None and t.numel() not in (1, len(out)):
        t = None
    return tape.node(state[1]), state[1], t, others


def kept(value: Any, x: Tensor, t: Tensor | None) -> tuple[str, Any]:
    """An argument of a call to ask again: (what it is, its value)."""
    role = "x" if value is x else "t" if value is t else ""
    return role, value.detach().clone() if isinstance(value, Tensor) else value


def _summary(value: Any) -> Any:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            return {"shape": list(value.shape), "rms": float(value.detach().double().pow(2).mean().sqrt())}
        found, counts = torch.unique(value.detach().reshape(-1).cpu(), return_counts=True)
        return {"labels": found[:64].tolist(), "counts": counts[:64].tolist()} if not value.is_complex() else None
    return value if isinstance(value, (int, float, str, bool, type(None))) else type(value).__name__

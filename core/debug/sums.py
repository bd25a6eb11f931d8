"""Sums read off the tape: `x_t = a·x0 + s·noise` comes back as [(x0, a), (noise, s)], with the very numbers of the
script, one a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .operations import DRAWS, SUMS
from .tape import Node


def strip(node: Node) -> Node:
    """The node behind renamings, reshapings and copies."""
    while node.op == "same" and node.args and isinstance(node.args[0], Node):
        node = node.args[0]
    return node


def rows_of(value: Tensor) -> int:
    return value.shape[0] if value.ndim else 1


def row_factor(value: Tensor | float, like: Tensor) -> Tensor | None:
    """A factor of one number a row, (B,) float64, of something shaped like `like`; None if it differs within a row."""
    B = rows_of(like)
    if not isinstance(value, Tensor):
        return torch.full((B,), float(value), dtype=torch.float64)
    if value.numel() == 1:
        return value.reshape(1).double().cpu().expand(B)
    if value.ndim > like.ndim:
        return None
    shape = (1,) * (like.ndim - value.ndim) + tuple(value.shape)
    if all(n == 1 for n in shape[1:]) and shape[0] in (1, B):
        return value.reshape(-1).double().cpu().expand(B)
    if value.numel() == like.numel() and value.ndim:
        flat = value.reshape(B, -1)
        if flat.shape[1] > 1 and bool((flat == flat[:, :1]).all()):
            return flat[:, 0].double().cpu()
    return None


def _content(node: Node) -> bool:
    return node.about or node.pure or node.op in ("state", "output") or node.op in DRAWS


def _factor(node: Node) -> tuple[Node, Tensor] | None:
    """A product or quotient as (what is multiplied, one factor a row); None if it is none such."""
    if len(node.args) < 2 or node.value is None:
        return None
    a, b = node.args[:2]
    if node.options.get("name", "").startswith("__r") and node.op == "quotient":
        a, b = b, a
    if node.op == "quotient":
        if not isinstance(a, Node) or a.numel != node.numel:
            return None
        factor = row_factor(b.value if isinstance(b, Node) else b, node.value)
        return None if factor is None else (a, 1 / factor)
    pairs = [(a, b), (b, a)]
    if isinstance(a, Node) and isinstance(b, Node) and a.numel == b.numel == node.numel:
        if (
            _content(b)
            and not _content(a)
            or (_content(a) == _content(b) and bool((a.value >= 0).all()) and not bool((b.value >= 0).all()))
        ):
            pairs.reverse()
        if node.value.reshape(rows_of(node.value), -1).shape[1] == 1:  # one number a row: either could be the factor
            main, other = pairs[0]
            return main, other.value.reshape(-1).double().cpu()
    for main, other in pairs:
        if isinstance(main, Node) and main.numel == node.numel:
            factor = row_factor(other.value if isinstance(other, Node) else other, node.value)
            if factor is not None:
                return main, factor
    return None


def divisor(node: Node) -> Node | None:
    """What a quotient is divided by, if that is no mere factor a row: then it is no part of a sum."""
    if node.op != "quotient" or len(node.args) < 2 or node.value is None:
        return None
    a, b = node.args[:2]
    below = a if node.options.get("name", "").startswith("__r") else b
    if isinstance(below, Node) and below.numel == node.numel and row_factor(below.value, node.value) is None:
        return below
    return None


@dataclass
class Clip:
    """A clamp that was met on the way: its bounds, the share of values it changed, what it was done to, and by what
    factor a row its result is multiplied in the sum."""

    low: float | None
    high: float | None
    share: float
    of: Node
    result: Node
    factor: Tensor | None = None


def open_up(node: Node, clips: list[Clip] | None = None) -> list[tuple[Node, Tensor]] | None:
    """One level of a node's sum: [(node, factor a row), …]; None for a leaf."""
    if node.value is None:
        return None
    one = torch.ones(rows_of(node.value), dtype=torch.float64)
    nodes = [a for a in node.args if isinstance(a, Node)]
    if node.op == "same":
        inner = nodes[0]
        if rows_of(inner.value) != len(one):
            return [(inner, torch.ones(rows_of(inner.value), dtype=torch.float64))] if len(one) == 1 else None
        return [(inner, one)]
    if node.op == "clamp":
        if clips is not None and nodes:
            low, high = node.options["bounds"]
            changed = (nodes[0].value != node.value) if nodes[0].numel == node.numel else torch.zeros(1)
            clips.append(Clip(low, high, float(changed.double().mean()), nodes[0], node))
        return [(nodes[0], one)]
    if node.op in ("neg", "negative"):
        return [(nodes[0], -one)]
    if node.op in ("sum", "reversed"):
        a, b = (x if isinstance(x, Node) else Node(-1, "number", (), torch.tensor(x)) for x in node.args[:2])
        if any(x.numel != node.numel and not x.pure and x.numel > 1 for x in (a, b)):
            return None
        if node.op == "sum":
            signs = (1.0, SUMS[node.options["name"]] * float(node.options.get("alpha", 1)))
        else:
            signs = (-float(node.options.get("alpha", 1)), 1.0)
        return [
            (x, torch.full((rows_of(x.value),), sign, dtype=torch.float64))
            for x, sign in zip((a, b), signs)
            if x.op != "number" or x.value != 0
        ]
    if node.op in ("product", "quotient"):
        found = _factor(node)
        return None if found is None else [found]
    if node.op == "lerp" and len(node.args) == 3:
        a, b, w = node.args
        weight = row_factor(w.value if isinstance(w, Node) else w, node.value)
        return (
            None if weight is None or a.numel != node.numel or b.numel != node.numel else [(a, 1 - weight), (b, weight)]
        )
    if node.op in ("addcmul", "addcdiv") and len(nodes) == 3:
        base, b, c = nodes
        times = float(node.options.get("value", 1))
        for main, other in ((b, c), (c, b)) if node.op == "addcmul" else ((b, c),):
            factor = row_factor(other.value, node.value)
            if factor is not None and main.numel == node.numel == base.numel:
                return [(base, one), (main, times * (factor if node.op == "addcmul" else 1 / factor))]
        return None
    if node.op == "where" and len(node.args) >= 2:
        kept = [a for a in node.args if isinstance(a, Node) and a.numel == node.numel and a.value.dtype != torch.bool]
        cond = next((a for a in nodes if a.value.dtype == torch.bool), None)
        choice = None if cond is None else row_factor(cond.value, node.value)
        if choice is None or not kept:
            return None
        branches = [a for a in node.args if a is not cond]
        out = []
        for branch, weight in zip(branches, (choice, 1 - choice)):
            if isinstance(branch, Node):
                if branch.numel != node.numel:
                    if bool((branch.value != 0).any()):
                        return None
                    continue
                out.append((branch, weight))
            elif branch != 0:
                return None
        return out
    return None


def _times(factor: Tensor | None, f: Tensor) -> Tensor:
    """Two factors a row; of something that is shared by all rows, their mean."""
    if factor is None or len(factor) == len(f):
        return f if factor is None else factor * f
    return factor.mean() * f


def terms(
    node: Node, clips: list[Clip] | None = None, stop: Callable[[Node], bool] | None = None, depth: int = 60
) -> list[tuple[Node, Tensor]]:
    """A node as a sum over leaves, [(leaf, factor a row (B,))]; the same leaf once.

    Each node is opened once and hands its whole factor on, after all that it is a part of has done so: what is used
    many times, as a state is that the next one is made of three times over, is not followed once a way, of which there
    are exponentially many. Nodes more than `depth` levels down are leaves.
    """
    opened: dict[int, list[tuple[Node, Tensor]] | None] = {}
    parents: dict[int, int] = {}  #: uses of a node by opened ones
    level = [node]
    for left in range(depth, -1, -1):
        below: dict[int, Node] = {}
        for at in level:
            closed = not left or at.op in ("output", "state") or bool(stop and at is not node and stop(at))
            opened[id(at)] = None if closed else open_up(at, clips)
            for inner, _ in opened[id(at)] or ():
                parents[id(inner)] = parents.get(id(inner), 0) + 1
                if id(inner) not in opened:
                    below[id(inner)] = inner
        # One that also stands in this level has been opened by now.
        level = [inner for key, inner in below.items() if key not in opened]
    factors: dict[int, Tensor] = {}
    leaves, todo = [], [node]
    while todo:
        at = todo.pop()
        factor = factors.pop(id(at), None)
        for clip in clips or ():
            if clip.result is at:
                clip.factor = factor
        inside = opened[id(at)]
        if inside is None:
            leaves.append((at, torch.ones(rows_of(at.value), dtype=torch.float64) if factor is None else factor))
            continue
        for inner, f in inside:
            added, key = _times(factor, f), id(inner)
            factors[key] = added if key not in factors else factors[key] + added
            parents[key] -= 1
            if not parents[key]:
                todo.append(inner)
    return leaves

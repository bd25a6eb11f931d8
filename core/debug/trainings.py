"""The training calls among those that are watched: x0 and noise of the input, and what the output is held against."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .draws import about_draw, bare, full, key_of, normality, spread
from .operations import DRAWS
from .record import (
    TRAIN_ROWS,
    Run,
    Train,
    array,
    moments,
    two_factors,
)
from .sums import divisor, open_up, rows_of, strip, terms
from .tape import Node, Tape

#: Calls that are watched in full before the gaps grow; then one in n/GAP.
FIRST, GAP = 96, 32


class Trainings:
    """The training calls of a run as they are seen.

    count      of all calls, seen in full or not; stepped: how often an optimizer has stepped
    closed     nothing is looked at any more, though hooks of gradients are still there
    """

    def __init__(self, run: Run, tape: Tape):
        self.run, self.tape = run, tape
        self.count, self.stepped, self.closed = 0, 0, False
        self._next, self._backward = 1, 0
        self._open: tuple[Train, Node, Node | None, Node | None, Node] | None = None

    def forget(self) -> None:
        """The last call is over: what is compared from now on is not its output."""
        self._open = None

    def counted(self) -> None:
        self.count += 1
        self.run.facts["training_calls"] = self.count
        if self.count >= self._next:
            self._next = self.count + (1 if self.count < FIRST else max(1, self.count // GAP))
        self.tape.awake = self.count + 1 >= self._next

    def noised(self, node: Node, t: Tensor | None):
        """(x0, noise, alpha, sigma) of an input that is a sum of data and a draw; None if it is none."""
        same_t = t is None or t.numel() == 1 or bool((t == t.reshape(-1)[0]).all())
        parts = [(node, torch.ones(rows_of(node.value), dtype=torch.float64))]
        while len(parts) == 1:
            inner, factor = parts[0]
            opened = None if inner.op in ("output", "state") or inner.op in DRAWS else open_up(inner)
            if not opened:
                return None
            parts = [(n, factor * f if len(factor) == len(f) else f) for n, f in opened]
        parts = [bare(*spread(n, f, node), same_t) for n, f in parts]
        drawn = [p for p in parts if p[0].pure]
        if not drawn:
            drawn = [max(parts, key=lambda p: normality(p[0].value))]
            if normality(drawn[0][0].value) < 0.5:
                return None
        if len(drawn) > 1:
            direct = [p for p in drawn if p[0].op in DRAWS and p[0].law == "normal"] or drawn
            drawn = [max(direct, key=lambda p: p[0].serial)]
        noise = drawn[0]
        rest = [p for p in parts if p is not noise and bool(p[0].value.any())]  # noise about a mean of 0 is a start
        if any(divisor(n) is not None for n, _ in parts):
            return None
        if len(rest) != 1 or any(n.numel != node.numel for n in (noise[0], rest[0][0])):
            return None
        return rest[0][0], noise[0], rest[0][1], noise[1]

    def add(self, index, module, node, x, t, out, gradient, noised, others) -> tuple[Train, Node]:
        B = rows_of(x)
        keep = slice(None, TRAIN_ROWS)
        times = np.full(B, np.nan) if t is None else np.broadcast_to(array(t.double()).reshape(-1), (B,)).copy()
        facts: dict[str, Any] = {
            "index": self.count,
            "network": index,
            "gradient": gradient,
            "training": bool(module is None or module.training),
            "shape": list(x.shape),
            "output_shape": list(out.shape),
            "finite": bool(torch.isfinite(out).all()),
            "input_finite": bool(torch.isfinite(x).all()),
            "dtype": str(x.dtype)[6:],
            "t_dtype": "" if t is None else str(t.dtype)[6:],
            "stepped": self.stepped,
            "others": others,
            "version": 0 if module is None else sum(p._version for p in module.parameters()),
            "rows_of_t": 1 if t is None else int(t.numel()),
            "grad_mode": torch.is_grad_enabled(),
        }
        call = Train(times[keep], facts=facts)
        x0 = eps = None
        if noised is not None:
            x0, eps, alpha, sigma = noised
            call.alpha, call.sigma = alpha.numpy()[keep].copy(), sigma.numpy()[keep].copy()
            facts["x0"], facts["noise"] = moments(array(x0.value)), moments(array(eps.value)) | about_draw(eps)
            facts["noise"]["key"] = key_of(eps.value)
            self.run.saw(array(x0.value).reshape(x.shape))
            a, b = (array(n.value).reshape(-1).astype(np.float64) for n in (x0, eps))
            if a.std() > 0 and b.std() > 0:
                facts["correlation"] = float(np.corrcoef(a, b)[0, 1])
            made = alpha.reshape(B, *[1] * (x.ndim - 1)) * x0.value.reshape(x.shape).double().cpu()
            made = made + sigma.reshape(B, *[1] * (x.ndim - 1)) * eps.value.reshape(x.shape).double().cpu()
            facts["left_input"] = float(((made - x.detach().double().cpu()) ** 2).mean())
        output = self.tape.put(out, "output", about=True, pure=False, call=call)
        if gradient:
            node.op, node.args, node.call, node.about, node.pure = "state", (), call, False, False
        self._open = (call, node, x0, eps, output)
        self.run.trains.append(call)
        if gradient and out.requires_grad:
            out.register_hook(functools.partial(self._gradient, call, output, module))
        return call, output

    def compared(self, kind: str, said: Node, other: Node | None) -> None:
        """The output is held against something, or a norm is taken of their difference."""
        if self._open is None or self._open[0].facts.get("loss"):
            return
        call, state, x0, eps, output = self._open
        with self.tape.asleep():
            if other is not None and other.about and not said.about:
                said, other = other, said
            at = strip(said)
            sides = [a for a in at.args if isinstance(a, Node)]
            if (
                other is None
                and at.op in ("sum", "reversed")
                and len(sides) == 2
                and sides[0].value.shape != sides[1].value.shape
            ):
                call.facts |= {"loss": kind, "compared": self._shapes_of_difference(sides)}
                return
            leaves = terms(said, stop=lambda n: n is x0 or n is eps)
            ours = [(n, f) for n, f in leaves if n is output or n.op == "part" and strip(n.args[0]) is output]
            if not ours:
                return
            if other is None and len(leaves) == len(ours) and kind != "mean":
                return  # a norm of the output alone
            facts, out = call.facts, ours[0][0]
            facts["loss"] = kind
            if out is not output:
                facts["part"] = True
            if other is None and len(sides) == 2:
                facts["compared"] = self._shapes_of_difference(sides)
            elif other is not None:
                facts["compared"] = [list(said.value.shape), list(other.value.shape)]
            B = rows_of(out.value)
            if rows_of(said.value) != B or said.numel != out.numel or (other is not None and other.numel != out.numel):
                return
            q = ours[0][1].reshape(B, 1)
            gap = said.value.reshape(B, -1).double().cpu()
            wanted = [] if other is None else [(n, -f) for n, f in terms(other, stop=lambda n: n is x0 or n is eps)]
            if other is not None:
                gap = gap - other.value.reshape(B, -1).double().cpu()
            y = out.value.reshape(B, -1).double().cpu() - gap / q
            keep = slice(None, TRAIN_ROWS)
            call.error = ((out.value.reshape(B, -1).double().cpu() - y) ** 2).mean(1).numpy()[keep]
            call.power = (y**2).mean(1).numpy()[keep]
            rest = [(n, f) for n, f in leaves if n is not out]
            self._taught(call, state, x0, eps, y, [(n, -f / ours[0][1]) for n, f in [*rest, *wanted]], B)
            facts["_gap"] = (gap / q).float()  # output − target, whichever way it was written

    def _shapes_of_difference(self, sides: list[Node]) -> list[list[int]]:
        """The shapes of the two sides of `output − target`, the output's first."""
        first = sides if sides[0].about else sides[::-1]
        return [list(node.value.shape) for node in first]

    def _taught(self, call: Train, state: Node, x0, eps, y: Tensor, leaves, B: int) -> None:
        """u and v of the target y = u·x0 + v·eps: read off its arithmetic, or by least squares of its values."""
        if x0 is None:
            return
        keep, facts = slice(None, TRAIN_ROWS), call.facts
        u, v = torch.zeros(B, dtype=torch.float64), torch.zeros(B, dtype=torch.float64)
        clean = True
        for node, factor in leaves:
            if len(factor) != B:
                clean = False
            elif node is x0:
                u = u + factor
            elif node is eps:
                v = v + factor
            elif node is state:
                u = u + factor * torch.as_tensor(full(call.alpha, B))
                v = v + factor * torch.as_tensor(full(call.sigma, B))
            else:
                clean = False
                if node.op in DRAWS:
                    facts["target_draw"] = True
        a, b = (n.value.reshape(B, -1).double().cpu() for n in (x0, eps))
        if clean and B <= TRAIN_ROWS:
            left = ((y - u[:, None] * a - v[:, None] * b) ** 2).sum(1) / (y**2).sum(1).clamp(min=1e-30)
            call.u, call.v, call.left = u.numpy()[keep], v.numpy()[keep], left.numpy()[keep]
            facts["target_source"] = "arithmetic"
        else:
            call.u, call.v, call.left = (c[keep] for c in two_factors(y.numpy(), a.numpy(), b.numpy()))
            facts["target_source"] = "least squares"
            if a.shape[1] < 3 and not clean:  # as many unknowns as numbers: fit all rows at once with two constants
                A = np.stack([a.numpy().reshape(-1), b.numpy().reshape(-1)], 1)
                pq = np.linalg.lstsq(A, y.numpy().reshape(-1), rcond=None)[0]
                gap = y.numpy() - pq[0] * a.numpy() - pq[1] * b.numpy()
                facts["target_pooled"] = [float(pq[0]), float(pq[1]), float((gap**2).sum() / (y**2).sum())]

    def _gradient(self, call: Train, output: Node, module, grad: Tensor) -> None:
        """dL/d output: of a mean of squares 2·(output − target)/N."""
        facts = call.facts
        if self.closed or "slope" in facts:
            return
        with self.tape.asleep():
            facts["grad_finite"] = bool(torch.isfinite(grad).all())
            facts["grad_rms"] = float(grad.detach().double().pow(2).mean().sqrt())
            gap = facts.pop("_gap", None)
            g = grad.detach().float().cpu()
            if gap is not None and gap.numel() == g.numel() and float(gap.norm()) > 0 and float(g.norm()) > 0:
                flat, g = gap.reshape(-1), g.reshape(-1)
                facts["slope"] = float((flat @ g) / (flat @ flat)) * flat.numel() / 2
                facts["alike"] = float((flat @ g) / (flat.norm() * g.norm()))
            if module is not None:
                held = next((p.grad for p in module.parameters() if p.grad is not None), None)
                if held is not None and self.stepped > self._backward:
                    facts["left_gradient"] = float(held.detach().abs().max())
                self._backward = self.stepped

"""The walks among the calls that are watched: how every state was made of states, outputs and draws before it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .draws import about_draw, key_of, mean_of, modulated
from .operations import DRAWS
from .record import (
    ROWS,
    WALKS,
    Arrival,
    Call,
    Run,
    Term,
    Walk,
    array,
    least_squares,
    moments,
    rows,
)
from .sums import Clip, divisor, open_up, rows_of, strip, terms
from .tape import Node, Tape

#: Bytes of states and outputs that a record may hold.
BUDGET = 64 << 20


class Walks:
    """The walks of a run as they are seen; `walk` is the one under way. `begins` is called when one does."""

    def __init__(self, run: Run, tape: Tape, begins: Callable[[], None]):
        self.run, self.tape, self._begins = run, tape, begins
        self.walk: Walk | None = None
        self._last: dict[int, Node] = {}
        self._states: dict[int, tuple[Walk, int]] = {}
        self._nodes: list[tuple[Node, Node, Tensor]] = []
        self._bytes = 0
        self._drawn_before: list[Node] = []
        self._alive: dict[int, int] = {}

    def forget(self) -> None:
        """Let go of the tensors of others."""
        self._nodes = []

    def goes_on(self, node: Node) -> bool:
        """Whether an input is the state of the walk again, or made of what the network said in it."""
        if self.walk is None:
            return False
        inner = node
        if inner.op in ("cat", "stack", "repeat") and inner.args and isinstance(inner.args[0], Node):
            inner = inner.args[0]
        inner = strip(inner)
        return (
            inner.about
            or inner.op == "state"
            and id(inner) in self._states
            or any(n.about or n.op == "state" and id(n) in self._states for n, _ in terms(inner))
        )

    def add(self, index, module, node, x, t, out, gradient, others, made) -> None:
        whole, doubled = node, 1
        bare = strip(node)
        if bare.op in ("cat", "repeat") and bare.args and isinstance(bare.args[0], Node):
            half = bare.args[0]
            if (
                rows_of(x) == 2 * rows_of(half.value)
                and half.value.shape[1:] == x.shape[1:]
                and bool((x.detach()[: len(half.value)] == x.detach()[len(half.value) :]).all())
            ):
                node, doubled = half, 2
        elif made is False and len(x) % 2 == 0 and (drawn := self._drawn_half(x)) is not None:
            node, doubled = drawn, 2
        walk, arrival = self.walk, None
        if walk is not None and (made or self._fits(x, node)):
            arrival = self._arrival(node, x if doubled == 1 else x[: len(x) // 2])
        if arrival is None:
            self.end()
            if not strip(node).pure:
                self._link_to_draw(node)
            walk = self.walk = Walk(facts={"network": index, "start": self._start_of(node, x)})
            self._keep(walk)
        B = rows_of(node.value)
        told = None if t is None else t.detach().double().reshape(-1).cpu()
        half_x = x.detach()[:B]
        facts = {
            "network": index,
            "gradient": gradient,
            "training": bool(module is not None and module.training),
            "state": moments(array(half_x)),
            "output": moments(array(out)),
            "dtype": str(x.dtype)[6:],
            "t_dtype": "" if t is None else str(t.dtype)[6:],
            "others": others,
            "doubled": doubled,
            "t_differs": bool(told is not None and len(told) > 1 and (told != told[0]).any()),
            "rows": B,
            "alike": bool(B > 1 and (half_x == half_x[:1]).all()),
            "grad_mode": torch.is_grad_enabled(),
        }
        call = Call(
            float("nan") if told is None else float(told[0]), rows(array(half_x)), rows(array(out)), facts, arrival
        )
        walk.calls.append(call)
        self._bytes += call.x.nbytes + call.out.nbytes
        if self._bytes > BUDGET:
            self._thin()
        self.run.facts["sampling_calls"] += 1
        k = len(walk.calls) - 1
        self._cut(node, (walk, k))
        if whole is not node:
            whole.op, whole.args = "opaque", ()
        output = self.tape.known(out)  # known already where the call was first taken for one of training
        if output is None or output.op != "output":
            output = self.tape.put(out, "output", about=True, pure=False, call=(walk, k))
        output.call = (walk, k)
        self._nodes = [*self._nodes[-5:], (node, output, out.detach())]
        self.tape.derived = []
        self._drawn_before = self.tape.draws
        self.tape.draws = []

    def _drawn_half(self, x: Tensor) -> Node | None:
        """The draw that both halves of a start are, where nobody saw them being put together."""
        half = x.detach()[: len(x) // 2]
        if not torch.equal(half, x.detach()[len(x) // 2 :]):
            return None
        same = (d for d in reversed(self.tape.draws) if d.value is not None and d.value.shape == half.shape)
        return next((d for d in same if torch.equal(d.value, half)), None)

    def _link_to_draw(self, node: Node) -> None:
        """A start that nobody saw being made is the draw of the same numbers, if there is one."""
        for draw in reversed(self.tape.draws):
            if draw.value is not None and draw.value.shape == node.value.shape and torch.equal(draw.value, node.value):
                node.op, node.args = "same", (draw,)
                node.pure = True
                return

    def _cut(self, node: Node, where) -> None:
        """Make a node a state: what it was made of is forgotten, and what it is a multiple of becomes one of it."""
        if node.op == "state" and id(node) in self._states:
            return
        at, chain = node, []
        while at.op in ("product", "quotient", "neg", "same") and len(chain) < 8:
            opened = open_up(at)
            if not opened or len(opened) != 1 or rows_of(opened[0][0].value) != rows_of(node.value):
                break
            inner, factor = opened[0]
            if inner.op == "state" or bool((factor == 0).any()):
                break
            chain.append((at, inner, factor))
            at = inner
        node.op, node.args, node.call, node.pure = "state", (), where, False
        node.options = {}
        self._states[id(node)] = where
        self._last[id(node)] = node  # keeps the id its own
        for outer, inner, factor in chain:
            back = 1 / factor
            number = (
                float(back[0]) if bool((back == back[0]).all()) else back.reshape(-1, *[1] * (inner.value.ndim - 1))
            )
            inner.pure = False
            inner.op, inner.args, inner.options = "product", (outer, _constant_node(number)), {"name": "mul"}
        if len(self._last) > 12:
            old = next(iter(self._last))
            del self._last[old], self._states[old]

    def _fits(self, x: Tensor, node: Node) -> bool:
        """Whether an input of unknown making may continue the walk: as many numbers, and no fresh draw."""
        last = self._nodes[-1][0].value if self._nodes else None
        return last is not None and last.shape == node.value.shape and not strip(node).pure

    def _arrival(self, node: Node, x: Tensor) -> Arrival | None:
        """How a state was made of the walk's calls; None if it was not."""
        clips: list[Clip] = []
        found, draws, known = [], [], True
        crooked = None
        for leaf, factor in terms(node, clips):
            place = self._leaf(leaf)
            if place is None and (below := divisor(leaf)) is not None:
                crooked = "z" if below.pure else "outputs" if self._is_difference(below) else "x"
            if place is not None and len(factor) > 1 and float(factor.std()) > 1e-4 * float(factor.abs().max()):
                known = False  # a factor that differs by row cannot be one of a rule
            if place is None and (scaled := modulated(leaf)) is not None:
                draw, rms = scaled
                draws.append(moments(array(draw.value)) | about_draw(draw) | {"modulated": True})
                found.append(Term("z", len(draws) - 1, 0, rms * mean_of(factor)))
            elif place is None and leaf.pure:
                draws.append(moments(array(leaf.value)) | about_draw(leaf) | {"key": key_of(leaf.value)})
                found.append(Term("z", len(draws) - 1, 0, mean_of(factor)))
            elif place is None and leaf.numel == 1 and not leaf.about:
                found.append(Term("1", 0, 0, float(leaf.value) * mean_of(factor)))
            elif place is None:
                known = False
            else:
                found.append(Term(*place, mean_of(factor)))
        if crooked is not None:
            arrival = Arrival([], f"divided by {crooked}", 1.0)
        elif known and found:
            arrival = Arrival(found, "arithmetic", 0.0, draws=draws)
        else:
            arrival = self._by_values(node)
        if arrival is None:
            return None
        arrival.clips = [self._clipped(clip) for clip in clips]
        return arrival

    def _is_difference(self, node: Node) -> bool:
        """Whether a tensor is one output less another: of guidance, what is added to one of them."""
        ours = [(place, mean_of(factor)) for leaf, factor in terms(node) if (place := self._leaf(leaf)) is not None]
        factors = [factor for _, factor in ours]
        outputs = len(ours) > 1 and all(place[0] == "out" for place, _ in ours)
        return outputs and abs(sum(factors)) < 1e-3 * max(map(abs, factors))

    def _clipped(self, clip: Clip) -> dict:
        """A clamp as it is kept; `whole` is whether `terms` are all of what was clamped."""
        inside = [(leaf, self._leaf(leaf), mean_of(factor)) for leaf, factor in terms(clip.of)]
        return {
            "low": clip.low,
            "high": clip.high,
            "share": clip.share,
            "factor": 1.0 if clip.factor is None else mean_of(clip.factor),
            "terms": [[*place, factor] for _, place, factor in inside if place is not None],
            "whole": all(place is not None for _, place, _ in inside),
            "noise": any(leaf.pure for leaf, _, _ in inside),
        }

    def _leaf(self, leaf: Node) -> tuple[str, int, int] | None:
        """(kind, call, part) of a leaf that is a state or an output of this walk."""
        if leaf.op == "state" and id(leaf) in self._states and self._states[id(leaf)][0] is self.walk:
            return "x", self._states[id(leaf)][1], 0
        if leaf.op == "output" and isinstance(leaf.call, tuple) and leaf.call[0] is self.walk:
            return "out", leaf.call[1], 0
        if (
            leaf.op == "part"
            and (base := strip(leaf.args[0])).op == "output"
            and isinstance(base.call, tuple)
            and (base.call[0] is self.walk)
        ):
            first = rows_of(leaf.value) == rows_of(base.value) or bool(
                (leaf.value == base.value[: rows_of(leaf.value)]).all()
            )
            return "out", base.call[1], 0 if first else 1
        return None

    def _by_values(self, node: Node) -> Arrival | None:
        """Where the arithmetic is out of sight: least squares of the values on what may have gone into them."""
        state, output, out = self._nodes[-1]
        if node.value is None or state.value is None or state.value.shape != node.value.shape:
            return None
        k = len(self.walk.calls) - 1
        few = slice(None, ROWS)
        y, x = (array(n.value[few]) for n in (node, state))
        parts = (
            [out]
            if out.shape[0] == len(state.value)
            else list(out.chunk(2))
            if len(out) == 2 * len(state.value)
            else []
        )
        parts = [p[:, : x.shape[1]] if p.ndim > 1 and p.shape[1] == 2 * x.shape[1] else p for p in parts]
        base = [("x", k, x)] + [("out", k, array(p[few])) for p in parts if p[few].shape == x.shape]
        best = least_squares(y, x, base)
        for draw in self.tape.draws[::-1] + self._drawn_before[::-1]:
            if draw.value is not None and draw.value.shape == node.value.shape and best.left > 1e-4:
                tried = least_squares(y, x, [*base, ("z", 0, array(draw.value[few]))])
                if tried.left < 0.5 * best.left:
                    best = tried
                    best.draws = [moments(array(draw.value)) | about_draw(draw) | {"key": key_of(draw.value)}]
        if best.left > 1e-3 and len(self._nodes) > 1:  # a rule that remembers
            more = list(base)
            for back, (_, _, older_out) in enumerate(self._nodes[-2::-1], 1):
                if older_out[few].shape == x.shape and k - back >= 0:
                    more.append(("out", k - back, array(older_out[few])))
            tried = least_squares(y, x, more)
            best = tried if tried.left < 0.1 * best.left else best
        for part, term in enumerate(t for t in best.terms if t.kind == "out" and t.call == k):
            term.part = part
        return best if best.left < 2 else None

    def end(self) -> None:
        """The loop is over: what was made of the last output since are the ways its last step may have gone."""
        walk, self.walk = self.walk, None
        if walk is None:
            return
        if len(walk.calls) > 0 and self._nodes:
            self.walk = walk
            state = self._nodes[-1][0]
            self._alive = self.tape.alive()
            for node in self.tape.derived:
                if (
                    node.value is not None
                    and node.value.shape == state.value.shape
                    and node.op not in ("output", "part")
                ):
                    self.tape._guarded(self._take_end, walk, node)
            self.walk = None
            walk.ends = walk.ends[-12:]
        if len(walk.calls) < 2 and walk in self.run.walks and len(self.run.walks) > 1:
            self.run.walks.remove(walk)
        self._states.clear(), self._last.clear()
        self._nodes = []

    def _take_end(self, walk: Walk, node: Node) -> None:
        found = terms(node)
        if all(self._leaf(leaf) is not None or leaf.pure or modulated(leaf) is not None for leaf, _ in found):
            arrival = self._arrival(node, node.value)
            if arrival is not None:
                arrival.alive = self._alive.get(id(node), 0)
                walk.ends.append(arrival)
                walk.final = rows(array(node.value))
                walk.facts["final"] = moments(array(node.value))
        elif node.op == "opaque" and not walk.ends:
            walk.final = rows(array(node.value))

    def _start_of(self, node: Node, x: Tensor) -> dict:
        at = strip(node)
        while at.op in ("product", "quotient", "sum"):
            opened = [part for part, _ in open_up(at) or () if bool(part.value.any())]
            if len(opened) != 1 or not opened[0].pure:
                break
            at = strip(opened[0])
        return moments(array(node.value)) | {"law": at.law if at.op in DRAWS else "", "op": at.op}

    def _keep(self, walk: Walk) -> None:
        self.run.walks.append(walk)
        if len(self.run.walks) > WALKS:
            gone = self.run.walks.pop(1)
            self._bytes -= sum(c.x.nbytes + c.out.nbytes for c in gone.calls if c.x is not None)
        self._begins()
        walk.facts["weights"] = self.run.facts.get("weights", {}).get("walk")

    def _thin(self) -> None:
        """Beyond the budget: of every second step the values go; its numbers stay."""
        for walk in self.run.walks:
            held = [c for c in walk.calls[1:-1] if c.x is not None]
            for call in held[::2]:
                self._bytes -= call.x.nbytes + call.out.nbytes
                call.x = call.out = None


def _constant_node(number) -> Node | float:
    return number if isinstance(number, float) else Node(-1, "given", (), number)

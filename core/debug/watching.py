"""`with watch(net) as run:` around anybody's training and sampling: nothing else is changed.

A forward hook gives every call of the network; the tape gives the arithmetic between the calls. What a call's input was
made of tells what it is: of data and a draw, a training call; of the output of an earlier call, a step of a walk.
"""

from __future__ import annotations

import functools
import gc
import inspect
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .record import (
    ROWS,
    TRAIN_ROWS,
    WALKS,
    Arrival,
    Call,
    Run,
    Term,
    Train,
    Walk,
    array,
    least_squares,
    moments,
    rows,
    two_factors,
)
from .tape import DRAWS, Clip, Node, Tape, divisor, open_up, rows_of, strip, terms

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
#: Calls that are watched in full before the gaps grow; then one in n/GAP.
FIRST, GAP = 96, 32
#: Bytes of states and outputs that a record may hold.
BUDGET = 64 << 20


class Hook:
    """A hook that survives its module being copied or pickled: a copy is watched too, a pickle knows nothing of it."""

    def __init__(self, do):
        self.do, self.copied = do, False

    def __call__(self, *args, **kwargs):
        return self.do(*args, **kwargs)

    def __deepcopy__(self, memo):
        self.copied = True
        return self

    def __reduce__(self):
        return _nothing, ()


def _nothing():
    return _do_nothing


def _do_nothing(*args, **kwargs):
    return None


def watch(*networks: Any) -> Watch:
    """Watch networks, diffusers pipelines or schedulers while a block runs.

        with watch(net, ema_net) as run:
            train(net)
            samples = sample(ema_net)
        report = run.diagnose()

    It can be entered again and collects further; `watch(net)(function)` wraps a function. TypeError for anything that
    is no module, pipeline or scheduler.
    """
    return Watch(*networks)


class Watch:
    """What `watch` gives: a context manager, and a decorator; `run` is the record."""

    def __init__(self, *networks: Any):
        if not networks:
            raise TypeError("watch what? Give the network that the loop calls: with watch(net) as run: …")
        self.run = Run()
        self.run._ask = self._probe
        self.tape = Tape()
        self.modules: list[nn.Module] = []
        self.schedulers: list[Any] = []
        for network in networks:
            self._take(network)
        self._handles: list = []
        self._depth = self._entered = 0
        self._thread: int | None = None
        self._walk: Walk | None = None
        self._last: dict[int, Node] = {}
        self._states: dict[int, tuple[Walk, int]] = {}
        self._nodes: list[tuple[Node, Node, Tensor]] = []
        self._training: tuple[Train, Node, Node | None, Node | None, Node] | None = None
        self._next, self._n, self._stepped, self._backward = 1, 0, 0, 0
        self._bytes = 0
        self._probes: list[tuple] = []
        self._maybe: tuple | None = None
        self._start: dict[int, np.ndarray] = {}

    def _take(self, network: Any) -> None:
        if isinstance(network, nn.Module):
            self.modules.append(_denoiser_in(network))
            self.run.networks.append(_describe(self.modules[-1]))
        elif hasattr(network, "components") and hasattr(network, "scheduler"):  # a pipeline of diffusers
            for name in ("unet", "transformer", "prior"):
                if isinstance(network.components.get(name), nn.Module):
                    self._take(network.components[name])
            self.schedulers.append(network.scheduler)
        elif callable(getattr(network, "step", None)) and hasattr(network, "timesteps"):
            self.schedulers.append(network)
        else:
            raise TypeError(
                f"cannot watch a {type(network).__name__}; give a torch.nn.Module, a diffusers pipeline or "
                "scheduler, or feed a Run by hand: run.train(…), run.step(…)"
            )

    # --- on and off ---------------------------------------------------------------------------------------------
    def __enter__(self) -> Run:
        self._entered += 1
        if self._entered > 1:  # again inside itself: one record, one set of hooks
            return self.run
        self._thread = threading.get_ident()
        self._depth, self._closed = 0, False
        self._before, self._after = Hook(self._entering), Hook(self._leaving)
        try:
            for module in self.modules:
                self._handles.append(module.register_forward_pre_hook(self._before, with_kwargs=True))
                self._handles.append(module.register_forward_hook(self._after, with_kwargs=True, always_call=True))
                self._start.setdefault(id(module), _sample_of(module))
            self._handles.append(register_optimizer_step_pre_hook(self._optimizer_begins))
            self._handles.append(register_optimizer_step_post_hook(self._optimizer_ends))
            for scheduler in self.schedulers:
                scheduler.step = self._watched_step(scheduler, scheduler.step)
            self.tape.skip = {p.data_ptr() for module in self.modules for p in module.parameters()}
            self.tape.on_difference = self._compared
            self.tape.push()
        except BaseException:
            self._release()
            self._entered -= 1
            raise
        return self.run

    def __exit__(self, *error) -> None:
        self._entered -= 1
        if self._entered:
            return
        try:
            self.tape.pop()
            self._end_walk()
            self._weights_now("end")
            self.run.facts["faults"] = self.tape.faults[:5]
        finally:
            self._release()

    def __call__(self, function):
        @functools.wraps(function)
        def watched(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return watched

    def _release(self) -> None:
        self._closed = True
        self.tape.pop()
        self.tape.on_difference = None
        self.tape.nodes.clear()
        self.tape.draws, self.tape.derived, self._nodes, self._training = [], [], [], None
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for scheduler in self.schedulers:
            scheduler.__dict__.pop("step", None)
        for hook in (self._before, self._after):
            if hook.copied:  # a copy of the network carries the hook too
                for holder in gc.get_referrers(hook):
                    if isinstance(holder, OrderedDict):
                        for key in [k for k, v in holder.items() if v is hook]:
                            del holder[key]

    # --- hooks --------------------------------------------------------------------------------------------------
    def _here(self) -> bool:
        if self._closed:
            return False
        if threading.get_ident() != self._thread:
            self.run.facts["other_threads"] = self.run.facts.get("other_threads", 0) + 1
            return False
        return True

    def _entering(self, module, args, kwargs):
        if self._here():
            self._depth += 1
            if self._depth == 1:
                self.tape.pop()  # inside a network nothing is changed, not even which kernels are chosen

    def _leaving(self, module, args, kwargs, output):
        if not self._here() or self._depth == 0:
            return
        self._depth -= 1
        if self._depth:
            return
        try:
            if output is not None:
                self.tape._guarded(self._called, module, args, kwargs, output)
        finally:
            self.tape.push()

    def _optimizer_begins(self, optimizer, args, kwargs):
        if self._here():
            self.tape.pop()

    def _optimizer_ends(self, optimizer, args, kwargs):
        if self._here():
            self._stepped += 1
            self.tape.push()

    def _watched_step(self, scheduler, step):
        @functools.wraps(step)
        def watched(model_output, timestep, sample, *args, **kwargs):
            if self._here():
                self.tape._guarded(self._scheduler_asked, scheduler, model_output, timestep, sample)
            return step(model_output, timestep, sample, *args, **kwargs)

        return watched

    def _scheduler_asked(self, scheduler, output, t, x) -> None:
        config = getattr(scheduler, "config", {})
        said = {k: config.get(k) for k in ("num_train_timesteps", "beta_schedule", "prediction_type") if k in config}
        self.run.facts.setdefault("scheduler", {"name": type(scheduler).__name__} | said)
        with self.tape.asleep():
            node = self.tape.known(output)
            if node is None or not node.about:  # no network is watched that said this
                self._called_with(None, self.tape.node(x), x, torch.as_tensor(t), output, {})

    # --- one call -----------------------------------------------------------------------------------------------
    def _index(self, module) -> int:
        for k, known in enumerate(self.modules):
            if known is module:
                return k
        self.modules.append(module)  # a copy that was made inside the block
        self.run.networks.append(_describe(module) | {"copy": True})
        self.tape.skip |= {p.data_ptr() for p in module.parameters()}
        return len(self.modules) - 1

    def _called(self, module, args, kwargs, output) -> None:
        out = _tensor_in(output)
        found = None if out is None else _read(self.tape, module, args, kwargs, out)
        if found is None:
            self._unseen(f"a call of {type(module).__name__} with arguments that are no noisy state and time")
            return
        node, x, t, others = found
        self._called_with(module, node, x, t, out, others)
        self._remember(module, args, kwargs, x, t)

    def _remember(self, module, args, kwargs, x, t) -> None:
        """A few inputs of every network, to ask it about later."""
        index = self._index(module)
        if sum(1 for k, *_ in self._probes if k == index) < 2 and x.numel() < 1 << 20:
            keep = functools.partial(_kept, x=x, t=t)
            self._probes.append((index, [keep(a) for a in args], {k: keep(a) for k, a in kwargs.items()}))

    def _unseen(self, what: str) -> None:
        if what not in self.run.facts["unseen"] and len(self.run.facts["unseen"]) < 20:
            self.run.facts["unseen"].append(what)

    def _called_with(self, module, node: Node, x: Tensor, t: Tensor | None, out: Tensor, others: dict) -> None:
        index = 0 if module is None else self._index(module)
        gradient = torch.is_grad_enabled() and out.requires_grad
        if not self.tape.awake:
            if gradient:
                self._count_training()
                return
            self.tape.awake = True  # a walk begins
        first, self._maybe = self._maybe, None
        if first is not None and self._comes_from(node, first[-1]):  # that was the first call of a walk, not a training
            self.run.trains.remove(first[0])
            self._walk_call(*first[1:-1], made=False)
        made = self._made_of_calls(node)
        noised = None if made else self._noised(node, t)
        crooked = noised is None and not made and any(divisor(leaf) is not None for leaf, _ in terms(node))
        if noised is not None or crooked or (not made and gradient and self._walk_is_over(x)):
            self._end_walk()
            self._train_call(index, module, node, x, t, out, gradient, noised, others)
            if crooked and self.run.trains:
                self.run.trains[-1].facts["crooked"] = True
            if gradient:
                self._count_training()
        else:
            self._walk_call(index, module, node, x, t, out, gradient, others, made)

    def _comes_from(self, node: Node, output: Node) -> bool:
        """Whether an input is made of that output."""
        inner = node.args[0] if node.op in ("cat", "repeat") and node.args and isinstance(node.args[0], Node) else node
        return any(
            leaf is output or leaf.op == "part" and strip(leaf.args[0]) is output or leaf.about
            for leaf, _ in terms(inner)
        )

    def _walk_is_over(self, x: Tensor) -> bool:
        """With gradients on, and an input that is neither noised data nor made of outputs: a start, if it is a draw."""
        node = strip(self.tape.node(x))
        return not node.pure

    def _count_training(self) -> None:
        self._n += 1
        self.run.facts["training_calls"] = self._n
        if self._n >= self._next:
            self._next = self._n + (1 if self._n < FIRST else max(1, self._n // GAP))
        self.tape.awake = self._n + 1 >= self._next

    # --- training -----------------------------------------------------------------------------------------------
    def _noised(self, node: Node, t: Tensor | None):
        """(x0, noise, alpha, sigma) of an input that is a sum of data and a draw; None if it is none."""
        same_t = t is None or t.numel() == 1 or bool((t == t.reshape(-1)[0]).all())
        parts = [(node, torch.ones(rows_of(node.value), dtype=torch.float64))]
        while len(parts) == 1:
            inner, factor = parts[0]
            opened = None if inner.op in ("output", "state") or inner.op in DRAWS else open_up(inner)
            if not opened:
                return None
            parts = [(n, factor * f if len(factor) == len(f) else f) for n, f in opened]
        parts = [_bare(*_spread(n, f, node), same_t) for n, f in parts]
        drawn = [p for p in parts if p[0].pure]
        if not drawn:
            drawn = [max(parts, key=lambda p: _normality(p[0].value))]
            if _normality(drawn[0][0].value) < 0.5:
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

    def _train_call(self, index, module, node, x, t, out, gradient, noised, others) -> None:
        B = rows_of(x)
        keep = slice(None, TRAIN_ROWS)
        times = np.full(B, np.nan) if t is None else np.broadcast_to(array(t.double()).reshape(-1), (B,)).copy()
        facts: dict[str, Any] = {
            "index": self._n,
            "network": index,
            "gradient": gradient,
            "training": bool(module is None or module.training),
            "shape": list(x.shape),
            "output_shape": list(out.shape),
            "finite": bool(torch.isfinite(out).all()),
            "input_finite": bool(torch.isfinite(x).all()),
            "dtype": str(x.dtype)[6:],
            "t_dtype": "" if t is None else str(t.dtype)[6:],
            "stepped": self._stepped,
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
            facts["x0"], facts["noise"] = moments(array(x0.value)), moments(array(eps.value)) | _about_draw(eps)
            facts["noise"]["key"] = _key(eps.value)
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
        else:
            self._maybe = (call, index, module, node, x, t, out, gradient, others, output)
        self._training = (call, node, x0, eps, output)
        self.run.trains.append(call)
        if gradient and out.requires_grad:
            out.register_hook(functools.partial(self._gradient, call, output, module))

    def _compared(self, kind: str, said: Node, other: Node | None) -> None:
        """The output is held against something, or a norm is taken of their difference."""
        if self._training is None or self._training[0].facts.get("loss"):
            return
        call, state, x0, eps, output = self._training
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
                u = u + factor * torch.as_tensor(_full(call.alpha, B))
                v = v + factor * torch.as_tensor(_full(call.sigma, B))
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
        if self._closed or "slope" in facts:
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
                if held is not None and self._stepped > self._backward:
                    facts["left_gradient"] = float(held.detach().abs().max())
                self._backward = self._stepped

    # --- walks --------------------------------------------------------------------------------------------------
    def _made_of_calls(self, node: Node) -> bool:
        """Whether an input is the state of the walk again, or made of what the network said in it."""
        if self._walk is None:
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

    def _walk_call(self, index, module, node, x, t, out, gradient, others, made) -> None:
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
        walk, arrival = self._walk, None
        if walk is not None and (made or self._fits(x, node)):
            arrival = self._arrival(node, x if doubled == 1 else x[: len(x) // 2])
        if arrival is None:
            self._end_walk()
            if not strip(node).pure:
                self._link_to_draw(node)
            walk = self._walk = Walk(facts={"network": index, "start": self._start_of(node, x)})
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
        self._training = None

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
                ours = [n for n, _ in terms(below) if self._leaf(n) is not None]
                crooked = (
                    "z"
                    if below.pure
                    else "outputs"
                    if len({id(n) for n in ours}) > 1 and all(self._leaf(n)[0] == "out" for n in ours)
                    else "x"
                )
            if place is not None and len(factor) > 1 and float(factor.std()) > 1e-4 * float(factor.abs().max()):
                known = False  # a factor that differs by row cannot be one of a rule
            if place is None and (modulated := _modulated(leaf)) is not None:
                draw, rms = modulated
                draws.append(moments(array(draw.value)) | _about_draw(draw) | {"modulated": True})
                found.append(Term("z", len(draws) - 1, 0, rms * _mean(factor)))
            elif place is None and leaf.pure:
                draws.append(moments(array(leaf.value)) | _about_draw(leaf) | {"key": _key(leaf.value)})
                found.append(Term("z", len(draws) - 1, 0, _mean(factor)))
            elif place is None and leaf.numel == 1 and not leaf.about:
                found.append(Term("1", 0, 0, float(leaf.value) * _mean(factor)))
            elif place is None:
                known = False
            else:
                found.append(Term(*place, _mean(factor)))
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

    def _clipped(self, clip: Clip) -> dict:
        """A clamp as it is kept; `whole` is whether `terms` are all of what was clamped."""
        inside = [(leaf, self._leaf(leaf), _mean(factor)) for leaf, factor in terms(clip.of)]
        return {
            "low": clip.low,
            "high": clip.high,
            "share": clip.share,
            "factor": 1.0 if clip.factor is None else _mean(clip.factor),
            "terms": [[*place, factor] for _, place, factor in inside if place is not None],
            "whole": all(place is not None for _, place, _ in inside),
            "noise": any(leaf.pure for leaf, _, _ in inside),
        }

    def _leaf(self, leaf: Node) -> tuple[str, int, int] | None:
        """(kind, call, part) of a leaf that is a state or an output of this walk."""
        if leaf.op == "state" and id(leaf) in self._states and self._states[id(leaf)][0] is self._walk:
            return "x", self._states[id(leaf)][1], 0
        if leaf.op == "output" and isinstance(leaf.call, tuple) and leaf.call[0] is self._walk:
            return "out", leaf.call[1], 0
        if (
            leaf.op == "part"
            and (base := strip(leaf.args[0])).op == "output"
            and isinstance(base.call, tuple)
            and (base.call[0] is self._walk)
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
        k = len(self._walk.calls) - 1
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
                    best.draws = [moments(array(draw.value)) | _about_draw(draw) | {"key": _key(draw.value)}]
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

    def _end_walk(self) -> None:
        """The loop is over: what was made of the last output since are the ways its last step may have gone."""
        walk, self._walk = self._walk, None
        if walk is None:
            return
        if len(walk.calls) > 0 and self._nodes:
            self._walk = walk
            state = self._nodes[-1][0]
            self._alive = self.tape.alive()
            for node in self.tape.derived:
                if (
                    node.value is not None
                    and node.value.shape == state.value.shape
                    and node.op not in ("output", "part")
                ):
                    self.tape._guarded(self._take_end, walk, node)
            self._walk = None
            walk.ends = walk.ends[-12:]
        if len(walk.calls) < 2 and walk in self.run.walks and len(self.run.walks) > 1:
            self.run.walks.remove(walk)
        self._states.clear(), self._last.clear()
        self._nodes = []

    def _take_end(self, walk: Walk, node: Node) -> None:
        found = terms(node)
        if all(self._leaf(leaf) is not None or leaf.pure or _modulated(leaf) is not None for leaf, _ in found):
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
        self._weights_now("walk")
        walk.facts["weights"] = self.run.facts.get("weights", {}).get("walk")

    def _thin(self) -> None:
        """Beyond the budget: of every second step the values go; its numbers stay."""
        for walk in self.run.walks:
            held = [c for c in walk.calls[1:-1] if c.x is not None]
            for call in held[::2]:
                self._bytes -= call.x.nbytes + call.out.nbytes
                call.x = call.out = None

    # --- weights and probes -------------------------------------------------------------------------------------
    def _weights_now(self, when: str) -> None:
        """How far each network's weights are from where they began, and from each other's (a sample of them)."""
        now = [_sample_of(m) for m in self.modules]
        moved = [float(np.linalg.norm(w - self._start.get(id(m), w))) for m, w in zip(self.modules, now)]
        gaps = [[float(np.linalg.norm(a - b)) if a.shape == b.shape else None for b in now] for a in now]
        norms = [float(np.linalg.norm(w)) for w in now]
        finite = [bool(np.isfinite(w).all()) for w in now]
        self.run.facts.setdefault("weights", {})[when] = {
            "moved": moved,
            "gaps": gaps,
            "norms": norms,
            "finite": finite,
        }

    def _probe(self) -> None:
        from .probe import probe, swapped

        self.run.facts["probes"] = probe(self.modules, self._probes)
        self.run.swapped = swapped(self.run, self.modules, self._probes)


# --- small helpers ------------------------------------------------------------------------------------------
def _constant_node(number) -> Node | float:
    return number if isinstance(number, float) else Node(-1, "given", (), number)


def _full(values: np.ndarray, B: int) -> np.ndarray:
    return np.pad(values, (0, B - len(values)), constant_values=np.nan) if len(values) < B else values


def _mean(factor: Tensor) -> float:
    return float(factor.double().mean())


def _key(value: Tensor) -> str:
    return str(hash(tuple(value.detach().reshape(-1)[:8].double().tolist())))


def _about_draw(node: Node) -> dict:
    at = strip(node)
    return {"law": at.law if at.op in DRAWS else "made of draws", "serial": at.serial}


def _modulated(leaf: Node) -> tuple[Node, float] | None:
    """A draw times a tensor of its own shape (a std that the network learned): the draw, and the factor's size."""
    if leaf.op == "product" and len(leaf.args) == 2 and all(isinstance(a, Node) for a in leaf.args):
        a, b = map(strip, leaf.args)
        draw, other = (a, b) if a.pure else (b, a)
        if draw.pure and other.value is not None and not other.pure:
            return draw, float(other.value.double().pow(2).mean().sqrt())
    return None


def _bare(node: Node, factor: Tensor, scalars: bool) -> tuple[Node, Tensor]:
    """What a term is a multiple of, and of which factor. Numbers alike in all rows are the data's own scale: they stay,
    unless all rows have one time."""
    once = False
    while node.op in ("product", "quotient", "neg", "negative", "same"):
        opened = open_up(node)
        if not opened or len(opened) != 1 or len(opened[0][1]) != len(factor):
            break
        inner, f = opened[0]
        alike = bool((f == f[0]).all())
        if node.op not in ("same", "neg", "negative") and alike and not inner.pure and (not scalars or once):
            break
        once = once or node.op in ("product", "quotient")
        node, factor = inner, factor * f
    return node, factor


def _spread(node: Node, factor: Tensor, like: Node) -> tuple[Node, Tensor]:
    """A draw that all rows share, as what it is added to them as."""
    if node.numel == like.numel or not node.pure:
        return node, factor
    inner = _bare(node, factor, True)
    value = inner[0].value.expand(like.value.shape)
    B = rows_of(like.value)
    shared = Node(inner[0].serial, inner[0].op, (), value, value._version, law=inner[0].law, pure=True)
    return shared, inner[1].mean().expand(B)


def _normality(value: Tensor) -> float:
    """1 for what looks standard normal, falling to 0: used only where nobody saw the noise being drawn."""
    m = moments(array(value))
    if not m["count"] or not m["finite"]:
        return 0.0
    width = 4 / max(m["count"], 1) ** 0.5
    off = max(abs(m["mean"]) / width, abs(m["std"] - 1) / width, abs(m["kurtosis"]) / (5 * width))
    return float(np.exp(-off / 2))


def _sample_of(module: nn.Module) -> np.ndarray:
    parts = [p.detach().reshape(-1)[:64].float().cpu() for p in module.parameters()]
    return torch.cat(parts).numpy().astype(np.float64) if parts else np.zeros(0)


def _describe(module: nn.Module) -> dict[str, Any]:
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


def _denoiser_in(module: nn.Module) -> nn.Module:
    """The network itself, or the one that it wraps if it takes no time and a part of it does."""
    if _takes_time(module) or type(module).__name__ in ("DataParallel", "DistributedDataParallel", "OptimizedModule"):
        return module
    try:
        names = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        names = []
    inner = [child for child in module.children() if _takes_time(child) and any(True for _ in child.parameters())]
    return inner[0] if len(inner) == 1 and len(names) < 2 else module


def _tensor_in(output: Any) -> Tensor | None:
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


def _read(
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


def _kept(value: Any, x: Tensor, t: Tensor | None) -> tuple[str, Any]:
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

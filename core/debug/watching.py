"""`with watch(net) as run:` around anybody's training and sampling: nothing else is changed.

A forward hook gives every call of the network; the tape gives the arithmetic between the calls. What a call's input was
made of tells what it is: of data and a draw, a training call; of the output of an earlier call, a step of a walk.
"""

from __future__ import annotations

import functools
import gc
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .calls import denoiser_in, describe, kept, read_call, tensor_in
from .hooks import Hook
from .record import (
    Run,
)
from .sums import divisor, strip, terms
from .tape import Node, Tape
from .trainings import Trainings
from .walks import Walks


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
        self.trainings = Trainings(self.run, self.tape)
        self.walks = Walks(self.run, self.tape, lambda: self._weights_now("walk"))
        self._probes: list[tuple] = []
        self._maybe: tuple | None = None
        self._start: dict[int, np.ndarray] = {}

    def _take(self, network: Any) -> None:
        if isinstance(network, nn.Module):
            self.modules.append(denoiser_in(network))
            self.run.networks.append(describe(self.modules[-1]))
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

    def __enter__(self) -> Run:
        self._entered += 1
        if self._entered > 1:  # again inside itself: one record, one set of hooks
            return self.run
        self._thread = threading.get_ident()
        self._depth, self.trainings.closed = 0, False
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
            self.tape.on_difference = self.trainings.compared
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
            self.walks.end()
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
        self.trainings.closed = True
        self.tape.pop()
        self.tape.on_difference = None
        self.tape.nodes.clear()
        self.tape.draws, self.tape.derived = [], []
        self.trainings.forget()
        self.walks.forget()
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

    def _here(self) -> bool:
        if self.trainings.closed:
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
            self.trainings.stepped += 1
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

    def _index(self, module) -> int:
        for k, known in enumerate(self.modules):
            if known is module:
                return k
        self.modules.append(module)  # a copy that was made inside the block
        self.run.networks.append(describe(module) | {"copy": True})
        self.tape.skip |= {p.data_ptr() for p in module.parameters()}
        return len(self.modules) - 1

    def _called(self, module, args, kwargs, output) -> None:
        out = tensor_in(output)
        found = None if out is None else read_call(self.tape, module, args, kwargs, out)
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
            keep = functools.partial(kept, x=x, t=t)
            self._probes.append((index, [keep(a) for a in args], {k: keep(a) for k, a in kwargs.items()}))

    def _unseen(self, what: str) -> None:
        if what not in self.run.facts["unseen"] and len(self.run.facts["unseen"]) < 20:
            self.run.facts["unseen"].append(what)

    def _called_with(self, module, node: Node, x: Tensor, t: Tensor | None, out: Tensor, others: dict) -> None:
        index = 0 if module is None else self._index(module)
        gradient = torch.is_grad_enabled() and out.requires_grad
        if not self.tape.awake:
            if gradient:
                self.trainings.counted()
                return
            self.tape.awake = True  # a walk begins
        first, self._maybe = self._maybe, None
        if first is not None and self._comes_from(node, first[-1]):  # that was the first call of a walk, not a training
            self.run.trains.remove(first[0])
            self._add_to_walk(*first[1:-1], made=False)
        made = self.walks.goes_on(node)
        noised = None if made else self.trainings.noised(node, t)
        crooked = noised is None and not made and any(divisor(leaf) is not None for leaf, _ in terms(node))
        if noised is not None or crooked or (not made and gradient and self._walk_is_over(x)):
            self.walks.end()
            call, output = self.trainings.add(index, module, node, x, t, out, gradient, noised, others)
            if crooked:
                call.facts["crooked"] = True
            if gradient:
                self.trainings.counted()
            else:
                self._maybe = (call, index, module, node, x, t, out, gradient, others, output)
        else:
            self._add_to_walk(index, module, node, x, t, out, gradient, others, made)

    def _add_to_walk(self, *call, **more) -> None:
        self.walks.add(*call, **more)
        self.trainings.forget()

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


def _sample_of(module: nn.Module) -> np.ndarray:
    parts = [p.detach().reshape(-1)[:64].float().cpu() for p in module.parameters()]
    return torch.cat(parts).numpy().astype(np.float64) if parts else np.zeros(0)

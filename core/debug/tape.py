"""The tape: what arithmetic made a tensor, seen from outside while somebody else's code runs.

A `TorchFunctionMode` sees every torch function that is called between the networks. Each result gets a `Node`: the
operation and the nodes it was made of; `sums` reads off a node what it is a sum of. Nothing is computed twice and
nothing changed.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode

from .operations import DRAWS, KINDS, LOSSES, NORMS, PARTS, SILENT


def version_of(value: Tensor) -> int:
    """How often a tensor was changed in place; those of inference mode do not count."""
    return 0 if value.is_inference() else value._version


@dataclass(eq=False, slots=True)
class Node:
    """One tensor of the watched code: the operation that made it, of which nodes and numbers, and its values."""

    serial: int
    op: str
    args: tuple = ()
    value: Tensor | None = None  #: the same storage, without gradient
    version: int = 0
    options: dict = field(default_factory=dict)
    law: str = ""  #: of a draw
    about: bool = False  #: made of a network's output
    pure: bool = False  #: made of draws alone
    call: object = None  #: the call this is the input or the output of

    @property
    def fresh(self) -> bool:
        """Whether the values are still those of the moment it was made."""
        return self.value is not None and version_of(self.value) == self.version

    @property
    def numel(self) -> int:
        return 0 if self.value is None else self.value.numel()


class Tape(TorchFunctionMode):
    """Notes what happens while it is awake. Errors of its own are counted and never reach the code that is watched."""

    def __init__(self):
        super().__init__()
        self.awake = True
        self.faults: list[str] = []
        self.serial = count()
        self.nodes: dict[int, tuple[weakref.ref, Node]] = {}
        self.skip: set[int] = set()  #: storages of weights
        self.draws: list[Node] = []  #: lately drawn, oldest first
        self.derived: list[Node] = []  #: made of a network's output since its last call, oldest first
        self.on_difference: Callable[[str, Node, Node | None], None] | None = None
        self._written: dict[tuple[int, object], Node] = {}

    # --- on and off ---------------------------------------------------------------------------------------------
    @property
    def on(self) -> bool:
        return any(mode is self for mode in _get_current_function_mode_stack())

    def push(self) -> None:
        if not self.on:
            _push_mode(self)

    def pop(self) -> None:
        """Leave the stack of modes wherever in it this one is; those above it stay."""
        if not self.on:
            return
        above = []
        while (mode := _pop_mode()) is not self:
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """Not to see what the watching itself computes."""
        was = self.on
        self.pop()
        try:
            yield
        finally:
            if was:
                self.push()

    # --- what is called -----------------------------------------------------------------------------------------
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "_set_grad_enabled" and args and args[0] is False:
            self.awake = True  # a walk may begin
        if name in SILENT and name != "__setitem__" or not (self.awake or name in DRAWS):
            return func(*args, **kwargs)
        before = None
        if name.endswith("_") and (not name.endswith("__") or name.startswith("__i")) or name.startswith("__i"):
            before = self._guarded(self._keep_old, args)
        result = func(*args, **kwargs)
        self._guarded(self._note, name, args, kwargs, result, before)
        return result

    def _guarded(self, work, *args):
        try:
            return work(*args)
        except Exception as error:  # whatever is wrong here is ours, and the watched code must not suffer from it
            if len(self.faults) < 20:
                self.faults.append(f"{work.__name__}{args[:1]}: {error!r}")
            return None

    # --- nodes --------------------------------------------------------------------------------------------------
    def known(self, tensor: object) -> Node | None:
        """The node of a tensor, if it has one."""
        ref, node = self.nodes.get(id(tensor), (None, None))
        return node if ref is not None and ref() is tensor else None

    def node(self, tensor: Tensor) -> Node:
        """The node of a tensor; one that nobody has seen being made is given."""
        return self.known(tensor) or self.put(tensor, "given")

    def alive(self) -> dict[int, int]:
        """id of a node → 2 if the program still holds its tensor, 1 if only something that was made of it."""
        held = [node for ref, node in self.nodes.values() if ref() is not None]
        found, todo = {id(node): 2 for node in held}, [a for node in held for a in node.args]
        while todo:
            node = todo.pop()
            if isinstance(node, Node) and id(node) not in found:
                found[id(node)] = 1
                todo += node.args
        return found

    def put(self, tensor: Tensor, op: str, args: tuple = (), **more) -> Node:
        parents = [a for a in args if isinstance(a, Node)]
        value = tensor.detach()
        about = any(p.about for p in parents)
        pure = bool(parents) and all(p.pure for p in parents if p.numel > 1) and any(p.pure for p in parents)
        node = Node(next(self.serial), op, args, value, version_of(value), **{"about": about, "pure": pure} | more)
        key, nodes = id(tensor), self.nodes

        def forget(ref, key=key, nodes=nodes):
            if nodes.get(key, (None,))[0] is ref:
                del nodes[key]

        self.nodes[key] = (weakref.ref(tensor, forget), node)
        if node.op in DRAWS:
            self.draws = [*self.draws[-15:], node]
        if node.about:
            self.derived = [*self.derived[-95:], node]
        return node

    def _keep_old(self, args) -> Node | None:
        """Before a tensor is changed in place: its node gets a copy of the values that it had."""
        target = args[0] if args else None
        if not isinstance(target, Tensor) or not self._counts(target):
            return None
        node = self.node(target)
        if node.fresh:
            node.value = node.value.clone()
            node.version = version_of(node.value)
        return node

    def _counts(self, tensor: Tensor) -> bool:
        return (
            not isinstance(tensor, torch.nn.Parameter)
            and tensor.layout == torch.strided
            and (not self.skip or tensor.data_ptr() not in self.skip)
        )

    def _note(self, name: str, args: tuple, kwargs: dict, result, before: Node | None) -> None:
        if name in DRAWS:
            if isinstance(result, Tensor) and self._counts(result):
                if name == "normal" and args and isinstance(args[0], Tensor) and args[0].numel() == result.numel() > 1:
                    self._drawn_about(args, kwargs, result)
                    return
                plain = not any(isinstance(a, Tensor) and a.numel() > 1 for a in args) or name.endswith(("_like", "_"))
                law = DRAWS[name] if plain else f"{DRAWS[name]} of given"
                self.put(result, name, law=law, pure=True, about=False)
            return
        if name in LOSSES or name in NORMS:
            self._difference(name, args, kwargs)
            if not isinstance(result, Tensor) or result.numel() < 2:
                return
        if name == "__setitem__":
            target, key, value = args
            if isinstance(value, Tensor) and isinstance(key, int) and (node := self.known(value)):
                self._written[id(target), key] = node
            return
        if name in PARTS and isinstance(args[0], Tensor):
            self._parts(name, args, kwargs, result)
            return
        if not isinstance(result, Tensor) or not result.is_floating_point() or not self._counts(result):
            return
        op = next((kind for kind, names in KINDS.items() if name in names), "opaque")
        operands = [*args, *kwargs.values()]
        if op in ("cat", "stack") and args and isinstance(args[0], (tuple, list)):
            operands = list(args[0])
        if op == "other":
            op = name.rstrip("_") if not name.startswith("__") else name
        found = tuple(
            self._operand(a, before if i == 0 and before is not None else None)
            for i, a in enumerate(operands)
            if isinstance(a, (Tensor, int, float))
        )
        if op == "opaque":
            parents = [a for a in found if isinstance(a, Node)]
            if name == "mul" and len(parents) == 2 and parents[0] is parents[1]:
                op = "opaque"
            about, pure = any(p.about for p in parents), bool(parents) and all(p.pure for p in parents)
            self.put(result, "opaque", (), about=about, pure=pure, law=name)
            return
        if op == "product" and len(found) == 2 and found[0] is found[1] and isinstance(found[0], Node):
            self._difference("square", args, kwargs)
        options = {k: v for k, v in kwargs.items() if not isinstance(v, Tensor)} if kwargs else {}
        options["name"] = name
        if op in ("cat", "stack"):
            options["dim"] = kwargs.get("dim", args[1] if len(args) > 1 else 0)
        if op == "sum" and "alpha" in kwargs:
            found = found[:2]
        if op == "clamp":
            options["bounds"] = _bounds(name, args, kwargs)
            found = found[:1]
        if op == "same" and found and isinstance(found[0], Node) and found[0].numel != result.numel():
            op = "opaque"
        self.put(result, op, found, options=options)

    def _drawn_about(self, args: tuple, kwargs: dict, result: Tensor) -> None:
        """`torch.normal(mean, std)` is mean + std·z: the z that was drawn in it is worked out."""
        std = args[1] if len(args) > 1 else kwargs.get("std", 1.0)
        with self.asleep():
            mean = args[0].detach()
            z = (result.detach() - mean) / std
            if not bool(torch.isfinite(z).all()):
                self.put(result, "same", (self.node(args[0]),))
                return
            drawn = self.put(z, "randn", law="normal", pure=True, about=False)
            factors = (drawn, self._operand(std, None))
            scaled = Node(next(self.serial), "product", factors, z * std, options={"name": "mul"}, pure=True)
            self.put(result, "sum", (self.node(args[0]), scaled), options={"name": "add"})

    def _operand(self, value, before: Node | None):
        if before is not None:
            return before
        return self.node(value) if isinstance(value, Tensor) else float(value)

    def _parts(self, name: str, args: tuple, kwargs: dict, result) -> None:
        whole = args[0]
        if (
            name == "__getitem__"
            and len(args) > 1
            and (node := self._written.get((id(whole), args[1])) if isinstance(args[1], int) else None)
        ):
            if isinstance(result, Tensor) and node.value is not None and torch.equal(node.value, result.detach()):
                self.put(result, "same", (node,))
                return
        node = self.known(whole)
        if node is None:
            return
        pieces = [result] if isinstance(result, Tensor) else [r for r in result if isinstance(r, Tensor)]
        for k, piece in enumerate(pieces):
            if not piece.is_floating_point():
                continue
            if piece.numel() == whole.numel():
                self.put(piece, "same", (node,))
            else:
                self.put(piece, "part", (node,), options={"key": (name, k, str(args[1:])[:80], str(kwargs)[:80])})

    def _difference(self, name: str, args: tuple, kwargs: dict) -> None:
        """An output is held against something: a loss of two, or a norm of their difference."""
        if self.on_difference is None:
            return
        if name in LOSSES:
            pair = [*args, *(kwargs[k] for k in ("input", "target") if k in kwargs)][:2]
            nodes = [self.node(a) for a in pair if isinstance(a, Tensor)]
            if len(nodes) == 2 and any(n.about for n in nodes):
                self.on_difference(LOSSES[name], *nodes)
        elif args and isinstance(args[0], Tensor) and (node := self.known(args[0])) is not None and node.about:
            power = args[1] if len(args) > 1 and name in ("pow", "__pow__") else 2
            self.on_difference(NORMS[name] if power == 2 else f"power {power}", node, None)


def _bounds(name: str, args: tuple, kwargs: dict) -> tuple[float | None, float | None]:
    """(low, high) of a clamp; None where there is none, NaN where they are tensors that differ."""

    def number(value):
        if value is None:
            return None
        if isinstance(value, Tensor):
            return float(value.reshape(-1)[0]) if value.numel() == 1 else float("nan")
        return float(value)

    rest = list(args[1:])
    if name.startswith("clamp_min"):
        return number(kwargs.get("min", rest[0] if rest else None)), None
    if name.startswith("clamp_max"):
        return None, number(kwargs.get("max", rest[0] if rest else None))
    low = rest[0] if rest else kwargs.get("min", kwargs.get("min_val", -1.0 if name == "hardtanh" else None))
    high = rest[1] if len(rest) > 1 else kwargs.get("max", kwargs.get("max_val", 1.0 if name == "hardtanh" else None))
    return number(low), number(high)

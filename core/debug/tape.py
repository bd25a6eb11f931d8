"""The tape: what arithmetic made a tensor, seen from outside while somebody else's code runs.

A `TorchFunctionMode` sees every torch function that is called between the networks. Each result gets a `Node`: the
operation and the nodes it was made of. From a node `terms` reads a sum off: `x_t = a·x0 + s·noise` comes back as
[(x0, a), (noise, s)], with the very numbers of the script, one a row. Nothing is computed twice and nothing changed.
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

#: What draws: the function's name → the law of what it gives.
DRAWS = {
    "randn": "normal",
    "randn_like": "normal",
    "normal": "normal",
    "normal_": "normal",
    "rand": "uniform",
    "rand_like": "uniform",
    "uniform_": "uniform",
    "randint": "integers",
    "randint_like": "integers",
    "random_": "integers",
    "randperm": "integers",
    "multinomial": "integers",
    "bernoulli": "bernoulli",
    "bernoulli_": "bernoulli",
    "exponential_": "exponential",
    "log_normal_": "log-normal",
    "cauchy_": "cauchy",
}
#: The same numbers under another name, type or shape.
SAME = {
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "to",
    "float",
    "double",
    "half",
    "bfloat16",
    "type",
    "type_as",
    "clone",
    "detach",
    "detach_",
    "contiguous",
    "cpu",
    "cuda",
    "requires_grad_",
    "view_as",
    "reshape_as",
    "positive",
    "__pos__",
    "alias",
    "nan_to_num",
}
SUMS = {
    "add": 1,
    "add_": 1,
    "__add__": 1,
    "__iadd__": 1,
    "__radd__": 1,
    "sub": -1,
    "sub_": -1,
    "__sub__": -1,
    "__isub__": -1,
    "subtract": -1,
    "subtract_": -1,
}
REVERSED = {"rsub", "__rsub__"}
PRODUCTS = {"mul", "mul_", "__mul__", "__imul__", "__rmul__", "multiply", "multiply_"}
QUOTIENTS = {"div", "div_", "__div__", "__truediv__", "__itruediv__", "__rdiv__", "__rtruediv__", "true_divide",
             "divide", "divide_"}
CLAMPS = {"clamp", "clamp_", "clip", "clip_", "hardtanh", "clamp_min", "clamp_max", "clamp_min_", "clamp_max_"}
PARTS = {"chunk", "split", "tensor_split", "unbind", "__getitem__", "narrow", "select", "split_with_sizes"}
OTHERS = {
    "neg",
    "neg_",
    "negative",
    "lerp",
    "addcmul",
    "addcdiv",
    "where",
    "cat",
    "concat",
    "concatenate",
    "stack",
    "repeat",
    "expand",
    "expand_as",
    "minimum",
    "maximum",
}
#: What makes a number to be minimised out of a difference.
LOSSES = {"mse_loss": "squared", "l1_loss": "absolute", "smooth_l1_loss": "huber", "huber_loss": "huber"}
NORMS = {
    "pow": "squared",
    "__pow__": "squared",
    "pow_": "squared",
    "square": "squared",
    "abs": "absolute",
    "absolute": "absolute",
    "norm": "norm",
    "vector_norm": "norm",
    "linalg_vector_norm": "norm",
    "linalg_norm": "norm",
    "mean": "mean",
    "sum": "mean",
    "float_power": "squared",
}
#: Functions that no step or loss is made of; they are let through unseen.
SILENT = {
    "__get__",
    "__set__",
    "size",
    "dim",
    "numel",
    "item",
    "__len__",
    "backward",
    "_set_grad_enabled",
    "__float__",
    "__bool__",
    "__int__",
    "__format__",
    "__repr__",
    "tolist",
    "numpy",
    "is_complex",
    "is_floating_point",
    "requires_grad_",
    "__setitem__",
    "set_grad_enabled",
}


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


KINDS = {
    "same": SAME,
    "sum": set(SUMS),
    "reversed": REVERSED,
    "product": PRODUCTS,
    "quotient": QUOTIENTS,
    "clamp": CLAMPS,
    "cat": {"cat", "concat", "concatenate"},
    "stack": {"stack"},
    "other": OTHERS,
}


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


# --- reading sums off ---------------------------------------------------------------------------------------
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


LEAVES = (*DRAWS, "output", "state", "given", "part", "opaque")


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

"""The little language of lessons: what is true of a run, and numbers of it, checked before anything is run.

    spread(B) < 0.2 * spread(A) and steps <= 20

Numbers, "text", + - * / **, comparisons (also chained), and, or, not, (x, y), and calls of measures. What a name or an
argument is, is known from the recipe alone, so that a lesson is refused when it is read and not when it is taken.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..doors.words import one_line

MOST_CHARACTERS = 500

_TWO: dict[type, Callable] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
                              ast.Div: operator.truediv, ast.Pow: operator.pow}
_COMPARED: dict[type, Callable] = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
                                   ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne}
ALLOWED = 'numbers, "text", + - * / **, < <= > >= == !=, and, or, not, (x, y) and calls of measures'
#: What is worked out of numbers alone.
FUNCTIONS: dict[str, Callable] = {"abs": abs, "min": min, "max": max, "sqrt": math.sqrt, "exp": math.exp,
                                  "log": math.log}
NUMBER, TRUTH, WORDS, PLACE, CURVE = float, bool, str, tuple, list
_NAMES = {float: "a number", bool: "true or false", str: "text", tuple: "a place (x, y)", list: "a curve"}


def name_of(kind: type) -> str:
    """A kind of value, for people."""
    return _NAMES.get(kind) or f"a {kind.__name__}"


@dataclass(frozen=True)
class Measure:
    """A function of a run: what it takes, by the annotations of its parameters, and what it gives."""

    name: str
    ask: Callable
    takes: tuple[tuple[str, tuple[type, ...], bool], ...]  #: (parameter, kinds, whether it must be given)
    gives: type

    @classmethod
    def of(cls, function: Callable) -> Measure:
        hints = get_type_hints(function)
        takes = tuple((name, _kinds(hints[name]), parameter.default is parameter.empty)
                      for name, parameter in inspect.signature(function).parameters.items())
        gives = hints["return"]
        return cls(function.__name__, function, takes, get_origin(gives) or {int: float}.get(gives, gives))

    @property
    def usage(self) -> str:
        """How it is called, and what it is: "spread(of, t): …"."""
        said = (inspect.getdoc(self.ask) or "").split("\n\n")[0].replace("\n", " ")
        return f"{self.name}({', '.join(name for name, _, _ in self.takes)}): {said}"


def _kinds(hint: Any) -> tuple[type, ...]:
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return tuple({int: float}.get(option, get_origin(option) or option) for option in options)


@dataclass(frozen=True)
class Expression:
    """An expression that has been checked: ValueError when it is made, or a value whenever it is asked for one."""

    text: str
    kind: type
    _body: ast.expr
    _measures: Mapping[str, Measure]

    @classmethod
    def read(cls, text: str, names: Mapping[str, type], measures: Mapping[str, Measure],
             wanted: tuple[type, ...] = ()) -> Expression:
        """names: what there is to speak of and of what kind; wanted: the kinds it may have. ValueError says what is
        wrong and what is allowed."""
        text = " ".join(text.split())
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"it has {len(text)} characters; {MOST_CHARACTERS} are the most")
        try:
            body = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ValueError(f"{one_line(text)!r} is no expression; allowed are {ALLOWED}") from None
        kind = _Checker(names, measures).kind(body)
        if wanted and kind not in wanted:
            raise ValueError(f"{text} is {name_of(kind)}; wanted is {' or '.join(map(name_of, wanted))}")
        return cls(text, kind, body, measures)

    def value(self, names: Mapping[str, Any]) -> Any:
        """What it is of these. ValueError if it cannot be worked out, say a division by zero."""
        try:
            return self._value(self._body, names)
        except (ArithmeticError, KeyError, ValueError) as error:
            raise ValueError(f"{self.text} cannot be worked out here: {error}") from None

    def _value(self, node: ast.expr, names: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return names[node.id]
            case ast.Tuple():
                return tuple(float(self._value(part, names)) for part in node.elts)
            case ast.UnaryOp(op=ast.Not()):
                return not self._value(node.operand, names)
            case ast.UnaryOp():
                return -self._value(node.operand, names)
            case ast.BinOp():
                return _TWO[type(node.op)](self._value(node.left, names), self._value(node.right, names))
            case ast.BoolOp():
                each = (self._value(part, names) for part in node.values)
                return all(each) if isinstance(node.op, ast.And) else any(each)
            case ast.Compare():
                values = [self._value(part, names) for part in (node.left, *node.comparators)]
                return all(bool(_COMPARED[type(op)](a, b)) for op, a, b in zip(node.ops, values, values[1:]))
        arguments = [self._value(part, names) for part in node.args]
        named = {keyword.arg: self._value(keyword.value, names) for keyword in node.keywords}
        name = node.func.id
        return self._measures[name].ask(*arguments, **named) if name in self._measures else FUNCTIONS[name](*arguments)


@dataclass(frozen=True)
class _Checker:
    names: Mapping[str, type]
    measures: Mapping[str, Measure]

    def kind(self, node: ast.expr) -> type:
        match node:
            case ast.Constant(value=bool() | int() | float() | str()):
                return {int: float}.get(type(node.value), type(node.value))
            case ast.Name():
                if node.id not in self.names:
                    there = ", ".join(sorted(self.names, key=lambda name: (len(name) > 1, name)))
                    raise ValueError(f"there is no {node.id} in this recipe's run; there are {there}")
                return self.names[node.id]
            case ast.Tuple(elts=[x, y]):
                self._all((x, y), (NUMBER,))
                return PLACE
            case ast.UnaryOp(op=ast.Not()):
                return self._all((node.operand,), (TRUTH,))
            case ast.UnaryOp(op=ast.USub()):
                return self._all((node.operand,), (NUMBER,))
            case ast.BinOp() if type(node.op) in _TWO:
                return self._all((node.left, node.right), (NUMBER,))
            case ast.BoolOp():
                return self._all(node.values, (TRUTH,))
            case ast.Compare() if all(type(op) in _COMPARED for op in node.ops):
                same = all(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
                first, *others = (self.kind(part) for part in (node.left, *node.comparators))
                if first not in ((NUMBER, WORDS, TRUTH) if same else (NUMBER,)) or any(k != first for k in others):
                    raise ValueError(f"{ast.unparse(node)} compares {' with '.join(map(name_of, (first, *others)))}")
                return TRUTH
            case ast.Call(func=ast.Name()):
                return self._call(node)
        raise ValueError(f"{one_line(ast.unparse(node))} is not allowed here; allowed are {ALLOWED}")

    def _all(self, nodes, wanted: tuple[type, ...]) -> type:
        for node in nodes:
            kind = self.kind(node)
            if kind not in wanted:
                raise ValueError(f"{ast.unparse(node)} is {name_of(kind)}; wanted is "
                                 f"{' or '.join(map(name_of, wanted))}")
        return wanted[0]

    def _call(self, node: ast.Call) -> type:
        name = node.func.id
        if name in FUNCTIONS and not node.keywords and node.args:
            if len(node.args) > 1 and name not in ("min", "max") or len(node.args) < 2 and name in ("min", "max"):
                raise ValueError(f"{ast.unparse(node)}: {name} takes {'one number' if name[0] != 'm' else 'several'}")
            return self._all(node.args, (NUMBER,))
        if name not in self.measures:
            known = ", ".join(sorted((*self.measures, *FUNCTIONS)))
            raise ValueError(f"there is no measure {name}; there are {known}")
        measure = self.measures[name]
        given = dict(zip((parameter for parameter, _, _ in measure.takes), node.args))
        given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg not in given}
        missing = [parameter for parameter, _, must in measure.takes if must and parameter not in given]
        known = {parameter for parameter, _, _ in measure.takes}
        if missing or len(given) != len(node.args) + len(node.keywords) or not given.keys() <= known:
            raise ValueError(f"{ast.unparse(node)} does not fit: {measure.usage}")
        for parameter, kinds, _ in measure.takes:
            if parameter in given and (kind := self.kind(given[parameter])) not in kinds:
                raise ValueError(f"{ast.unparse(node)}: {parameter} is {name_of(kind)}, and {name} takes "
                                 f"{' or '.join(map(name_of, kinds))}")
        return measure.gives

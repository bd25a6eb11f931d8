"""The networks that a training can choose between: each registers itself in its own file, with the data it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from torch import nn


@dataclass(frozen=True)
class Network:
    """A network that can be trained: for which kind of data, and what the settings of a training make of it.

    Each has the options width and labels; `options(config, dataset)` gives the others.
    """

    make: type[nn.Module]
    title: str  #: what people read
    kind: Literal["points", "images"]
    options: Callable[[Any, Any], dict[str, Any]]
    deepest: int  #: largest depth
    groups: int = 1  #: what its width must be a multiple of


#: By the names they have in an architecture; `network` fills it.
NETWORKS: dict[str, Network] = {}
Made = TypeVar("Made", bound=type[nn.Module])


def network(name: str, title: str, kind: Literal["points", "images"], options: Callable[[Any, Any], dict[str, Any]],
            deepest: int = 8, groups: int = 1) -> Callable[[Made], Made]:
    """Above a network's class: it can then be trained, in the page and on the command line, on data of that kind.

    The class is network(x, t, noise_level, cond), says of itself how it is built again (`architecture`), and may have
    fit(x0, scale), which is shown the data and their standard deviation once, before training.

    title     what people read
    options   (config, dataset) → what its class is given besides width and labels
    deepest   the largest depth that a training may ask for
    groups    what its width must be a multiple of
    """
    def register(made: Made) -> Made:
        if name in NETWORKS:
            raise ValueError(f"there is a network {name!r} already; name this one otherwise")
        NETWORKS[name] = Network(made, title, kind, options, deepest, groups)
        return made

    return register


def networks_for(kind: str) -> tuple[str, ...]:
    """The names of the networks that can learn data of that kind, the usual one first."""
    return tuple(name for name, known in NETWORKS.items() if known.kind == kind)

"""Looking inside a network: what its layers put out, recorded while a block lasts.

    with capture(denoiser.network, ["middle", "up.0"]) as seen:
        denoiser(x_t, t)
    seen["middle"][-1]                  # (B, channels, H, W)

Names are the interface: any module of the network can be named, as `named_modules` has it.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from ..denoisers.mlp import MLP
from ..denoisers.unet import UNet

#: torch numbers hooks by one counter that two threads could read at once: the hooks would then have one number, and
#: the first to be removed would take the other along.
_HOOKING = threading.Lock()

#: the resolution of the levels of a U-Net
_SIZES = ("the finest level", "half as fine", "a quarter as fine", "an eighth as fine")


@contextmanager
def capture(net: nn.Module, names: Iterable[str]) -> Iterator[dict[str, list[Tensor]]]:
    """Record the outputs of these layers while the block lasts: name → its outputs, one a call, in order.

    A layer that a step asks twice (guidance asks with and without the label) has two outputs. Tensors are detached and
    not copied: they stay as they are unless somebody writes into them.

    Only calls of the thread that opened the block are recorded, so that those who share a network see nothing of each
    other; what that thread does meanwhile in generators of its own counts as its calls. Blocks may be nested. On
    leaving, also by an error, nothing is left behind in the network.

    ValueError naming those near, for a layer that the network does not have, or one that puts out no tensor.
    """
    modules = {name: module for name, module in net.named_modules() if name}
    seen: dict[str, list[Tensor]] = {}
    for name in names:
        if name not in modules:
            near = ", ".join(difflib.get_close_matches(name, modules, n=3, cutoff=0.4) or layers_of(net))
            raise ValueError(f"the network has no layer {name!r}; {f'try {near}' if near else 'it has none'}")
        seen[name] = []
    owner, hooks = threading.get_ident(), []

    def record(name: str):
        def hook(_module, _inputs, output):
            if threading.get_ident() != owner:
                return
            if not isinstance(output, Tensor):
                raise ValueError(f"layer {name!r} puts out a {type(output).__name__}; name one that puts out a tensor")
            seen[name].append(output.detach())

        return hook

    try:
        for name in seen:
            with _HOOKING:
                hooks.append(modules[name].register_forward_hook(record(name)))
        yield seen
    finally:
        for hook in hooks:
            with _HOOKING:
                hook.remove()


def layers_of(net: nn.Module) -> dict[str, str]:
    """The layers that are worth a look, in the order in which they run: name → what it is, in plain words.

    Of a network that is neither a `UNet` nor an `MLP`: all that have weights of their own, under their own names.
    """
    modules = dict(net.named_modules())
    if isinstance(net, UNet):
        levels, titles = range(len(net.down)), {"enter": "enter: the first convolution"}
        for i in levels:
            titles |= {f"down.{i}": f"down {i}: {_SIZES[i]}",
                       f"shrink.{i}": f"shrink {i}: to half as many pixels a side"}
        titles["middle"] = f"middle: {_SIZES[levels[-1]]}, between down and up"
        for i in reversed(levels):
            titles |= {f"up.{i}": f"up {i}: {_SIZES[i]}, with what down {i} saw",
                       f"grow.{i - 1}": f"grow {i - 1}: to twice as many pixels a side"}
        titles["leave"] = "leave: the output"
    elif isinstance(net, MLP):
        titles = {"enter": "enter: the first layer"}
        titles |= {f"hidden.{i}": f"hidden {i}: what this layer adds" for i in range(len(net.hidden))}
        titles["leave"] = "leave: the output"
    else:
        titles = {name: name for name, part in modules.items() if name and list(part.parameters(recurse=False))}
    return {name: title for name, title in titles.items() if name in modules}

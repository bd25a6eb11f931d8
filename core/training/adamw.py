"""AdamW, without the rest of torch's optimizers: those load torch's compiler at their first step, seconds and 75 MB."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adamw import adamw


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), by torch's own fused kernel.

    betas         how much of the mean gradient and of the mean squared one a step keeps
    weight_decay  a step takes lr · weight_decay of each weight off; with 0 it is Adam (Kingma & Ba 2015)
    state         from the first step on, for each weight: `step` (), steps taken; `exp_avg` and `exp_avg_sq`, the two
                  means, shaped as the weight
    """

    STATE = ("step", "exp_avg", "exp_avg_sq")

    def __init__(self, weights: Iterable[Tensor], betas: tuple[float, float] = (0.9, 0.999),
                 weight_decay: float = 0.01):
        self.weights, self.betas, self.weight_decay = list(weights), betas, weight_decay
        self.state: dict[str, list[Tensor]] = {}

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """A step at that learning rate against the gradients, which every weight must hold."""
        if not self.state:
            self.state = {key: [torch.zeros_like(w) for w in self.weights] for key in self.STATE}
            # What the fused kernel counts in: float32, where the weights are.
            self.state["step"] = [torch.zeros((), dtype=torch.float32, device=w.device) for w in self.weights]
        adamw(self.weights, [w.grad for w in self.weights], self.state["exp_avg"], self.state["exp_avg_sq"], [],
              self.state["step"], fused=True, amsgrad=False, beta1=self.betas[0], beta2=self.betas[1], lr=lr,
              weight_decay=self.weight_decay, eps=1e-8, maximize=False)

    def forget(self) -> None:
        """Let go of the gradients."""
        for weight in self.weights:
            weight.grad = None

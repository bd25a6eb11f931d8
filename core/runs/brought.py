"""What whoever asks for a run has brought along: data of their own, and a model that they trained."""

from __future__ import annotations

from typing import Any

from ..data.datasets import Dataset
from ..denoisers.base import Denoiser


class Brought:
    """Data, a model and its training that are the caller's own; a recipe names them "own" and "mine".

    data            the data set they brought
    denoiser, card  the model they trained, and what is to be known about it
    training        the training it came from, with the weights that were kept on the way
    """

    def __init__(self, data: Dataset | None = None, denoiser: Denoiser | None = None,
                 card: dict[str, Any] | None = None):
        self.data, self.denoiser, self.card = data, denoiser, card

    @property
    def training(self) -> Any:
        return None

    @property
    def wants_training(self) -> bool:
        """Whether what a training has learned when it is stopped is still wanted."""
        return True

    def learned(self, denoiser: Denoiser, card: dict[str, Any]) -> None:
        """Take a model that was trained for them."""
        self.denoiser, self.card = denoiser, card

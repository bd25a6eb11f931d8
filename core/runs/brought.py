"""What whoever asks for a run has brought along: data of their own, and a model that they trained."""

from __future__ import annotations

from typing import Any

from ..data.datasets import Dataset
from ..debug.record import Run
from ..denoisers.base import Denoiser
from ..guidance.classifier import LogPosterior
from ..recipe.recipe import MOST_IMAGES, Recipe


class Brought:
    """Data, a model and its training that are the caller's own; a recipe names them "own" and "mine".

    data            the data set they brought
    denoiser, card  the model they trained, and what is to be known about it
    training        the training it came from, with the weights that were kept on the way
    watched         traces that they opened, the newest first
    classifier      what guides, on the recipe's schedule, in place of the data's own
    most_images     how many pictures they may ask for at once; None for as many as they like
    """

    def __init__(self, data: Dataset | None = None, denoiser: Denoiser | None = None,
                 card: dict[str, Any] | None = None, most_images: int | None = MOST_IMAGES):
        self.data, self.denoiser, self.card, self.most_images = data, denoiser, card, most_images
        self.classifier: LogPosterior | None = None

    @property
    def training(self) -> Any:
        return None

    @property
    def watched(self) -> tuple[Run, ...]:
        return ()

    @property
    def wants_training(self) -> bool:
        """Whether what a training has learned when it is stopped is still wanted."""
        return True

    def learned(self, denoiser: Denoiser, card: dict[str, Any]) -> None:
        """Take a model that was trained for them."""
        self.denoiser, self.card = denoiser, card


def sample_count(recipe: Recipe, kind: str, brought: Brought | None) -> int:
    """How many samples to make of this kind of data: what was asked for, within what the caller may."""
    count = recipe.sample_count(kind)
    most = brought.most_images if brought is not None else MOST_IMAGES
    return count if kind == "points" or most is None else min(count, most)

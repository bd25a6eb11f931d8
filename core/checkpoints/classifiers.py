"""Classifiers of noised data in files, and those that are shipped."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..denoisers.exact import Exact
from ..doors.jsons import entry
from ..doors.words import one_line
from ..guidance.classifier import Classifier, ExactClassifier
from ..schedules import make_schedule
from ..training.classifier import MEASURED, NETWORKS, ClassifierTrainer, accuracies
from .models import FOLDER, read_model, write_model

#: Shipped classifiers, named by their data; beside the models, as they draw no samples themselves.
SHIPPED = FOLDER / "classifiers"


def save_classifier(path: str | Path, trainer: ClassifierTrainer, card: dict[str, Any] | None = None) -> Path:
    """Write the averaged weights and their card, as `models.save_checkpoint` does; returns the path.

    The card has the accuracy at each of MEASURED times beside that of the exact classifier of the training data.
    """
    data, config, schedule = trainer.dataset, trainer.config, trainer.ema.schedule
    about = {
        "role": "classifier", "data": data.name, "data_hash": data.hash, "shape": list(data.shape),
        "licence": data.licence, "condition": data.conditions[config.condition][0], "schedule": config.schedule,
        "T": config.T, "sigma_data": data.std, "prior": trainer.ema.log_prior.exp().tolist(),
        "training": asdict(config), "steps": trainer.step, "seed": config.seed,
        "cpu_seconds": round(trainer.seconds, 2),
    }
    if data.kind == "points" or not config.condition:
        exact = ExactClassifier(Exact.of(data, schedule), config.condition)
        both: dict[str, Any] = {"accuracy": trainer.ema, "exact": exact}
        about["quality"] = {"t": list(MEASURED)} | {
            name: accuracies(each, data, MEASURED, schedule, config.condition) for name, each in both.items()}
    return write_model(path, trainer.ema.network, about | (card or {}))


def load_classifier(path: str | Path) -> tuple[Classifier, dict[str, Any]]:
    """The classifier in eval mode, and its card. Raises as `models.load_checkpoint` does."""

    def build(card: dict[str, Any], network: nn.Module) -> Classifier:
        schedule = make_schedule(entry(card, "schedule", str), entry(card, "T", int))
        prior, classes = entry(card, "prior", list), card["architecture"].get("classes")
        if len(prior) != classes or not all(isinstance(share, float | int) and 0 <= share <= 1 for share in prior):
            raise ValueError(f"'prior' is {one_line(repr(prior))}; it must be a share for each of {classes} classes")
        return Classifier(network, schedule, entry(card, "sigma_data", float, least=1e-9), torch.tensor(prior))

    return read_model(path, build, NETWORKS)


def classifiers() -> tuple[str, ...]:
    """The names of the data sets for which a classifier is shipped."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.json")))


@cache
def pretrained_classifier(data: str) -> tuple[Classifier, dict[str, Any]]:
    """The shipped classifier of a data set and its card, the same objects each time: use them, do not change them.

    ValueError lists the data sets that have one.
    """
    if data not in classifiers():
        raise ValueError(f"no classifier is shipped for {data!r}; there are some for {', '.join(classifiers())}")
    return load_classifier(SHIPPED / f"{data}.safetensors")

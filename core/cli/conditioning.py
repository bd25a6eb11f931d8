"""What the options of a walk say about labels: what is asked for, and what leads there."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch

from ..checkpoints.classifiers import load_classifier, pretrained_classifier
from ..data.datasets import Dataset
from ..denoisers.embeddings import Labels, label_counts
from ..denoisers.exact import Exact
from ..guidance.classifier import ExactClassifier, LogPosterior, classifier_guidance, reschedule_classifier
from ..guidance.classifier_free import classifier_free, condition
from ..prediction import Denoise
from ..schedules import Schedule
from ..training.classifier import column


def words_of(options: argparse.Namespace) -> list[str | None]:
    """The names or numbers in --label, one for each condition; None is any."""
    return [None if word == "any" else word for word in options.label.split(",")]


def cond_of(options: argparse.Namespace, labels: Labels, dataset: Dataset | None) -> torch.Tensor:
    """What --label asks for, (1,) or (1, K), of a model that knows these. ValueError naming those there are."""
    if not labels:
        raise ValueError(f"--label {options.label}: the model knows no labels; train one with --labels, or guide it "
                         "with a --classifier of data that have some")
    asked = words_of(options)
    if dataset is not None and dataset.classes == labels:
        return dataset.cond_of(*asked)
    counts = label_counts(labels)  # of data that are not here numbers are known, and no names
    numbers = [n if word is None else int(word) if word.isdecimal() else -1 for word, n in zip(asked, counts)]
    if len(asked) != len(counts) or not all(0 <= number <= n for number, n in zip(numbers, counts)):
        raise ValueError(f"--label {options.label} is none of {', '.join(f'0 to {n - 1}' for n in counts)}")
    return torch.tensor(numbers if isinstance(labels, int) else [numbers])


def guidance_of(options: argparse.Namespace, denoiser, dataset: Dataset | None) -> Callable[..., Denoise]:
    """(scale, between) → the denoiser guided towards --label: by itself, or told no label by a --classifier."""
    if not options.classifier:
        return partial(classifier_free, denoiser, cond_of(options, denoiser.labels, dataset))
    if dataset is None:
        raise ValueError("a classifier is one of some data; say with --data of which")
    cond = cond_of(options, dataset.classes, dataset)
    classifier, which = classifier_of(options.classifier, dataset, denoiser.schedule)
    label = column(cond, which)
    if int(label) == label_counts(dataset.classes)[which]:
        raise ValueError(f"--label {options.label} asks for any {dataset.conditions[which][0]}, which is all that the "
                         "classifier tells apart")
    return partial(classifier_guidance, condition(denoiser, None), classifier, label)


def classifier_of(name: str, dataset: Dataset, schedule: Schedule) -> tuple[LogPosterior, int]:
    """The classifier of that name on this schedule, and which of the data's conditions it tells.

    ValueError if there is none such, or if it is of other data.
    """
    if name == "exact":
        return ExactClassifier(Exact.of(dataset, schedule)), 0
    found, card = load_classifier(name) if name.endswith(".safetensors") else pretrained_classifier(name)
    titles = [title for title, _ in dataset.conditions]
    if card["data_hash"] != dataset.hash or card["condition"] not in titles:
        raise ValueError(f"the classifier {name} is one of {card['data']}, and these data are {dataset.name}")
    return reschedule_classifier(found, found.schedule, schedule), titles.index(card["condition"])

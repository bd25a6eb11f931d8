"""What the options of a command say of a training."""

from __future__ import annotations

import argparse
import json

from ..data.datasets import Dataset
from ..former import field_now
from ..training.presets import TrainingConfig, preset


def config_of(options: argparse.Namespace, dataset: Dataset) -> TrainingConfig:
    """The training that `train` with these options begins on this data. Raises as `preset` does."""
    changes = changes_of(options, network=options.network, prediction_type=options.prediction_type,
                         schedule=options.schedule, labels=options.labels or None, without=options.without)
    return preset(options.preset, dataset, **changes)


def changes_of(options: argparse.Namespace, **others) -> dict[str, object]:
    """What the options change about a preset; `others` may be None."""
    own = {"steps": options.steps, "seed": options.seed} | others
    return dict(map(value_of, options.settings)) | {name: value for name, value in own.items() if value is not None}


def value_of(pair: tuple[str, str]) -> tuple[str, object]:
    """NAME=VALUE with the value as JSON has it (true, 0.002), or else as a word."""
    try:
        return field_now(pair[0]), json.loads(pair[1])
    except json.JSONDecodeError:
        return field_now(pair[0]), pair[1]

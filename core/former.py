"""Names that have changed. Links, films, traces, cards and commands that were handed out under them still open.

Whatever is written has today's names; whatever is read passes through here first. This is the only place that knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Fields of a recipe, of a card and of the settings of a training.
FIELDS = {
    "guide": "guidance_method", "guidance": "guidance_scale", "guide_when": "guidance_interval", "tell": "time_shift",
    "versus": "variants", "rows": "train_size", "recipe": "preset", "beside": "baseline", "clip": "thresholding",
    "target": "prediction_type",
}  # fmt: skip
#: field → values that it had.
VALUES = {
    "spacing": {"uniform": "trailing"}, "sampler": {"renoise": "multistep_consistency"}, "forward": {"room": "heat"},
    "guidance_method": {"free": "classifier_free"}, "model": {"memory": "memorization"},
}  # fmt: skip
PANELS = {"eps_pull": "guidance_delta", "field_pull": "guidance_field", "p_sharp": "tilted_density"}
#: Options of the command line that were not called as a field.
OPTIONS = {"--between": "--guidance-interval"}


def field_now(name: str) -> str:
    """What a field is called now."""
    return FIELDS.get(name, name)


def value_now(field: str, value: Any) -> Any:
    """What a value of a field, by its name of now, is called now."""
    known = VALUES.get(field)
    return known.get(value, value) if known and isinstance(value, str) else value


def named_now(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields under their names of now, with their values; where both names are there, that of now counts."""
    now = {field_now(name): value for name, value in values.items()} | {
        name: value for name, value in values.items() if name not in FIELDS}
    return {name: value_now(name, value) for name, value in now.items()}


def option_now(word: str) -> str:
    """A word of a command line: an option is written as it is now, with the value that may stand behind its “=”."""
    option, equals, value = word.partition("=")
    if not option.startswith("--"):
        return word
    now = OPTIONS.get(option) or f"--{field_now(option[2:]).replace('_', '-')}"
    return now + equals + value if option[2:] in FIELDS or option in OPTIONS else word

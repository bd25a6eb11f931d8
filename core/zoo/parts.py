"""What stands beside the models and draws no samples itself: autoencoders and classifiers, each in its own folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.classifiers import load_classifier
from ..checkpoints.models import FOLDER
from ..data.datasets import load
from ..data.latents import read_autoencoder
from .checks import MAX_BYTES, Parse, read_command
from .roles import Card


@dataclass(frozen=True)
class Part:
    """A kind of part: the command that makes one, what reads its card and finds damage, and what the card promises."""

    command: str  #: of python -m core
    read: Callable[[Path], Card]
    told: Callable[[Card], str]  #: its quality in words, beside that of what it is held against; KeyError if not there


def _errors(quality: Card) -> str:
    return f"squared error {quality['error']:.3g}; of as many principal components {quality['pca_error']:.3g}"


def _accuracies(quality: Card) -> str:
    own, exact = (dict(zip(quality["t"], quality[name]))[0.5] for name in ("accuracy", "exact"))
    return f"names {own:.1%} right at t = 0.5; the exact classifier of the training data {exact:.1%}"


PARTS = {
    "autoencoders": Part("autoencoder", lambda path: read_autoencoder(path).card, _errors),
    "classifiers": Part("classifier", lambda path: load_classifier(path)[1], _accuracies),
}


def parts(folder: Path = FOLDER) -> list[Path]:
    """The weights of all of them."""
    return sorted(path.with_suffix(".safetensors") for kind in PARTS for path in (folder / kind).glob("*.json"))


def check_part(path: Path, parse: Parse) -> list[str]:
    """What is wrong with a part's card, held against its file."""
    kind, problems = PARTS[path.parent.name], []
    try:
        card = kind.read(path)
        data = load(card["data"])
        if (card["data_hash"], card["licence"]) != (data.hash, data.licence):
            problems.append(f"its data are not the {data.name} that are here (data_hash, licence)")
        if (size := path.stat().st_size) >= MAX_BYTES:
            problems.append(f"it is {size:,} bytes; what is shipped stays below {MAX_BYTES:,}")
        options = read_command(card["command"], parse)
        found = options["command"], options.get("data"), options.get("save")
        if found != (kind.command, card["data"], f"pretrained/{path.parent.name}/{path.name}"):
            problems.append(f"its command makes something else: {card['command']}")
        kind.told(card["quality"])
    except KeyError as error:
        problems.append(f"its card does not say {error}")
    except (ValueError, OSError) as error:
        problems.append(str(error))
    return problems

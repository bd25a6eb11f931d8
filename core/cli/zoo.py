"""What `python -m core zoo` does."""

from __future__ import annotations

import argparse

from ..checkpoints.models import pretrained, save_card
from ..training.presets import TrainingConfig
from ..zoo.checks import Entry, Parse, check, read_command, strangers
from ..zoo.gallery import write_gallery
from ..zoo.parts import check_part, parts
from ..zoo.roles import figures
from ..zoo.sheets import draw_sheet, save_sheet
from .progress import Bar, table
from .settings import config_of

HEAD = ("name", "from unseen", "real's own", "nearest", "real's own", "bytes", "card")


def zoo(options: argparse.Namespace, command: str) -> int:
    """Check the shipped models, or first measure and draw them anew. The exit status: 1 if anything is wrong."""
    chosen = options.names or list(pretrained())
    for name in chosen:
        if name not in pretrained():
            raise ValueError(f"no pretrained model is called {name!r}; there are {', '.join(pretrained())}")
    if options.renew:
        with Bar(len(chosen), "measure and draw", "models") as bar:
            for k, name in enumerate(chosen):
                renew(Entry(name))
                bar(k + 1, name)
        write_gallery()
    rows, wrong = [], [] if options.names else strangers()
    with Bar(len(chosen), "check", "models") as bar:
        for k, name in enumerate(chosen):
            entry = Entry(name)
            problems = check(entry, options.parse, options.full) + other_training(entry, options.parse)
            rows.append(row(entry, problems))
            wrong += [f"{name}: {problem}" for problem in problems]
            bar(k + 1, name)
    for path in () if options.names else parts():
        problems = check_part(path, options.parse)
        name = f"{path.parent.name}/{path.stem}"
        rows.append((name, "", "", "", "", f"{path.stat().st_size:,}", "wrong" if problems else "true"))
        wrong += [f"{name}: {problem}" for problem in problems]
    table(HEAD, rows)
    for line in wrong:
        print(line)
    return int(bool(wrong))


def other_training(entry: Entry, parse: Parse) -> list[str]:
    """Where the training that a card's command begins is not the one that the card tells of."""
    if entry.role.command != "train":
        return []
    try:
        begun = config_of(argparse.Namespace(**read_command(entry.card["command"], parse)), entry.dataset).to_dict()
    except ValueError:
        return []  # that the command is none is said already
    told = TrainingConfig.from_dict(entry.card["training"]).to_dict()
    return [f"its command trains with {name} {begun[name]!r}, and the card says {told[name]!r}"
            for name in begun if begun[name] != told[name]]


def renew(entry: Entry) -> None:
    """Write a shipped model's figures and its sheet anew."""
    save_card(entry.place, entry.card | figures(entry.model, entry.card, entry.dataset))
    save_sheet(draw_sheet(entry.model, entry.card, entry.dataset), entry.sheet, entry.card["sha256"])


def row(entry: Entry, problems: list[str]) -> tuple[str, ...]:
    """A model's line in the table."""
    quality = entry.card.get("quality", {})
    told = (f"{quality[key]:.4g}" if key in quality else ""
            for key in ("sliced_wasserstein", "real_sliced_wasserstein", "nearest", "real_nearest"))
    return entry.name, *told, f"{entry.size:,}", "wrong" if problems else "true"

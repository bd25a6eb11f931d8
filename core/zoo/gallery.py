"""The gallery in pretrained/README.md: every model with its sheet, its figures beside real data's, and its command."""

from __future__ import annotations

from pathlib import Path

from ..checkpoints.models import FOLDER
from ..data.datasets import load
from ..files import atomic_write
from .checks import Entry
from .parts import PARTS, parts
from .roles import ROLES, role_name

BEGIN, END = "<!-- gallery: written by `python -m core zoo --renew` -->", "<!-- end of the gallery -->"


def gallery(folder: Path = FOLDER) -> str:
    """Markdown: points, images, then what stands beside them; within a data set the plain diffusion first."""
    entries = [Entry(path.stem, folder) for path in folder.glob("*.json")]
    sections = []
    for kind, title in (("points", "Points"), ("images", "Images")):
        those = [entry for entry in entries if entry.dataset.kind == kind]
        if not those:
            continue
        rows = [_row(entry) for entry in sorted(those, key=_place)]
        sections.append(f"## {title}\n\n| | model | distance from unseen data; real data's own |\n|---|---|---|\n"
                     + "\n".join(rows) + "\n")
    return "\n".join(sections) + _beside(folder)


def _beside(folder: Path) -> str:
    """What some models stand on or are guided by."""
    rows = []
    for path in parts(folder):
        kind = PARTS[path.parent.name]
        card = kind.read(path)
        rows.append(f"| **{path.parent.name}/{path.stem}** of {load(card['data']).title}<br>`{card['command']}` "
                    f"| {kind.told(card['quality'])} |")
    head = "\n## Beside them\n\n| | on unseen data; what it is held against |\n|---|---|\n"
    return head + "\n".join(rows) + "\n" if rows else ""


def _place(entry: Entry) -> tuple:
    card = entry.card
    place = list(ROLES).index(role_name(card)), card.get("train_size", 0)
    return entry.dataset.side, card["data"] != "trex", card["data"], *place


def _row(entry: Entry) -> str:
    card, quality = entry.card, entry.card["quality"]
    size = entry.weights.stat().st_size
    asked = " by ".join(title for title, _ in entry.dataset.conditions) if card["labels"] else ""
    about = [f"**{entry.name}**: {entry.role.what} of {entry.dataset.title}" + (f", by {asked}" if asked else ""),
             f"{card['parameters']:,} parameters, {size / 1e6:.2g} MB, sampled by {entry.role.sampling}",
             f"*Weak:* {card.get('notes', 'not told.')}", f"`{card['command']}`"]
    measured = [f"{title} {quality[key]:.3g}; {quality[f'real_{key}']:.3g}"
                for key, title in (("sliced_wasserstein", "sliced Wasserstein"), ("nearest", "nearest"),
                                   ("agreement", "agreement")) if key in quality]
    if pair := card.get("composed"):
        measured.append(f"agreement of {' × '.join(pair['pair'])}, held out of training, "
                        f"{pair['agreement']:.3g}; {pair['real_agreement']:.3g}")
    picture = f"![samples of {entry.name}](sheets/{entry.name}.png)"
    return f"| {picture} | {'<br>'.join(about)} | {'<br>'.join(measured)} |"


def write_gallery(folder: Path = FOLDER) -> Path:
    """Put the gallery between its two marks in the folder's README.md. ValueError if they are not there."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the gallery; put these two lines into it: {BEGIN} and {END}")
    with atomic_write(path) as part:
        part.write_text(f"{head}{BEGIN}\n\n{gallery(folder)}\n{END}{tail}", encoding="utf-8")
    return path

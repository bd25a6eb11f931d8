"""What the commands of `python -m core` do, once their words are read."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch

from ..checkpoints.autoencoders import save_autoencoder
from ..checkpoints.classifiers import save_classifier
from ..checkpoints.models import load_training, pretrained, save_checkpoint, save_training
from ..data.datasets import Dataset, load, names, save_dataset
from ..data.readers import ALLOWED, read_data
from ..debug import Run
from ..debug.cases import Case, museum
from ..denoisers.base import Denoiser
from ..denoisers.linear import linear
from ..drawing.export import FORMATS, check, estimate, export, read_recipe
from ..files import atomic_write
from ..recipe.models import MEMORY, SOLVED
from ..runs.comparison import compare
from ..runs.examine import run_case, told
from ..runs.walks import denoise, forward_film, lens
from ..schedules import make_schedule
from ..training.autoencoder import autoencoder_config, make_autoencoder, train_autoencoder
from ..training.classifier import ClassifierTrainer, classifier_config
from ..training.consistency import Distillation, distillation_config
from ..training.devices import best_device
from ..training.reflow import Reflow, couple, reflow_config
from ..training.trainer import Trainer
from ..training.turns import LIVE
from ..views import TraceView, View
from ..views.decoded import DECODED, offer_decoded
from ..zoo.roles import figures
from .asked import Asked, asked_of, network_of
from .lessons import lesson
from .progress import Bar, table
from .settings import changes_of, config_of
from .zoo import zoo

#: Bytes a trace may take; beyond it, every k-th step is kept.
TRACE_BUDGET = 1 << 30


def run(options: argparse.Namespace, command: str) -> int | None:
    """Do what was asked; `command` is the line itself, which goes into what is written. An exit status other than 0."""
    torch.set_num_threads(getattr(options, "threads", 1))
    does = {
        "data": data, "models": models, "zoo": zoo, "train": train, "reflow": reflow, "distil": distil,
        "linear": solve, "classifier": classifier, "autoencoder": autoencode, "sample": sample, "gif": gif,
        "recipe": show_recipe, "diagnose": diagnose, "lesson": lesson,
    }  # fmt: skip
    return does[options.command](options, command)


def data(options: argparse.Namespace, command: str) -> None:
    if options.save and not options.data:
        raise ValueError(f"--save {options.save} keeps data that were read; say which")
    if options.data:
        path, dataset = output(options.save, ".npz") if options.save else None, data_of(options)
        if path:
            save_dataset(dataset, path)
        shape = f", {'×'.join(map(str, dataset.shape))}" if dataset.kind == "images" else ""
        print(f"{dataset.title}: {len(dataset) + len(dataset.held_out):,} {dataset.kind}{shape}")
        return
    rows = [(d.name, d.title, d.kind, "×".join(map(str, d.shape)), f"{len(d):,}", str(d.classes or ""),
             d.licence.partition(":")[0])
            for d in map(load, names())]
    table(("name", "title", "kind", "shape", "rows", "labels", "licence"), rows)


def models(options: argparse.Namespace, command: str) -> None:
    rows = [(name, card.get("prediction_type"), card.get("schedule"), card.get("parameters"), card.get("steps"),
             card.get("final_loss"), card.get("cpu_seconds"), "yes" if card.get("labels") else "", card.get("role"))
            for name, card in pretrained().items()]
    if not rows:
        print("no pretrained models are here; train one: python -m core train --data trex --save trex.safetensors")
        return
    told = [tuple("" if v is None else f"{v:,}" if isinstance(v, int) else str(v) for v in row) for row in rows]
    table(("name", "predicts", "schedule", "parameters", "steps", "loss", "CPU s", "labels", "role"), told)


def data_of(options: argparse.Namespace) -> Dataset | None:
    """The data set of --data, of which --train-size may take the first only; None if none was named.

    A shipped one by its name, or one's own by its path; how that was read is said. ValueError if it is neither, or if
    it has not what --columns, --pixels or --colour ask for.
    """
    asked = {key: value for key in ("columns", "pixels", "colour") if (value := vars(options).get(key)) is not None}
    size = vars(options).get("train_size")  # what is made of a trained model has no such option
    if options.data is None:
        if size or asked:
            raise ValueError(f"--{next(iter(asked), 'train-size')} says how to take --data; say which data")
        return None
    if options.data in names() or not Path(options.data).exists():
        if asked:
            raise ValueError(f"--{next(iter(asked))} is for a file of your own, and {options.data} is none that is "
                             f"here; give a folder of pictures, or {ALLOWED}")
        dataset = load(options.data)
    else:
        try:
            dataset = read_data(options.data, **asked)
        except ValueError as error:
            raise ValueError(f"{options.data}: {error}") from error
        for what, how in (*dataset.reading, *(("note", warning) for warning in dataset.warnings)):
            print(f"{Path(options.data).name}: {what}: {how}", file=sys.stderr)
    return dataset.first(size) if size else dataset


def output(name: str, *suffixes: str) -> Path:
    """A path that can be written, found out before the work. ValueError for another suffix or an impossible place."""
    path = Path(name)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{name} cannot be written; let it end in {', '.join(suffixes)}")
    if path.is_dir():
        raise ValueError(f"{name} is a folder; give the name of a file")
    place = next(p for p in path.absolute().parents if p.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise ValueError(f"{name} cannot be written: {place} is {'read-only' if place.is_dir() else 'no folder'}")
    return path


def train(options: argparse.Namespace, command: str) -> None:
    path, dataset = output(options.save, ".safetensors"), data_of(options)
    device = device_of(options.device, dataset.kind)
    kept = path.with_suffix(".training.safetensors")
    trainer = Trainer(dataset, config_of(options, dataset), device)
    if options.resume:
        trainer = resumed(kept, trainer, changes_of(options))
        if not trainer.turns:
            command = command.replace(" --resume", "")  # what makes the model again is the training as a whole
    card = {"command": command, "preset": options.preset}
    if options.train_size:
        card |= {"role": f"rows{options.train_size}", "train_size": options.train_size}
    elif trainer.config.schedule == "flow":
        card["role"] = "flow"
    learn(trainer, path, card, options.note, Keeper(kept, options.keep_every))


def resumed(kept: Path, planned: Trainer, given: Mapping[str, object]) -> Trainer:
    """The training that was kept there, to go on bit for bit; settings of LIVE that are `given` are turned, and told.

    One that is not given stays as the training has it. ValueError if the training is not the one that is planned.
    """
    trainer = load_training(kept, planned.dataset, planned.device)
    found, wanted = trainer.config.to_dict(), planned.config.to_dict()
    apart = [f"{name} {found[name]}, here {wanted[name]}" for name in wanted
             if name not in LIVE and found.get(name) != wanted[name]]
    if apart:
        raise ValueError(f"the training in {kept} was begun with other settings ({'; '.join(apart)}); give the options "
                         f"that it was begun with. Only {', '.join(LIVE)} can be turned on the way")
    before = trainer.turns
    trainer.turn(**{name: wanted[name] for name in LIVE if name in given})
    if trainer.turns != before and trainer.turns:
        print(f"from step {trainer.step:,} on: {trainer.turns[-1].words}", file=sys.stderr)
    return trainer


@dataclasses.dataclass
class Keeper:
    """Keeps a training under way in a file, every so many seconds, so that no more than that is ever lost."""

    path: Path
    every: float
    last: float = dataclasses.field(default_factory=time.monotonic)

    def look(self, trainer: Trainer) -> None:
        if time.monotonic() - self.last >= self.every:
            self.keep(trainer)

    def keep(self, trainer: Trainer) -> None:
        save_training(self.path, trainer)
        self.last = time.monotonic()

    @contextmanager
    def watching(self, trainer: Trainer) -> Iterator[None]:
        """Keep what was learned where the block is stopped by Ctrl-C or by who ends the process; gone if it ends."""
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            yield
        except KeyboardInterrupt:
            if not trainer.step:
                raise
            self.keep(trainer)
            raise KeyboardInterrupt(f"what was learned in {trainer.step:,} of {trainer.config.steps:,} steps is in "
                                    f"{self.path}; the same command with --resume goes on") from None
        finally:
            signal.signal(signal.SIGTERM, before)
        self.path.unlink(missing_ok=True)


def reflow(options: argparse.Namespace, command: str) -> None:
    path = output(options.save, ".safetensors")
    flow, card, dataset = teacher_of(options)
    config = reflow_config(card["training"], **changes_of(options))
    count = options.pairs or (65_536 if dataset.kind == "points" else 4_096)
    with Bar(count, f"walk {options.model}", "walks") as bar:
        pairs = couple(flow, count, dataset.shape, seed=config.seed, progress=bar)
    about = {"command": command, "role": "reflow", "teacher": named(options.model, card), "pairs": count}
    learn(Reflow(flow, pairs, dataset, config), path, about, options.note)


def distil(options: argparse.Namespace, command: str) -> None:
    path = output(options.save, ".safetensors")
    teacher, card, dataset = teacher_of(options)
    config = distillation_config(card["training"], **changes_of(options))
    about = {"command": command, "role": "consistency", "teacher": named(options.model, card)}
    learn(Distillation(teacher, dataset, config), path, about, options.note)


def solve(options: argparse.Namespace, command: str) -> None:
    path, dataset = output(options.save, ".safetensors"), data_of(options)
    began = time.process_time()
    denoiser = linear(dataset, make_schedule(options.schedule), options.components)
    seconds = time.process_time() - began
    card = {"data": dataset.name, "data_hash": dataset.hash, "shape": list(dataset.shape), "licence": dataset.licence,
            "command": command, "role": "linear", "cpu_seconds": round(seconds, 2)}
    card |= figures(denoiser, card, dataset) | ({"notes": options.note} if options.note else {})
    save_checkpoint(path, denoiser, card)
    print(f"{path}: solved in {seconds:.2f} s of CPU; its card is {path.with_suffix('.json')}")


def autoencode(options: argparse.Namespace, command: str) -> None:
    path, dataset = output(options.save, ".safetensors"), data_of(options)
    config = autoencoder_config(options.latent, **changes_of(options))
    autoencoder, began, loss = make_autoencoder(dataset, config), time.thread_time(), 0.0
    with Bar(config.steps, f"encode {dataset.name}") as bar:
        for step, value in enumerate(train_autoencoder(autoencoder, dataset.x0, config)):
            loss += (value - loss) * max(0.02, 1 / (step + 1))
            bar(step + 1, f"loss {loss:.4g}")
    seconds = time.thread_time() - began
    card = {"training": dataclasses.asdict(config), "cpu_seconds": round(seconds, 2), "command": command}
    save_autoencoder(path, autoencoder, dataset, card | ({"notes": options.note} if options.note else {}))
    print(f"{path}: {config.steps:,} steps in {seconds:.1f} s of CPU, loss {loss:.4g}; its card is "
          f"{path.with_suffix('.json')}")


def teacher_of(options: argparse.Namespace) -> tuple[Denoiser, dict, Dataset]:
    """(denoiser, card, data) to make another model of. ValueError if it is not known how or on what it was trained."""
    if options.model in SOLVED:
        raise ValueError(f"{options.model} is no network that was trained; train one first")
    denoiser, card, dataset = network_of(options.model, data_of(options))
    if "training" not in card:
        raise ValueError(f"{options.model} is no network with a card that says how it was trained; train one first")
    if dataset is None:
        raise ValueError(f"{options.model} was trained on data of somebody's own; give them with --data")
    return denoiser, card, dataset


def named(model: str, card: dict) -> dict[str, str]:
    """Which model another was made of, for that one's card."""
    return {"name": Path(model).stem, "sha256": card["sha256"]}


def learn(trainer: Trainer, path: Path, card: dict, note: str | None, keeper: Keeper | None = None) -> None:
    """Train to the end, save the model and tell so."""
    dataset = trainer.dataset
    with keeper.watching(trainer) if keeper else nullcontext():
        with Bar(trainer.config.steps, f"train {dataset.name}") as bar:
            loss = 0.0
            for step in trainer.run():
                # One batch's loss jumps about; an average over some fifty of them can be read.
                loss += (step.loss - loss) * max(0.02, 1 / (step.index + 1))
                bar(step.index + 1, f"loss {loss:.4g}")
                if keeper:
                    keeper.look(trainer)
        card |= {"data": dataset.name, "line": trainer.config.line}
        card |= figures(trainer.ema.cpu(), card, dataset)
        save_checkpoint(path, trainer, card | ({"notes": note} if note else {}))
    print(f"{path}: {trainer.step:,} steps in {trainer.seconds:.1f} s of CPU, loss {loss:.4g}; its card is "
          f"{path.with_suffix('.json')}")


def device_of(name: str, kind: str) -> torch.device:
    """The device of that name, or for "auto" the one that suits this kind of data. ValueError if it is not here."""
    if name == "auto":
        return best_device(kind)
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used here ({reason}); cpu always can") from None
    return torch.device(name)


def classifier(options: argparse.Namespace, command: str) -> None:
    path, dataset = output(options.save, ".safetensors"), data_of(options)
    trainer = ClassifierTrainer(dataset, classifier_config(dataset, **changes_of(options)))
    with Bar(trainer.config.steps, f"classify {dataset.name}") as bar:
        loss = accuracy = 0.0
        for step in trainer.run():
            share = max(0.02, 1 / (step.index + 1))
            loss, accuracy = loss + (step.loss - loss) * share, accuracy + (step.accuracy - accuracy) * share
            bar(step.index + 1, f"loss {loss:.4g}")
    save_classifier(path, trainer, {"command": command, "final_loss": round(loss, 6)}
                    | ({"notes": options.note} if options.note else {}))
    print(f"{path}: {trainer.step:,} steps in {trainer.seconds:.1f} s of CPU, loss {loss:.4g}, {accuracy:.0%} right "
          f"over all noise levels; its card is {path.with_suffix('.json')}")


def walked(asked: Asked, options: argparse.Namespace, command: str, every: int = 1) -> Iterator[View]:
    """The film that is asked for, as it grows, under a bar. What it is made from also says by which command."""
    recipe, brought = asked.recipe, asked.brought
    growing = {
        "denoise": lambda: denoise(recipe, brought, every, TRACE_BUDGET),
        "compare": lambda: compare(recipe, brought, TRACE_BUDGET),
        "lens": lambda: lens(recipe, brought),
        "forward": lambda: iter([forward_film(recipe, brought)]),
    }
    if recipe.tab not in growing:
        raise ValueError(f"a training is no film that can be asked for here; there are {', '.join(growing)}")
    film = None
    with Bar(1, f"{recipe.tab} {options.model or recipe.model}") as bar:
        for film in growing[recipe.tab]():
            film.about["command"] = command
            bar.total = max(film.total, 1)
            bar(film.frames)
            yield film
    if isinstance(film, TraceView):
        film.trace.about["command"] = command


def sample(options: argparse.Namespace, command: str) -> None:
    path = output(options.out, ".npz", ".png", ".safetensors")
    kind = path.suffix.lower()
    asked = asked_of(options, data_of)
    if asked.recipe.tab != "denoise" or asked.recipe.model == MEMORY:
        raise ValueError("samples are those of one walk; a comparison, or a film of another tab, is made by `gif`")
    if kind == ".png":
        needs_data(asked, options)
    # Of samples alone nothing of their way is wanted, which would be the largest part.
    *_, film = walked(asked, options, command, every=asked.recipe.steps if kind == ".npz" else 1)
    dataset, trace = film.dataset, film.trace
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == ".png":
        if dataset.decode is not None:
            offer_decoded(film, shown=len(trace.final) if dataset.kind == "images" else DECODED)
        shown = ("x0",) if dataset.kind == "points" or dataset.decode is None else ()
        shown += ("decoded_x0",) if dataset.decode is not None else ()
        export(film.scene(shown, first=film.frames - 1), path, size=512, captions=False)
    elif kind == ".safetensors":
        trace.save(path)
    else:
        drawn = {} if dataset.decode is None else {"decoded": dataset.decode(trace.final).numpy()}
        with atomic_write(path) as part:
            np.savez_compressed(part, x0=trace.final.numpy(), **drawn, about=np.array(json.dumps(trace.about)))
    recipe = asked.recipe
    print(f"{path}: {len(trace.final):,} samples, {recipe.sampler}, {recipe.steps:,} steps, seed {recipe.seed}")


def needs_data(asked: Asked, options: argparse.Namespace) -> None:
    """ValueError if the data that a film shows beside the samples are not known."""
    if not asked.known:
        raise ValueError(f"{options.model} was trained on data of somebody's own; give them with --data")


def gif(options: argparse.Namespace, command: str) -> None:
    path = output(options.out, *(f".{suffix}" for suffix in FORMATS))
    asked = asked_of(options, data_of)
    needs_data(asked, options)
    panels = asked.recipe.panels or None
    look = {"fps": options.fps, "pacing": options.pacing, "hold": options.hold, "size": options.size,
            "theme": options.theme}
    checked = False
    for film in walked(asked, options, command, options.every):
        if not checked and film.frames:
            # Whatever is wrong with how it shall look shows in the first frame, and not after the walk.
            check(film.scene(panels, 0, 1), path.suffix[1:].lower(), **look)
            checked = True
    scene = film.scene(panels)
    path.parent.mkdir(parents=True, exist_ok=True)
    if "{megabytes" in FORMATS[path.suffix[1:].lower()].expects:
        print(f"{path} will have {estimate(scene, path.suffix[1:], **look) / 1e6:.2f} MB")
    with Bar(scene.frames, f"draw {path.name}", "frames") as bar:
        export(scene, path, progress=lambda drawn, _: bar(drawn), **look)
    print(f"{path}: {scene.frames} frames, {path.stat().st_size:,} bytes, seed {asked.recipe.seed}")


def show_recipe(options: argparse.Namespace, command: str) -> None:
    print(json.dumps(read_recipe(options.file), indent=2, ensure_ascii=False))


def diagnose(options: argparse.Namespace, command: str) -> int:
    if (options.file is None) == (options.bug is None):
        raise ValueError("diagnose what? Give either the FILE that run.save wrote, or --bug NAME for a script of the "
                         "museum")
    case = None if options.bug is None else case_named(options.bug)
    report = (Run.load(options.file) if case is None else run_of_case(case, options.seed)).diagnose()
    if options.json:
        print(json.dumps(report.to_dict() | ({} if case is None else {"case": told(case)}), indent=1, default=str,
                         ensure_ascii=False))
    else:
        print(report if case is None else f"{report}\n\n{revealed(case)}")
    return report.exit_code


def case_named(name: str) -> Case:
    """A case of the museum. ValueError lists them."""
    cases = museum()
    if name not in cases:
        raise ValueError(f"--bug {name}: the museum has no such case; it has {', '.join(cases)}")
    return cases[name]


def run_of_case(case: Case, seed: int) -> Run:
    """What is seen of a case's script while it runs. CannotShow if it needs what is not installed."""
    *_, at = run_case(case, seed)
    return at.run


def revealed(case: Case) -> str:
    """What is wrong with a case's script and how that is found, as text."""
    if case.place is None:
        return f"The museum: the script {case.script} is sound ({case.title})."
    changed = [line for old, new in case.edits for line in (*(f"  - {x.strip()}" for x in old.strip().splitlines()),
                                                            *(f"  + {x.strip()}" for x in new.strip().splitlines()))]
    return "\n".join([f"The museum: the fault of {case.script} is at {case.place}. {case.title}; met in {case.met}.",
                      *changed, *(f"{k}. {step}" for k, step in enumerate(case.procedure, 1))])

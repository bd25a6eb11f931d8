"""How often does the Doctor name the right line? python -m benchmarks.diagnosis [--only museum,sound,mutants,libraries]

museum     every case of the museum, by two networks and three seeds: is its place first?
sound      correct scripts, however odd, by two networks and five seeds: no cause?
mutants    every operator, root and index of the lines of Algorithms 1 and 2 in the museum's scripts, changed by
           machine: is a place of that line first? What cannot run, or gives the script's own numbers, is left out
libraries  diffusers' schedulers, and whatever of smalldiffusion, denoising-diffusion-pytorch, azula and k-diffusion is
           installed: a short training and a walk each, watched from outside

Each row is kept as soon as it is there (diagnosis.json), and the tables are made of all that are (DIAGNOSIS.md): parts
can be run one by one, `--missing` goes on where one was stopped, `--names` makes single rows anew.
"""

from __future__ import annotations

import argparse
import ast
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.libraries import JOBS
from core.debug import Place, Run
from core.debug.cases import CASES, SOUND, Case
from core.files import atomic_write

RESULTS, RECORD = (Path(__file__).parent / name for name in ("DIAGNOSIS.md", "diagnosis.json"))
NETWORKS = ({"width": 64, "depth": 2}, {"width": 40, "depth": 3})
PICTURES = ({"width": 24, "depth": 1}, {"width": 16, "depth": 2})

#: script → (a line, the places a change of it may be named by)
LINES: dict[str, tuple[tuple[str, tuple[Place, ...]], ...]] = {
    "points_ddpm": (
        ("x_t = a.sqrt() * x0 + (1 - a).sqrt() * noise", (Place.FORWARD,)),
        ("loss = ((predicted - noise) ** 2).mean()", (Place.LOSS, Place.TARGET)),
        ("mean = (x - betas[i] / (1 - alpha_bar[i]).sqrt() * predicted) / alphas[i].sqrt()", (Place.STEP,)),
        ("x = mean + posterior_variance[i].sqrt() * z", (Place.STEP_NOISE,)),
    ),
    "points_ddim": (
        ("return torch.sqrt(a) * x + torch.sqrt(1 - a) * eps, eps", (Place.FORWARD,)),
        ("x0 = (x - (1 - a_t).sqrt() * eps) / a_t.sqrt()", (Place.STEP, Place.PARAMETERIZATION, Place.SCHEDULE)),
        ("direction = (1 - a_s - sigma**2).sqrt() * eps", (Place.STEP,)),
        ("x = a_s.sqrt() * x0 + direction + sigma * torch.randn_like(x)", (Place.STEP, Place.STEP_NOISE)),
    ),
    "points_flow": (
        ("xt = (1 - t) * x0 + t * x1", (Place.FORWARD,)),
        ("target = x1 - x0", (Place.TARGET,)),
        ("x = x + v * dt", (Place.STEP,)),
    ),
    "pictures_ddpm": (
        ("return extract(sqrt_abar, t, x_start) * x_start + extract(sqrt_one_minus_abar, t, x_start) * noise",
         (Place.FORWARD,)),
        ("v = extract(sqrt_abar, t, x_start) * noise - extract(sqrt_one_minus_abar, t, x_start) * x_start",
         (Place.TARGET,)),
        ("x_start = extract(sqrt_abar, t, x) * x - extract(sqrt_one_minus_abar, t, x) * v",
         (Place.PARAMETERIZATION, Place.STEP)),
        ("mean = extract(coef_x0, t, x) * x_start + extract(coef_xt, t, x) * x", (Place.STEP,)),
        ("return mean + mask * (0.5 * extract(log_variance, t, x)).exp() * noise", (Place.STEP_NOISE,)),
    ),
    "pictures_guided": (
        ("noisy = ac**0.5 * images + (1 - ac) ** 0.5 * noise", (Place.FORWARD,)),
        ("e = uncond + w * (cond - uncond)", (Place.GUIDANCE,)),
        ("pred = (xs - (1 - ac) ** 0.5 * e) / ac**0.5", (Place.STEP, Place.PARAMETERIZATION, Place.SCHEDULE)),
        ("xs = ac_next**0.5 * pred + (1 - ac_next) ** 0.5 * e", (Place.STEP,)),
    ),
    "points_edm": (
        ("d_cur = (x_cur - D(x_cur, t_cur.expand(SAMPLES))) / t_cur", (Place.STEP, Place.PARAMETERIZATION)),
        ("x_next = x_cur + (t_next - t_cur) * d_cur", (Place.STEP, Place.LADDER)),
        ("x_next = x_cur + (t_next - t_cur) * (0.5 * d_cur + 0.5 * d_prime)", (Place.STEP,)),
    ),
}

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}


def mutants(line: str) -> Iterator[tuple[str, str]]:
    """(what was changed, the line changed) of one line: operators swapped, roots dropped, indices shifted."""
    tree = ast.parse(f"def f():\n    {line}" if line.startswith("return") else line)
    count = sum(1 for _ in ast.walk(tree))
    for k in range(count):
        for kind in ("operator", "root", "index"):
            changed = ast.parse(ast.unparse(tree))
            node = list(ast.walk(changed))[k]
            if kind == "operator" and isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
                node.op = SWAPS[type(node.op)]()
            elif kind == "root" and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and (
                    isinstance(node.right, ast.Constant) and node.right.value == 0.5):
                node.right = ast.Constant(1)
            elif kind == "root" and isinstance(node, ast.Call) and ast.unparse(node.func).endswith("sqrt"):
                inner = node.args[0] if node.args else node.func.value
                for parent in ast.walk(changed):
                    for name, value in ast.iter_fields(parent):
                        if value is node:
                            setattr(parent, name, inner)
                        elif isinstance(value, list) and node in value:
                            value[value.index(node)] = inner
            elif kind == "index" and isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
                node.slice = ast.BinOp(node.slice, ast.Sub(), ast.Constant(1))
            else:
                continue
            body = changed.body[0].body[0] if isinstance(changed.body[0], ast.FunctionDef) else changed.body[0]
            yield kind, ast.unparse(body)


def settings(script: str, network: int, seed: int, quick: bool) -> dict[str, int]:
    chosen = (PICTURES if script.startswith("pictures") else NETWORKS)[network]
    return dict(chosen, seed=seed) | ({"steps": 60, "samples": 32} if quick else {})


@dataclass(frozen=True)
class Row:
    """One line of a table: its cells, and how many of how many runs were right."""

    cells: list[str]
    right: int
    total: int
    silent: int = 0  #: runs of which nothing was said though something is wrong


@dataclass(frozen=True)
class Part:
    """One table: `jobs` by name, each of which makes a row, and what the sum of all rows says."""

    columns: tuple[str, ...]
    jobs: Callable[[bool], dict[str, Callable[[], Row | None]]]
    says: Callable[[int, int, int], str]  #: right, total, silent → a sentence


def first(case: Case, **chosen) -> str | None:
    """The place that is named first; None for a healthy run."""
    report = case.run(**chosen).diagnose()
    return str(report.causes[0].place) if report.causes else None if report.seen else "nothing seen"


def museum_row(case: Case, quick: bool) -> Row:
    said = [first(case, **settings(case.script, n, s, quick)) for n in range(2) for s in range(3)]
    hits = sum(place == case.place for place in said)
    misses = ", ".join(str(place) for place in said if place != case.place)
    return Row([case.name, case.script, str(case.place), f"{hits} of {len(said)}", misses], hits, len(said))


def sound_row(case: Case, quick: bool) -> Row:
    said = [first(case, **settings(case.script, n, 10 + s, quick)) for n in range(2) for s in range(5)]
    wrong = [str(place) for place in said if place is not None]
    hits = len(said) - len(wrong)
    return Row([case.name, f"{case.script}: {case.title}", f"{hits} of {len(said)}", ", ".join(wrong)], hits, len(said))


def mutants_row(script: str, line: str, places: tuple[Place, ...]) -> Row:
    said = []
    for kind, changed in mutants(line):
        case = Case(f"{script}-{kind}", script, kind, ((line, changed),))
        try:
            place = first(case, **settings(script, 0, 0, True))
        except Exception:  # noqa: S112, BLE001 - a mutant that cannot run is none
            continue
        if place is None and _same(case, script):
            continue
        said.append((place, changed))
    hits = sum(place in places for place, _ in said)
    missed = "; ".join(f"`{changed}` → {place or 'nothing'}" for place, changed in said if place not in places)
    silent = sum(place is None for place, _ in said)
    return Row([script, f"`{line}`", f"{hits} of {len(said)}", missed], hits, len(said), silent)


def _same(case: Case, script: str) -> bool:
    """Whether a mutant's samples are those of the script: then nothing was changed."""
    small = settings(script, 0, 0, True) | {"steps": 3}
    both = []
    for one in (case, Case(script, script, "")):
        run = one.run(**small)
        both.append(run.walks[-1].final if run.walks else None)
    return all(b is not None for b in both) and both[0].shape == both[1].shape and bool((both[0] == both[1]).all())


def library_row(name: str, job: Callable[[], Run]) -> Row | None:
    """What is said of a library's run; None where it is not installed."""
    try:
        run = job()
    except ImportError as error:
        print(f"{name}: not installed ({error.name})", flush=True)
        return None
    report = run.diagnose()
    steps, asked = len(report.identified.get("steps", ())), run.facts["sampling_calls"]
    said = "healthy" if report.healthy else "nothing seen" if not report.seen else "; ".join(
        f"{c.place}: {c.says}" for c in report.causes)
    seen = f"{run.facts['training_calls']} calls of training, {asked} of sampling, {steps} steps read"
    return Row([name, seen, said], int(report.healthy), 1)


def _bound(right: int, total: int) -> str:
    """What no false alarm in so many runs says of their rate (Clopper and Pearson: 1 − 0.05^(1/n))."""
    return f", so with 95 % confidence in less than {1 - 0.05 ** (1 / total):.2%}" if right == total else ""


PARTS = {
    "museum": Part(
        ("case", "script", "place", "named first", "instead"),
        lambda quick: {case.name: partial(museum_row, case, quick) for case in CASES},
        lambda right, total, _: f"the right place first in {right} of {total} runs ({right / total:.1%})",
    ),
    "sound": Part(
        ("script", "what is odd", "healthy", "named"),
        lambda quick: {case.name: partial(sound_row, case, quick) for case in SOUND},
        lambda right, total, _: f"a cause in {total - right} of {total} runs{_bound(right, total)}",
    ),
    "mutants": Part(
        ("script", "line", "a place of it first", "instead"),
        lambda quick: {f"{script}:{k}": partial(mutants_row, script, *line)
                       for script, lines in LINES.items() for k, line in enumerate(lines)},
        lambda right, total, silent: f"a place of the changed line first in {right} of {total} "
                                     f"({right / total:.1%}); nothing said of {silent}",
    ),
    "libraries": Part(
        ("library", "seen", "said"),
        lambda quick: {name: partial(library_row, name, job) for name, job in JOBS.items()},
        lambda right, total, _: f"healthy in {right} of {total}",
    ),
}


def kept() -> dict[str, dict[str, Row]]:
    """The rows of earlier runs, by part and name."""
    told = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return {part: {name: Row(**row) for name, row in rows.items()} for part, rows in told.items()}


def keep(record: dict[str, dict[str, Row]]) -> None:
    """Write all rows, and the tables made of them."""
    plain = {name: {key: asdict(row) for key, row in rows.items()} for name, rows in record.items()}
    tables = ["\n".join(table(name, record[name])) for name in PARTS if name in record]
    head = "# The Doctor's record\n\n`python -m benchmarks.diagnosis` makes it anew.\n\n"
    written = {RECORD: json.dumps(plain, indent=1, ensure_ascii=False), RESULTS: head + "\n\n".join(tables)}
    for path, text in written.items():
        with atomic_write(path) as part:
            part.write_text(text + "\n", encoding="utf-8")


def table(name: str, rows: dict[str, Row]) -> list[str]:
    """One part as Markdown, in the order of its jobs; says how many rows are still to be made."""
    part = PARTS[name]
    names = list(part.jobs(False))
    made = [rows[key] for key in names if key in rows]
    right, total, silent = (sum(getattr(row, field) for row in made) for field in ("right", "total", "silent"))
    left = f" {len(made)} of {len(names)} rows are made." if len(made) < len(names) else ""
    lines = [f"**{name.capitalize()}**: {part.says(right, max(total, 1), silent)}.{left}", ""]
    cells = [list(part.columns), ["---"] * len(part.columns), *(row.cells for row in made)]
    return lines + ["| " + " | ".join(row) + " |" for row in cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, comma-separated: %(default)s")
    parser.add_argument("--names", nargs="+", default=[], help="rows of them; all if not said")
    parser.add_argument("--missing", action="store_true", help="only rows that are not kept yet")
    parser.add_argument("--quick", action="store_true", help="trainings of 60 steps; keeps nothing")
    given = parser.parse_args()
    unknown = [name for name in given.only.split(",") if name not in PARTS]
    if unknown:
        parser.error(f"--only {given.only}: there is no {', '.join(unknown)}; choose of {', '.join(PARTS)}")
    parts = {name: PARTS[name].jobs(given.quick) for name in given.only.split(",")}
    missing = [name for name in given.names if not any(name in jobs for jobs in parts.values())]
    if missing:
        parser.error(f"--names: there is no {', '.join(missing)} in {', '.join(parts)}")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for part, jobs in parts.items():
        for name, job in jobs.items():
            if given.names and name not in given.names or given.missing and name in kept().get(part, {}):
                continue
            if (row := job()) is None:
                continue
            print("| " + " | ".join(row.cells) + " |", flush=True)
            if not given.quick:
                record = kept()  # another part may be running beside
                record.setdefault(part, {})[name] = row
                keep(record)


if __name__ == "__main__":
    main()

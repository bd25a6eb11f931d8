"""How often does the Doctor name the right line? python -m benchmarks.diagnosis [--only museum,sound,mutants] [--quick]

museum     every case of the museum, by two networks and three seeds: is its place first?
sound      correct scripts, however odd, by two networks and five seeds: no cause?
mutants    every operator, root and index of the lines of Algorithms 1 and 2 in the museum's scripts, changed by
           machine: is a place of that line first? What cannot run, or gives the script's own numbers, is left out
libraries  diffusers' schedulers, and whatever of smalldiffusion, denoising-diffusion-pytorch, azula and k-diffusion is
           installed: a short training and a walk each, watched from outside
"""

from __future__ import annotations

import argparse
import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from core.debug import Place, watch
from core.debug.cases import CASES, SOUND, Case, load_script
from core.files import atomic_write

RESULTS = Path(__file__).parent / "DIAGNOSIS.md"
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


def first(case: Case, **chosen) -> str | None:
    """The place that is named first; None for a healthy run."""
    report = case.run(**chosen).diagnose()
    return str(report.causes[0].place) if report.causes else None if report.seen else "nothing seen"


def museum(quick: bool) -> list[str]:
    rows, right, total = [], 0, 0
    for case in CASES:
        said = [first(case, **settings(case.script, n, s, quick)) for n in range(2) for s in range(3)]
        hits = sum(place == case.place for place in said)
        misses = ", ".join(str(place) for place in said if place != case.place)
        rows.append(f"| {case.name} | {case.script} | {case.place} | {hits} of {len(said)} | {misses} |")
        right, total = right + hits, total + len(said)
        print(rows[-1], flush=True)
    head = ["| case | script | place | named first | instead |", "|---|---|---|---|---|"]
    return [f"**Museum**: the right place first in {right} of {total} runs ({right / total:.1%}).", "", *head, *rows]


def sound(quick: bool) -> list[str]:
    rows, ill, total = [], 0, 0
    for case in SOUND:
        said = [first(case, **settings(case.script, n, 10 + s, quick)) for n in range(2) for s in range(5)]
        wrong = [str(place) for place in said if place is not None]
        rows.append(f"| {case.name} | {case.script}: {case.title} | {len(said) - len(wrong)} of {len(said)} | "
                    f"{', '.join(wrong)} |")
        ill, total = ill + len(wrong), total + len(said)
        print(rows[-1], flush=True)
    bound = f"with 95 % confidence below {1 - 0.05 ** (1 / total):.2%}" if not ill else ""
    head = ["| script | what is odd | healthy | named |", "|---|---|---|---|"]
    return [f"**Sound scripts**: a cause in {ill} of {total} runs {bound}.", "", *head, *rows]


def run_mutants(quick: bool) -> list[str]:
    rows, right, total, silent = [], 0, 0, 0
    for script, lines in LINES.items():
        for line, places in lines:
            said = []
            for kind, changed in mutants(line):
                case = Case(f"{script}-{kind}", script, kind, ((line, changed),))
                try:
                    place = first(case, **settings(script, 0, 0, True))
                except Exception:  # noqa: S112, BLE001 - a mutant that cannot run is none
                    continue
                if place is None and _same(case, script):
                    continue
                said.append((place, kind, changed))
            hits = sum(place in places for place, *_ in said)
            missed = "; ".join(f"`{c}` → {p or 'nothing'}" for p, _, c in said if p not in places)
            silent += sum(place is None for place, *_ in said)
            rows.append(f"| {script} | `{line}` | {hits} of {len(said)} | {missed} |")
            right, total = right + hits, total + len(said)
            print(rows[-1], flush=True)
    head = ["| script | line | place of the line first | missed |", "|---|---|---|---|"]
    return [f"**Mutants**: a place of the changed line first in {right} of {total} ({right / max(total, 1):.1%}); "
            f"nothing said of {silent}.", "", *head, *rows]


def _same(case: Case, script: str) -> bool:
    """Whether a mutant's samples are those of the script: then nothing was changed."""
    small = settings(script, 0, 0, True) | {"steps": 3}
    both = []
    for one in (case, Case(script, script, "")):
        run = one.run(**small)
        both.append(run.walks[-1].final if run.walks else None)
    return all(b is not None for b in both) and both[0].shape == both[1].shape and bool((both[0] == both[1]).all())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"museum": museum, "sound": sound, "mutants": run_mutants, "libraries": libraries}
    parser.add_argument("--only", default=",".join(parts), help="comma-separated: %(default)s")
    parser.add_argument("--quick", action="store_true", help="trainings of 60 steps; writes no file")
    given = parser.parse_args()
    unknown = [name for name in given.only.split(",") if name not in parts]
    if unknown:
        parser.error(f"--only {given.only}: there is no {', '.join(unknown)}; choose of {', '.join(parts)}")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    found = [parts[name](given.quick) for name in given.only.split(",")]
    text = "# The Doctor's record\n\n" + "\n\n".join("\n".join(lines) for lines in found) + "\n"
    print(text)
    if not given.quick and len(found) == len(parts):
        with atomic_write(RESULTS) as part:
            part.write_text(text, encoding="utf-8")


SCHEDULERS = ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler",
              "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler",
              "DPMSolverSinglestepScheduler", "KDPM2DiscreteScheduler", "UniPCMultistepScheduler",
              "DEISMultistepScheduler", "FlowMatchEulerDiscreteScheduler")


def _with_scheduler(name: str):
    """The museum's script of small pictures, sampled by another scheduler of diffusers."""
    import diffusers

    kind = getattr(diffusers, name)
    flow = name.startswith("FlowMatch")
    source = load_script("pictures_scheduler")
    old = 'DDIMScheduler(num_train_timesteps=1000, beta_schedule="linear", clip_sample=True)'
    made = f'__import__("diffusers").{kind.__name__}.from_config(train_scheduler.config)'
    new = "None" if flow else made
    source = source.replace(f"sample_scheduler = {old}", f"sample_scheduler = {new}")
    if flow:
        source = source.replace("sample_scheduler = None", "from diffusers import FlowMatchEulerDiscreteScheduler\n"
                                "sample_scheduler = FlowMatchEulerDiscreteScheduler()")
        source = re.sub(r"noisy = .*\n", "sigma = ((timesteps + 1) / 1000).view(-1, 1, 1, 1)\n"
                        "        noisy = (1 - sigma) * clean + sigma * noise\n", source)
        source = source.replace("unet(noisy, timesteps), noise)", "unet(noisy, sigma.flatten() * 1000), noise - clean)")
        source = source.replace("* sample_scheduler.init_noise_sigma", "")
        source = source.replace("model_input = sample_scheduler.scale_model_input(latents, t)", "model_input = latents")
    names: dict = {"__name__": name}
    exec(compile(source, f"<{name}>", "exec"), names)  # noqa: S102 - our own text
    with watch(*names["networks"]) as run:
        names["train"]()
        names["sample"]()
    return run


def libraries(quick: bool) -> list[str]:
    jobs = {f"diffusers {name}": lambda name=name: _with_scheduler(name) for name in SCHEDULERS}
    from benchmarks.libraries import JOBS

    jobs |= JOBS
    rows, healthy, total = [], 0, 0
    for name, job in jobs.items():
        try:
            run = job()
        except ImportError as error:
            rows.append(f"| {name} | not installed: {error.name} | |")
            continue
        report = run.diagnose()
        steps = len(report.identified.get("steps", ()))
        said = "healthy" if report.healthy else "nothing seen" if not report.seen else "; ".join(
            f"{c.place}: {c.says}" for c in report.causes)
        rows.append(f"| {name} | {run.facts['training_calls']} calls, {steps} steps read | {said} |")
        healthy, total = healthy + report.healthy, total + 1
        print(rows[-1], flush=True)
    return [f"**Libraries**: healthy in {healthy} of {total}.", "", "| library | seen | said |", "|---|---|---|", *rows]


if __name__ == "__main__":
    main()

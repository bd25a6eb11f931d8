"""python -m benchmarks.mutants [--count N] [--only core/samplers] [--root CHECKOUT]: do the tests see wrong formulas?

Makes faults in the formulas of `core`, one at a time and in a copy of the checkout: an operator, a sign, a coefficient,
an index or a constant is another, a root or a logarithm is left out, two numbers are taken for each other. Then it runs
the tests of that file and reports which faults they see. MUTANTS.md holds what came out.

What is no formula is left alone: messages, checks of input, defaults, annotations. Of all faults those are taken whose
text has the smallest hash: the same ones in another checkout, as long as the lines they are made in stay.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]

_SCHEDULES = ("schedules", "forward", "prediction")
_SAMPLERS = ("samplers", "samplers_peers", "samplers_equations", "samplers_orders", "samplers_noise")
#: a file with formulas → the tests that are to see a fault in it, the likeliest and the quickest first
TESTS = {
    "core/schedules/base.py": _SCHEDULES,
    "core/schedules/curves.py": _SCHEDULES,
    "core/schedules/tables.py": _SCHEDULES,
    "core/samplers/ancestral.py": _SAMPLERS,
    "core/samplers/failing.py": _SAMPLERS,
    "core/samplers/jumping.py": _SAMPLERS,
    "core/samplers/multistep.py": _SAMPLERS,
    "core/samplers/ode.py": _SAMPLERS,
    "core/samplers/sde.py": _SAMPLERS,
    "core/forward.py": ("forward",),
    "core/prediction.py": ("prediction",),
    "core/reverse.py": ("reverse", "samplers"),
    "core/edits.py": ("edits",),
    "core/denoisers/base.py": ("mlp", "samplers_equations", "unet"),
    "core/denoisers/exact.py": ("prediction", "exact", "guidance_labels"),
    "core/denoisers/linear.py": ("linear",),
    "core/denoisers/wrappers.py": ("guidance", "guidance_labels"),
    "core/guidance/classifier.py": ("classifier",),
    "core/guidance/classifier_free.py": ("guidance_labels",),
    "core/training/weightings.py": ("training",),
    "core/training/consistency.py": ("consistency",),
    "core/training/reflow.py": ("reflow",),
    "core/metrics/distances.py": ("metrics", "memorization"),
    "core/metrics/coverage.py": ("coverage",),
    "core/metrics/likelihood.py": ("likelihood",),
    "core/metrics/memorization.py": ("memorization",),
    "core/probes/noise_error.py": ("noise_error",),
    "core/baselines/heat.py": ("heat",),
}
#: Calls without which a formula is another one: x.sqrt() → x, math.log(x) → x.
FUNCTIONS = {"sqrt", "exp", "log", "abs", "square", "clamp", "cumsum", "cumprod", "flip", "sigmoid", "logsumexp"}
OTHER = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
         ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
NAMES = {"max": "min", "min": "max", "alpha": "sigma", "sigma": "alpha", "alpha_t": "alpha_s", "alpha_s": "alpha_t",
         "sigma_t": "sigma_s", "sigma_s": "sigma_t", "x0": "eps", "eps": "x0", "maximum": "minimum",
         "minimum": "maximum", "cos": "sin", "sin": "cos", "mean": "sum"}


@dataclass(frozen=True)
class Mutant:
    """One fault: `was` is `now` in line `line` of `path`; `source()` is the whole file with it, as `ast` writes it."""

    path: str
    line: int
    where: str  #: the function, as Class.method
    was: str
    now: str
    source: Callable[[], str]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.where}: {self.was} → {self.now}"

    @property
    def rank(self) -> str:
        return sha256(f"{self.where} {self.was} {self.now}".encode()).hexdigest()


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in the place of a node by mistake."""
    if isinstance(node, ast.BinOp) and type(node.op) in OTHER:
        yield ast.BinOp(node.left, OTHER[type(node.op)](), node.right)
        if isinstance(node.op, (ast.Sub, ast.Div)):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in OTHER:
        yield ast.Compare(node.left, [OTHER[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FUNCTIONS:
        module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("math", "torch", "np")
        yield node.args[0] if module else node.func.value
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1 if type(node.value) is int else 1.25 * node.value + (node.value == 0))
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield ast.Name(NAMES[node.id], node.ctx)
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Store) and len(node.elts) == 2:
        yield ast.Tuple(node.elts[::-1], node.ctx)


def formulas(node: ast.AST, where: tuple[str, ...] = ()) -> Iterator[tuple[ast.AST, ast.AST, str, int | None, str]]:
    """(node, parent, field, index in it, function) of all that is computed; not of messages, checks and defaults."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "defaults", "kw_defaults"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(child, (ast.Raise, ast.Assert, ast.JoinedStr)):
                continue
            if isinstance(child, ast.If) and all(isinstance(inner, ast.Raise) for inner in child.body):
                continue
            named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
            inside = (*where, child.name) if named else where
            yield child, node, field, index, ".".join(inside)
            yield from formulas(child, inside)


def mutants(path: str, source: str) -> list[Mutant]:
    """All faults that can be made in a file, equal ones of a function once."""
    tree, made = ast.parse(source), {}
    for node, parent, field, index, where in list(formulas(tree)):
        for other in changes(node):
            def whole(node=node, other=other, parent=parent, field=field, index=index) -> str:
                place, key = (parent.__dict__, field) if index is None else (getattr(parent, field), index)
                place[key] = other
                text = ast.unparse(tree)
                place[key] = node
                return text

            mutant = Mutant(path, node.lineno, where, ast.unparse(node), ast.unparse(other), whole)
            made.setdefault((where, mutant.was, mutant.now), mutant)
    return list(made.values())


def chosen(root: Path, count: int, only: str = "") -> list[Mutant]:
    """So many faults of all files whose path begins with `only`, in the files' order."""
    every = [m for path in TESTS if path.startswith(only) for m in mutants(path, (root / path).read_text("utf-8"))]
    taken = set(sorted(every, key=lambda mutant: mutant.rank)[:count])
    return [mutant for mutant in every if mutant in taken]


def in_a_fork(work: Callable[[], int], seconds: int) -> tuple[int, float]:
    """The exit status of `work` in a process of its own, negative for a signal, and its processor time.

    Forked, so that libraries are loaded once and modules of the checkout each time; ended after `seconds` of its time.
    """
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            status = 99
            try:
                status = int(work())
            finally:
                os._exit(status)
    _, status, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def seen(folder: Path, tests: tuple[str, ...], seconds: int = 600) -> tuple[bool, float]:
    """Whether the tests in a copy of the checkout fail, and the processor time it took to say so."""

    def run() -> int:
        import pytest

        os.chdir(folder)
        sys.path[:] = [str(folder), *(path for path in sys.path if path not in ("", str(ROOT), str(folder)))]
        sys.dont_write_bytecode = True
        files = [f"tests/test_{name}.py" for name in tests if Path(f"tests/test_{name}.py").exists()]
        return pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files])

    status, used = in_a_fork(run, seconds)
    return status != 0, used


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=160, help="how many faults (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="PATH", help="files whose path begins so, as core/samplers")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout (default: this one)")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="every N-th from the K-th: N work at once")
    parser.add_argument("--list", action="store_true", help="name the faults, and run nothing")
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    picked = chosen(given.root, given.count, given.only)[part - 1 :: parts]
    if given.list:
        print(*picked, sep="\n")
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    import diffusers  # noqa: F401  loaded here, once for all that are forked
    import torch

    torch.set_num_threads(1)
    tally: dict[str, list[int]] = {}
    survivors, whole_run = [], {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / "checkout"
        shutil.copytree(given.root, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "docs"))
        for k, mutant in enumerate(picked):
            file, tests = folder / mutant.path, TESTS[mutant.path]
            if tests not in whole_run:
                fails, whole_run[tests] = seen(folder, tests)
                if fails:
                    raise SystemExit(f"the tests {', '.join(tests)} fail without any fault, or do not end")
            sound = file.read_text("utf-8")
            file.write_text(mutant.source(), "utf-8")
            caught, spent = seen(folder, tests, seconds=30 + 3 * round(whole_run[tests]))
            file.write_text(sound, "utf-8")
            counts = tally.setdefault(mutant.path, [0, 0])
            counts[0] += 1
            counts[1] += caught
            if not caught:
                survivors.append(mutant)
            print(f"{k + 1}/{len(picked)} {'caught' if caught else 'SURVIVED'} {spent:.0f} s  {mutant}", flush=True)
    print(f"\n{'file':36}caught  of")
    for path, (made, caught) in tally.items():
        print(f"{path:36}{caught:6}{made:4}")
    print(f"{'all':36}{sum(c for _, c in tally.values()):6}{sum(n for n, _ in tally.values()):4}\n\nsurvived:")
    print(*survivors, sep="\n")


if __name__ == "__main__":
    main()

"""Which module may know of which, and what no module may do: read from the sources, without running them."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEBUG = ROOT / "core" / "debug"  # imports its own parts by dots
CORE = sorted((ROOT / "core").rglob("*.py"))
SOURCES = [*CORE, *sorted((ROOT / "dashboard").rglob("*.py")), *ROOT.glob("app.py")]

#: A module may import those of earlier rows (and a package its own parts), never of its own row or a later one.
LAYERS = (
    {"autoencoder", "files", "schedules", "shapes"},
    {"datasets", "forward", "prediction"},
    {"denoisers", "samplers", "weightings"},
    {"guidance", "likelihood", "recipes", "walk"},
    {"edits", "metrics", "trace", "training"},
    {"consistency", "reflow"},
)
#: What draws. It knows scenes and pixels, and nothing of diffusion: whoever draws decides nothing.
DRAWING = {"files", "scene", "palettes", "raster", "lettering", "painters", "gif", "render", "export"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level or path.is_relative_to(DEBUG), f"{path}: imports are written in full"
            module = ".".join([*path.relative_to(ROOT).parts[:-node.level], node.module]) if node.level else node.module
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def part(path: Path) -> str:
    """The part of core a file belongs to: core/walk.py → walk, core/denoisers/mlp.py → denoisers."""
    return path.relative_to(ROOT / "core").with_suffix("").parts[0]


PARTS = {part(path) for path in CORE}


def known_parts(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("core.")} & PARTS - {part(path)}


def test_there_is_something_to_look_at():
    assert {"schedules", "walk", "trace", "denoisers"} <= PARTS and known_parts(ROOT / "core" / "walk.py")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_core_knows_neither_gradio_nor_the_dashboard():
    page = {"gradio", "gradio_client", "dashboard", "app"}
    known = {named(path): {name.split(".")[0] for name in imported(path)} & page for path in CORE}
    assert {path: names for path, names in known.items() if names} == {}


def test_the_whole_repository_passes_its_linter():
    ruff = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "."],
                          cwd=ROOT, capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout + ruff.stderr


def test_core_loads_without_gradio():
    script = "import sys, core.walk, core.trace, core.edits, core.guidance; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


def test_what_comes_first_knows_nothing_of_what_comes_later():
    for row, layer in enumerate(LAYERS):
        earlier = set().union(*LAYERS[:row])
        later = {named(path): known_parts(path) - earlier for path in CORE if part(path) in layer}
        assert {path: names for path, names in later.items() if names} == {}


def test_what_draws_knows_nothing_of_diffusion():
    for path in CORE:
        if part(path) in DRAWING:
            assert known_parts(path) <= DRAWING and "torch" not in imported(path), named(path)


def test_no_two_parts_of_core_need_each_other():
    graph = {name: set() for name in PARTS}
    for path in CORE:
        graph[part(path)] |= known_parts(path)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


def holds_a_yield(node: ast.AST) -> bool:
    """Whether a yield stands in this block itself, rather than in a function defined inside it."""
    if isinstance(node, (ast.Yield, ast.YieldFrom)):
        return True
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return any(holds_a_yield(child) for child in ast.iter_child_nodes(node) if not isinstance(child, inner))


def sets_the_gradient_mode(node: ast.With) -> bool:
    names = {n.attr if isinstance(n, ast.Attribute) else getattr(n, "id", "")
             for item in node.items for n in ast.walk(item.context_expr)}
    return bool(names & {"no_grad", "enable_grad", "inference_mode", "set_grad_enabled"})


def faults(module: ast.Module) -> list[int]:
    """Lines of `with torch.no_grad():` around a yield."""
    return [node.lineno for node in ast.walk(module)
            if isinstance(node, ast.With) and sets_the_gradient_mode(node) and holds_a_yield(node)]


def test_no_gradient_mode_is_held_across_a_yield():
    # The mode belongs to the thread: between two steps it would leak to the caller, and the next may run elsewhere.
    lines = {named(path): faults(tree(path)) for path in SOURCES}
    assert {path: found for path, found in lines.items() if found} == {}


def test_a_gradient_mode_held_across_a_yield_would_be_seen():
    bad = "def f():\n    with torch.no_grad():\n        for x in y:\n            yield x\n"
    fine = "def f():\n    with torch.no_grad():\n        g = [x for x in y]\n    yield g\n"
    inside = "with no_grad():\n    def g():\n        yield 1\n"
    assert faults(ast.parse(bad)) == [2]
    assert faults(ast.parse(fine)) == faults(ast.parse(inside)) == []

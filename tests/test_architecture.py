"""Which module may know of which, and what no module may do: read from the sources, without running them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "core").rglob("*.py"))
SOURCES = [*CORE, *sorted((ROOT / "dashboard").rglob("*.py")), *ROOT.glob("app.py")]

#: A room, or a file of the spine, may import those of earlier rows and its own parts, never of its own row or later.
LAYERS = (
    {"doors", "former", "numerics", "registry"},
    {"buffers", "files", "glossary", "scene", "schedules"},
    {"forward", "prediction", "drawing"},
    {"samplers", "data"},
    {"denoisers", "reverse"},
    {"guidance", "probes", "edits", "trace"},
    {"training"},
    {"baselines"},
    {"checkpoints"},
    {"metrics"},
    {"views"},
    {"debug"},
    {"recipe", "zoo"},
    {"runs"},
    {"lessons"},
    {"cli"},
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All that a file consists of: there are many, so they are gone through once."""
    return tuple(ast.walk(tree(path)))


@cache
def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    names, here = set(), path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join((*home, *([node.module] if node.module else [])))
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def part(path: Path) -> str:
    """The part of core a file belongs to: core/reverse.py → reverse, core/denoisers/mlp.py → denoisers."""
    return path.relative_to(ROOT / "core").with_suffix("").parts[0]


PARTS = {part(path) for path in CORE} - {"__init__", "__main__"}


def known_parts(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("core.")} & PARTS - {part(path)}


def test_there_is_something_to_look_at():
    assert {"schedules", "reverse", "trace", "denoisers"} <= PARTS and known_parts(ROOT / "core" / "reverse.py")
    assert PARTS == set().union(*LAYERS)


def test_core_knows_neither_gradio_nor_the_dashboard():
    for path in CORE:
        tops = {name.split(".")[0] for name in imported(path)}
        assert not tops & {"gradio", "gradio_client", "dashboard", "app"}, path


def test_core_speaks_of_itself_by_relative_imports_so_that_it_can_live_in_another_package():
    for path in CORE:
        for node in nodes(path):
            names = ([node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else
                     [alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
            assert "core" not in {name.split(".")[0] for name in names}, f"{path}:{node.lineno}"


def test_the_whole_repository_passes_its_linter():
    ruff = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "."],
                          cwd=ROOT, capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout + ruff.stderr


def test_what_comes_first_knows_nothing_of_what_comes_later():
    for row, layer in enumerate(LAYERS):
        for path in CORE:
            if part(path) in layer:
                assert known_parts(path) <= set().union(*LAYERS[:row]), path


def test_what_draws_knows_nothing_of_diffusion():
    for path in (ROOT / "core" / "drawing").rglob("*.py"):
        assert known_parts(path) <= {"doors", "files", "scene"} and "torch" not in imported(path), path


def test_no_two_parts_of_core_need_each_other():
    graph = {name: set() for name in PARTS}
    for path in CORE:
        if part(path) in PARTS:
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


def faults(module: Iterable[ast.AST]) -> list[int]:
    """Lines of `with torch.no_grad():` around a yield."""
    return [node.lineno for node in module
            if isinstance(node, ast.With) and sets_the_gradient_mode(node) and holds_a_yield(node)]


def test_no_gradient_mode_is_held_across_a_yield():
    # The mode belongs to the thread: between two steps it would leak to the caller, and the next may run elsewhere.
    for path in SOURCES:
        assert faults(nodes(path)) == [], path


def test_a_gradient_mode_held_across_a_yield_would_be_seen():
    bad = "def f():\n    with torch.no_grad():\n        for x in y:\n            yield x\n"
    fine = "def f():\n    with torch.no_grad():\n        g = [x for x in y]\n    yield g\n"
    inside = "with no_grad():\n    def g():\n        yield 1\n"
    assert faults(ast.walk(ast.parse(bad))) == [2]
    assert faults(ast.walk(ast.parse(fine))) == faults(ast.walk(ast.parse(inside))) == []

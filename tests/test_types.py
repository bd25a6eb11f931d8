"""What an editor and a type checker are told of the public names."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import core
import core.debug

ROOT = Path(__file__).parents[1]
PUBLIC = {name: getattr(core, name) for name in core.__all__} | {
    name: getattr(core.debug, name) for name in core.debug.__all__}


def functions(thing) -> list:
    """A function itself; of a class, what it defines that is public, and how it is made."""
    if not inspect.isclass(thing):
        return [thing]
    own = [value for name, value in vars(thing).items() if name == "__init__" or not name.startswith("_")]
    plain = [getattr(value, "__func__", value.fget if isinstance(value, property) else value) for value in own]
    return [value for value in plain if inspect.isfunction(value)]


#: What somebody writes who uses the public names, and what is to be known of it.
ASKS = f"""from core import {', '.join(core.__all__)}
from core.debug import watch
reveal_type(walk)
reveal_type(Step)
from core import diffuse
with watch() as run: reveal_type(run.diagnose())
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[bool, list[str]]:
    """What mypy says, asked once: {True: of ASKS, False: of the files that pyproject.toml names}."""
    asks = tmp_path_factory.mktemp("asks") / "asks.py"
    asks.write_text(ASKS)
    files = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]["files"]
    mypy = subprocess.run([sys.executable, "-m", "mypy", "--no-error-summary", *files, asks], cwd=ROOT,
                          capture_output=True, text=True)
    assert mypy.returncode in (0, 1), mypy.stdout + mypy.stderr
    lines = mypy.stdout.splitlines()
    return {of: [line for line in lines if ("asks.py:" in line) == of] for of in (True, False)}


def test_the_public_names_and_the_spine_pass_the_type_checker(said):
    assert not [line for line in said[False] if ": error:" in line]


@pytest.mark.parametrize("name", [name for name, thing in PUBLIC.items() if inspect.isroutine(thing) or
                                  inspect.isclass(thing)])
def test_every_argument_and_result_of_a_public_name_has_a_type(name):
    thing = PUBLIC[name]
    for function in functions(thing):
        told = inspect.signature(function)
        silent = [argument.name for argument in told.parameters.values()
                  if argument.annotation is argument.empty and argument.name not in ("self", "cls")]
        assert not silent, f"{function.__qualname__}: {silent}"
        assert function.__name__ == "__init__" or told.return_annotation is not told.empty, function.__qualname__
        assert (thing if inspect.isclass(thing) else function).__doc__, function.__qualname__


def test_a_type_checker_sees_the_names_that_are_there(said):
    # What stands under TYPE_CHECKING is never run; a name forgotten there would be Any to every editor.
    told = "\n".join(said[True])
    assert told.count("error:") == 1 and 'Module "core" has no attribute "diffuse"' in told, told
    for seen_type in ("def (denoise", "Iterator[core.reverse.Step]", "def (index: ", "core.debug.report.Report"):
        assert seen_type in told, told

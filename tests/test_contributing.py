"""What CONTRIBUTING.md says is to be touched is enough: each is added to a copy, in its own file, and used."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SAMPLER = re.search(r"```python\n(.*?)```", GUIDE, re.S)[1]
SCHEDULE = '''
from .base import Schedule, named


@named("circle", "a quarter circle")
class Circle(Schedule):
    """alpha = cos(πt/2), sigma = sin(πt/2)."""

    def __init__(self, T: int = 1000):
        self.name, self.T = "circle", T

    def __call__(self, t):
        return (t * 1.5707963).cos(), (t * 1.5707963).sin()
'''
DATA = '''

def ellipse() -> Shape:
    """A circle pressed flat."""
    return Shape(_polar(np.ones(COUNT), _even(COUNT, 2 * np.pi)) * [1.0, 0.5])


SHAPES["ellipse"] = ("Ellipse", ellipse, 0.02, "a circle pressed flat")
'''
NETWORK = '''
from torch import cat, nn

from .networks import network


@network("plain", "plain layers", "points", lambda config, data: {"dims": data.channels}, deepest=1)
class Plain(nn.Module):
    """Two layers on a point and its noise level."""

    def __init__(self, dims: int = 2, width: int = 128, labels: int = 0):
        super().__init__()
        self.architecture = {"network": "plain", "dims": dims, "width": width, "labels": labels}
        self.layers = nn.Sequential(nn.Linear(dims + 1, width), nn.SiLU(), nn.Linear(width, dims))

    def forward(self, x, t, noise_level, cond=None):
        return self.layers(cat([x, noise_level[:, None]], 1))
'''
FORMAT = '''

def _write_clocks(job: _Job, path: Path) -> None:
    scene = job.film.scene
    path.write_text("\\n".join([job.recipe, *(scene.text(scene.clock, frame) for frame, _ in job.shots)]))


FORMATS["clocks"] = Format("clocks", _write_clocks, lambda first: first[:2] == b\'{"\',
                           lambda path: path.read_text().splitlines()[0], ("every",), "{frames:.0f} lines")
'''
USE = """
from functools import partial
import torch
from core import Exact, load, make_sampler, make_schedule, start_noise, walk, Trace
from core.recipe.recipe import WORDS, Recipe
from core.runs.walks import denoise

recipe, complaints = Recipe.from_query("data=ellipse&model=exact&schedule=circle&sampler=midpoint&steps=20&samples=200")
assert not complaints, complaints
*_, view = denoise(recipe)
ends = view.trace.final
assert abs((ends / torch.tensor([1.0, 0.5])).norm(dim=1) - 1).median() < 0.05, "they do not arrive at the ellipse"
scene = view.scene(("x_t",))
assert scene.formula == "x_{s} = x_{t} + Δr · u_{m}" and scene.source.startswith("core/samplers/midpoint.py")
assert WORDS["schedule"]["circle"] == "a quarter circle" and not make_schedule("circle").check()
assert WORDS["sampler"]["midpoint"] == "midpoint" and WORDS["sampler"]["heun"] == "Heun"

from core.cli.parser import main
from core.zoo import roles
roles.sample_quality = partial(roles.sample_quality, n=50)  # what a card measures is tested elsewhere
words = "sample --data ellipse --model exact --sampler midpoint --steps 5 --n 50 --out ends.npz"
assert main(words.split()) == 0
from core.cli.offered import filled
assert all(name in filled("{samplers} {schedules} {networks}") for name in ("midpoint", "circle", "plain"))
assert WORDS["network"]["plain"] == "plain layers"
train = "train --data ellipse --steps 20 --network plain --set depth=1 --set width=16 --save plain.safetensors"
assert main(train.split()) == 0
assert main("gif --data ellipse --model exact --steps 4 --n 9 --out film.clocks".split()) == 0
from core.drawing.export import read_recipe, suffixes
from core.recipe.handed_back import HANDED_OUT
assert read_recipe("film.clocks")["data"] == "ellipse" and suffixes().endswith(".clocks") and ".clocks" in HANDED_OUT
from core import load_checkpoint
assert load_checkpoint("plain.safetensors")[0].network.architecture["network"] == "plain"
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the core, with a sampler, a schedule, a network, a data set and an export format more."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "core", folder / "core")  # with what Python compiled of it: less to do
    (folder / "pretrained").symlink_to(ROOT / "pretrained")
    (folder / "core" / "samplers" / "midpoint.py").write_text(SAMPLER, "utf-8")
    (folder / "core" / "schedules" / "circle.py").write_text(SCHEDULE, "utf-8")
    (folder / "core" / "denoisers" / "plain.py").write_text(NETWORK, "utf-8")
    with open(folder / "core" / "data" / "shapes.py", "a", encoding="utf-8") as file:
        file.write(DATA)
    with open(folder / "core" / "drawing" / "export.py", "a", encoding="utf-8") as file:
        file.write(FORMAT)
    return folder


@pytest.fixture
def no_core_yet():
    """This process as before it has imported the core: what it imports of it meanwhile is forgotten afterwards."""
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "core"}
    for name in ours:
        del sys.modules[name]
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "core"]:
        del sys.modules[name]
    sys.modules.update(ours)


def test_a_sampler_a_schedule_a_network_data_and_a_format_are_there_once_their_file_is(copy, no_core_yet, monkeypatch):
    monkeypatch.chdir(copy)
    monkeypatch.syspath_prepend(copy)
    exec(USE, {})
    assert Path(sys.modules["core"].__file__).is_relative_to(copy)
    assert (copy / "ends.npz").stat().st_size > 100
    clocks = (copy / "film.clocks").read_text().splitlines()[1:]
    assert clocks == [f"step {k} / 4 · t = {1 - k / 4:.3f}" for k in range(5)]


def test_two_of_one_name_are_refused():
    from core.samplers import sampler
    from core.schedules import named
    from core.denoisers import network

    def heun(schedule):
        pass

    with pytest.raises(ValueError, match="there is a network 'mlp' already"):
        network("mlp", "another", "points", dict)(object)
    with pytest.raises(ValueError, match="there is a sampler 'heun' already"):
        sampler("another", formula="", figures="", note="", line="")(heun)
    with pytest.raises(ValueError, match="there is a schedule 'flow' already"):
        named("flow")(heun)


def rows() -> list[list[str]]:
    """The table of what to touch: (what, file, and at most one more)."""
    table = [line for line in GUIDE.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def test_nothing_needs_more_than_two_files_and_all_that_are_named_are_there():
    assert {"sampler", "schedule", "network", "export format", "API call"} <= {row[0] for row in rows()}
    for what, *cells in rows():
        assert len(cells) == 2, what
        for path in re.findall(r"`((?:core|dashboard)/[\w/.]+)`", " ".join(cells)):
            assert (ROOT / path).exists(), f"{what}: {path}"


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_file_that_is_named_is_there(name):
    text = (ROOT / name).read_text("utf-8")
    rooms = "core|dashboard|tests|docs|pretrained|package|benchmarks"
    named = set(re.findall(rf"(?:{rooms})/[\w/.-]+\.(?:py|js|md|png|gif)", text))
    missing = [path for path in named if not (ROOT / path).exists()]
    assert named and not missing


def test_the_walk_through_the_architecture_comes_back_to_no_file():
    walk = (ROOT / "ARCHITECTURE.md").read_text("utf-8").split("## From the address to a frame")[1]
    files = re.findall(r"`((?:core|dashboard)/[\w/]+\.\w+)`", walk)
    assert len(files) > 12 and len({*files}) == len(files)


def test_the_rows_of_the_architecture_are_those_that_are_held():
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("layers", ROOT / "tests" / "test_architecture.py")
    layers = module_from_spec(spec)
    spec.loader.exec_module(layers)
    told = [set(line.split(", ")) for line in re.search(r"```\n(doors.*?)```", text, re.S)[1].splitlines()]
    assert told == [*map(set, layers.LAYERS)]

"""Installed, as people have it: the built wheel in an empty environment, in a project with a core/ of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from hatchling.build import build_wheel
from packaging.requirements import Requirement

import core
import noisescope
from dashboard.server.storage import PREFIX
from noisescope.__main__ import main as command

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

OWN = """\
import core, dashboard.page
from core import reverse
assert (core.NAME, reverse.walk(), dashboard.page.NAME) == ("mine", "my own", "mine"), core
import noisescope
import sys
assert "torch" not in sys.modules, "torch is loaded before it is needed"
import torch
from noisescope import Trace, Step, load_pretrained, watch
from noisescope.core.data.datasets import load
denoiser, card = load_pretrained("trex")
load_pretrained("digits8")
assert "sympy" not in sys.modules, "a model loads torch's compiler"
assert Step.__module__ == "noisescope.core.reverse" and card["data"] == load("trex").name
assert sys.modules["core"] is core and core.NAME == "mine"
with watch(denoiser.network) as run:
    pass
import noisescope.core.edits, noisescope.core.guidance.classifier_free, noisescope.core.views
assert "gradio" not in sys.modules, "the core needs no page"

from noisescope.core.guidance.classifier import slope
from noisescope.core.training.classifier import ClassifierConfig, ClassifierTrainer
from noisescope.core.training.presets import TrainingConfig
from noisescope.core.training.trainer import Trainer
data, training = load("moons"), dict(steps=1, batch=8)
next(Trainer(data, TrainingConfig("mlp", **training)).run())
trainer = ClassifierTrainer(data, ClassifierConfig(**training))
next(trainer.run())
slope(trainer.classifier, data.x0[:3], torch.tensor(0.5), torch.tensor([1]))
compiler = {"torch._dynamo", "torch._inductor", "sympy"} & {*sys.modules}
assert not compiler, f"{compiler} of torch's compiler take seconds and 75 MB for good, and nobody needs them"
print(noisescope.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder, here = tmp_path_factory.mktemp("wheel"), os.getcwd()
    os.chdir(ROOT)
    try:
        return folder / build_wheel(str(folder))
    finally:
        os.chdir(here)


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """The folder of commands of an environment that holds the wheel; what it needs is borrowed from this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    site = Path(subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                               capture_output=True, text=True).stdout.strip())
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index",
                    "--no-compile", "--disable-pip-version-check", wheel], check=True)
    borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "borrowed.pth").write_text("\n".join(borrowed))
    return folder / "bin"


@pytest.fixture
def project(tmp_path) -> Path:
    """Somebody's project: core/ and dashboard/ are theirs."""
    for file, text in {"core/__init__.py": "NAME = 'mine'", "core/reverse.py": "def walk(): return 'my own'",
                       "core/cli.py": "raise SystemExit('not Noisescope')", "app.py": "raise SystemExit('not yours')",
                       "dashboard/__init__.py": "", "dashboard/page.py": "NAME = 'mine'"}.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


def run(project: Path, *words, **environ) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(words, cwd=project, env={**clean, **environ}, capture_output=True, text=True)


def test_the_wheel_claims_no_name_but_its_own(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"noisescope", f"noisescope-{PROJECT['version']}.dist-info"}


def test_the_wheel_holds_every_file_that_is_needed_and_nothing_that_was_left_about(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name.removeprefix("noisescope/") for name in archive.namelist() if name.startswith("noisescope/")}
    git = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "core", "dashboard",
                          "pretrained", "lessons", "app.py"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("this is no git checkout, so there is no list of its files")
    tracked = {name for name in git.stdout.splitlines() if (ROOT / name).exists()}
    assert len(tracked) > 100 and tracked <= held, tracked - held
    assert {Path(name).name for name in held - tracked} <= {"__init__.py", "__main__.py", "py.typed"}


def test_it_lives_in_a_project_that_has_a_core_of_its_own_and_never_loads_torchs_compiler(environment, project):
    done = run(project, environment / "python", "-c", OWN)
    assert done.returncode == 0, done.stderr
    assert str(environment.parent) in done.stdout


def test_its_command_is_the_command_line_wherever_it_is_given(environment, project):
    done = run(project, environment / "noisescope", "gif", "--dance", PYTHONPATH=str(project))
    assert done.returncode == 2 and "noisescope gif --help tells more" in done.stderr, done.stderr
    module = run(project, environment / "python", "-m", "noisescope", "sing")
    assert module.returncode == 2 and "noisescope --help tells more" in module.stderr


def test_its_help_lists_the_page_and_the_commands_by_its_own_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert command(["--help"]) == 0
    told = capsys.readouterr().out
    assert "--port" in told and "noisescope gif --model trex.safetensors" in told
    with pytest.raises(SystemExit) as ended:
        command(["gif", "--help"])
    gif = capsys.readouterr().out
    assert ended.value.code == 0 and gif.startswith("usage: noisescope gif") and "python -m" not in told + gif


def test_its_command_opens_the_page_and_ends_with_0_while_it_trains(environment, project, free_port, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    files = tmp_path / "files"
    files.mkdir()
    page = subprocess.Popen([environment / "noisescope", "--port", str(free_port)], cwd=project, text=True,
                            env=clean | {"GRADIO_TEMP_DIR": str(files), "OMP_NUM_THREADS": "1"},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        said = page.stdout.readline()
        found = re.search(r"is at (http://\S+)", said)
        assert found, f"it gave no address: {said}{page.stderr.read()}"
        with httpx.Client(base_url=found[1], timeout=600) as client:
            call = client.post("gradio_api/call/datasets", json={"data": []}).json()["event_id"]
            assert "trex" in client.get(f"gradio_api/call/datasets/{call}").text
            functions = {d["api_name"]: d["id"] for d in client.get("config").json()["dependencies"]}
            session = {"session_hash": secrets.token_hex(8)}
            join = {"data": ["data=digits8"], "fn_index": functions["train"], **session}
            event = client.post("gradio_api/queue/join", json=join).json()["event_id"]
            with client.stream("GET", "gradio_api/queue/data", params=session) as answers:
                messages = (json.loads(line[5:]) for line in answers.iter_lines() if line.startswith("data:"))
                assert any(m["msg"] == "process_starts" and m["event_id"] == event for m in messages)
                page.terminate()
                assert page.wait(600) == 0, page.stderr.read()
        assert page.stderr.read() == "" and not list(files.glob(f"{PREFIX}*"))
    finally:
        page.kill()
        page.communicate()


def test_what_it_needs_is_what_it_is_tested_with():
    pinned = {Requirement(line).name for line in (ROOT / "requirements.txt").read_text().splitlines() if line}
    wanted = [Requirement(line) for line in PROJECT["dependencies"]]
    assert {requirement.name for requirement in wanted} == pinned
    for requirement in wanted:
        assert requirement.specifier.contains(version(requirement.name)), requirement


def test_a_checkout_is_the_same_package():
    assert set(noisescope.__all__) == {*core.__all__, "watch"}
    assert all(getattr(noisescope, name) is not None for name in noisescope.__all__)
    assert Path(noisescope.core.__file__) == ROOT / "core" / "__init__.py"
    with pytest.raises(AttributeError, match="noisescope has no 'diffuse'; it has .*walk"):
        noisescope.diffuse  # noqa: B018


def test_every_paper_says_the_same_version_and_licence():
    number = PROJECT["version"]
    cited = dict(line.split(": ", 1) for line in (ROOT / "CITATION.cff").read_text().splitlines() if ": " in line)
    assert (cited["version"], cited["license"]) == (number, PROJECT["license"]) == (number, "MIT")
    assert re.search(r"^## (\S+?)(,|$)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == number
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    head = (ROOT / "README.md").read_text().split("---\n")[1]
    space = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    assert (space["license"], space["app_file"], space["header"]) == ("mit", "app.py", "mini")
    pinned = (ROOT / "requirements.txt").read_text()
    assert f"gradio=={space['sdk_version']}\n" in pinned and len(space["short_description"]) <= 60

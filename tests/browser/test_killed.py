"""A server that is killed while it trains, and started again: a reload finds the training, and it goes on."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from safetensors import safe_open

from dashboard.server.kept import KeptTrainings
from dashboard.server.serve import serve

#: More of the training is on the stage than where it began.
SHOWN = "(window.Noisescope && Noisescope.stageOf('stage-train')?.frames > 1)"


@pytest.fixture
def start(monkeypatch, free_port):
    """(folder) → address of a server that keeps trainings there as soon as they have a step more, always on the same
    port; the one before is ended by then."""
    with ExitStack() as running:
        def started(folder: Path) -> str:
            running.close()
            monkeypatch.setattr(KeptTrainings, "of", lambda _: KeptTrainings(folder, every=0))
            return running.enter_context(serve(host="127.0.0.1", port=free_port))

        yield started


def step_of(page) -> int:
    return int(page.inner_text("#training-status b").replace(",", ""))


def saved(folder: Path) -> int:
    """The step at which the training that is kept there was saved last, 0 if it never was."""
    for path in folder.glob("[!.]*.safetensors"):
        with safe_open(path, "pt") as file:
            return int(file.get_tensor("step"))
    return 0


def until(holds) -> None:
    """Wait for what happens on the disk."""
    while not holds():
        time.sleep(0.05)


def test_a_reload_after_a_kill_finds_the_training_and_it_goes_on(open_page, start, tmp_path):
    url = start(tmp_path / "kept")
    page = open_page(url, query="tab=train&data=gaussians8&train_steps=200000&batch=32&samples=20&steps=5")
    page.click("#train")
    page.wait_for_function(f"document.querySelector('#training-status b')?.innerText.length > 1 && {SHOWN}")
    seen = step_of(page)
    until(lambda: saved(tmp_path / "kept") >= seen)
    # What a kill leaves is what lies on the disk at that moment.
    shutil.copytree(tmp_path / "kept", tmp_path / "left", ignore=shutil.ignore_patterns(".*"))
    page.goto("about:blank")  # a page that stays reloads by itself as soon as the server is there, or a little later

    start(tmp_path / "left")
    page.goto(f"{url}?tab=train", wait_until="domcontentloaded")
    page.locator("#training-status").filter(has_text="paused").wait_for()
    found = step_of(page)
    assert found >= seen - 1 > 0
    page.wait_for_function(SHOWN)
    page.click("#resume")
    page.wait_for_function("step => Number(document.querySelector('#training-status b')?.innerText.replaceAll(',', ''))"
                           " > step", arg=found)

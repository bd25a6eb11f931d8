"""A server that is killed while it trains, and started again: a reload finds the training, and it goes on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from safetensors import safe_open

from dashboard.server.kept import KeptTrainings
from dashboard.server.serve import serve
from tests.sweep import SWEEP

ROOT = Path(__file__).parents[2]

#: More of the training is on the stage than where it began.
SHOWN = "(window.Noisescope && Noisescope.stageOf('stage-train')?.frames > 1)"


class Here:
    """A server in this process. What a kill leaves is what lies on the disk at that moment: that is copied."""

    def __init__(self, port: int, folder: Path, patch: pytest.MonkeyPatch):
        self.port, self.folder, self.patch, self.running = port, folder, patch, ExitStack()

    def start(self) -> str:
        kept = self.folder  # the server that is ended by then keeps on in the folder of before
        self.patch.setattr(KeptTrainings, "of", lambda _: KeptTrainings(kept, every=0))
        return self.running.enter_context(serve(host="127.0.0.1", port=self.port))

    def kill(self) -> None:
        self.folder = self.folder.with_name("left")
        shutil.copytree(self.folder.with_name("kept"), self.folder, ignore=shutil.ignore_patterns(".*"))
        self.end()

    def end(self) -> None:
        self.running.close()


class Apart:
    """A server that is a process, and is killed as the system does it."""

    def __init__(self, port: int, folder: Path, patch: pytest.MonkeyPatch):
        self.port, self.folder, self.process = port, folder, None
        patch.setenv("NOISESCOPE_KEEP", str(folder))
        patch.setenv("GRADIO_TEMP_DIR", str(folder.with_name("files")))

    def start(self) -> str:
        self.process = subprocess.Popen([sys.executable, "app.py", "--port", str(self.port)], cwd=ROOT, text=True,
                                        stdout=subprocess.PIPE)
        return re.search(r"http://\S+/", self.process.stdout.readline())[0]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    end = kill


@pytest.fixture
def server(monkeypatch, tmp_path, free_port):
    """A server that is started on the same port, and finds what it kept, each time. In a sweep it is a process."""
    made = (Apart if SWEEP else Here)(free_port, tmp_path / "kept", monkeypatch)
    yield made
    made.end()


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


def test_a_reload_after_a_kill_finds_the_training_and_it_goes_on(open_page, server):
    url = server.start()
    page = open_page(url, query="tab=train&data=gaussians8&train_steps=200000&batch=32&samples=20&steps=5")
    page.click("#train")
    page.wait_for_function(f"document.querySelector('#training-status b')?.innerText.length > 1 && {SHOWN}")
    seen = step_of(page)
    until(lambda: saved(server.folder) >= seen)
    server.kill()
    page.goto("about:blank")  # a page that stays reloads by itself as soon as the server is there, or a little later

    server.start()
    page.goto(f"{url}?tab=train", wait_until="domcontentloaded")
    page.locator("#training-status").filter(has_text="paused").wait_for()
    found = step_of(page)
    assert found >= seen - 1 > 0
    page.wait_for_function(SHOWN)
    page.click("#resume")
    page.wait_for_function("step => Number(document.querySelector('#training-status b')?.innerText.replaceAll(',', ''))"
                           " > step", arg=found)

"""A server that is killed while it trains, and started again: a reload finds the training, and it goes on."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(tmp_path, free_port):
    """() → (process, url) of a server, on the same port and with the same folders each time."""
    processes = []
    folders = {"GRADIO_TEMP_DIR": str(tmp_path / "files"), "NOISESCOPE_KEEP": str(tmp_path / "kept")}

    def started():
        process = subprocess.Popen([sys.executable, "app.py", "--port", str(free_port)], cwd=ROOT, text=True,
                                   stdout=subprocess.PIPE, env=os.environ | folders)
        processes.append(process)
        return process, re.search(r"http://\S+/", process.stdout.readline())[0]

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def step_of(page) -> int:
    return int(page.inner_text("#training-status b").replace(",", ""))


def saved(folder: Path) -> int:
    """The step at which the training that is kept there was saved last, 0 if it never was."""
    for path in folder.glob("[!.]*.safetensors"):
        with safe_open(path, "pt") as file:
            return int(file.get_tensor("step"))
    return 0


def until(holds):
    """Wait for what happens on the disk."""
    while not holds():
        time.sleep(0.05)


def test_a_reload_after_a_kill_finds_the_training_and_it_goes_on(open_page, start, tmp_path):
    server, url = start()
    page = open_page(url, query="tab=train&data=gaussians8&train_steps=200000&batch=32")
    page.click("#train")
    page.wait_for_function("document.querySelector('#training-status b')?.innerText.length > 1")  # ten steps at least
    seen = step_of(page)
    until(lambda: saved(tmp_path / "kept") >= seen)
    server.kill()
    server.wait()
    page.goto("about:blank")  # a page that stays reloads by itself as soon as the server is there, or a little later

    start()
    page.goto(f"{url}?tab=train", wait_until="domcontentloaded")
    page.locator("#training-status").filter(has_text="paused").wait_for()
    found = step_of(page)
    assert found >= seen - 1 > 0
    page.wait_for_function("(() => { const s = window.Noisescope && Noisescope.stageOf('stage-train');"
                           "return s && s.frames > 1; })()")
    page.click("#resume")
    page.wait_for_function("step => Number(document.querySelector('#training-status b')?.innerText.replaceAll(',', ''))"
                           " > step", arg=found)

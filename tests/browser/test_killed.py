"""A server that is killed while it trains, and started again: a reload finds the training, and it goes on."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


def until(holds):
    """Wait for what happens on the disk, and give it."""
    while not (found := holds()):
        time.sleep(0.05)
    return found


def test_a_reload_after_a_kill_finds_the_training_and_it_goes_on(open_page, start, tmp_path):
    server, url = start()
    page = open_page(url, query="tab=train&data=gaussians8&train_steps=200000&batch=32")
    page.click("#train")
    file = until(lambda: next((tmp_path / "kept").glob("[!.]*.safetensors"), None))
    page.wait_for_function("document.querySelector('#training-status b')?.innerText.length > 1")  # ten steps at least
    seen, saved = step_of(page), file.stat().st_mtime_ns
    until(lambda: file.stat().st_mtime_ns != saved)  # what was seen before is saved by then
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

    stranger = open_page(url, query="tab=train")
    stranger.wait_for_selector("body.ns-ready")
    assert stranger.query_selector(".ns-training") is None and not stranger.is_visible("#resume")

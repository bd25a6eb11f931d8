"""What it takes until something is seen, and another thing: python -m benchmarks.opening [FOLDER …]

The dashboard of this checkout, and of others by their folders, beside a bare page of Gradio, in turns. Needs Chromium
and Playwright, as the tests of the page do. Seconds of the clock until the server answers and until the film moves (on
the bare page: until its heading stands there), and processor time, which other programs on the machine hardly change;
of the page's thread also for a change of the recipe, until all has been seen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parents[1]
ROUNDS = 5
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu"]
BARE = """
import gradio as gr, torch
with gr.Blocks(analytics_enabled=False) as page:
    gr.HTML("<h1 id=bare>hello</h1>"), gr.Textbox(), gr.Button()
page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, _frontend=False)
print("is at", page.local_url, flush=True)
page.block_thread()
"""
MOVES = """() => {
    const stage = window.Noisescope?.stageOf?.('stage-denoise');
    return (document.querySelector('#bare') || stage?.frame > 1) && performance.now() / 1000;
}"""
CHANGES = 6
CHANGED = """seed => {
    window.filmBefore = Noisescope.stageOf('stage-denoise').film.id;
    history.pushState(null, '', `?steps=20&samples=50&seed=${seed}`);
    dispatchEvent(new PopStateEvent('popstate'));
}"""
SEEN = """() => {
    const { film } = Noisescope.stageOf('stage-denoise');
    return film && film.id !== filmBefore && film.total > 1 && film.ready === film.total;
}"""
SENT = """[...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
    .map(entry => entry.transferSize)"""


def spent(process: subprocess.Popen) -> float:
    """Seconds of processor time of a process so far."""
    numbers = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def started(folder: Path | None) -> tuple[subprocess.Popen, str, float, float]:
    """A server, its address, and what it took until it answered: seconds, and of those the processor's."""
    began, command = time.monotonic(), ["-c", BARE] if folder is None else ["app.py", "--host", "127.0.0.1"]
    server = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, text=True)
    line = next(line for line in server.stdout if "is at" in line)
    url = next(word for word in line.split() if word.startswith("http"))
    return server, url, time.monotonic() - began, spent(server)


def opened(browser, server: subprocess.Popen, url: str) -> tuple[float, float, float, int, float, float]:
    """First motion, processor time of the page's thread and of the server, requests, megabytes; and processor time of
    the page's thread for a change of the recipe."""
    before, page = spent(server), browser.new_page(viewport={"width": 1280, "height": 850})
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url, wait_until="commit")
    moved = page.wait_for_function(MOVES, polling="raf", timeout=120_000).json_value()
    page.wait_for_selector("body.ns-ready, #bare", timeout=120_000)
    used, sent, its = busy(metrics), page.evaluate(SENT), spent(server) - before
    change = changed(page, metrics) if page.query_selector("#bare") is None else float("nan")
    page.context.close()
    return moved, used, its, len(sent), sum(sent) / 1e6, change


def busy(metrics) -> float:
    """Processor time of the page's thread so far."""
    return next(entry["value"] for entry in metrics.send("Performance.getMetrics")["metrics"]
                if entry["name"] == "TaskDuration")


def changed(page, metrics) -> float:
    """The same for a change of the recipe, of several in a row."""
    page.wait_for_timeout(1500)  # what follows on opening is over
    before = busy(metrics)
    for seed in range(CHANGES):
        page.evaluate(CHANGED, 1000 + seed)
        page.wait_for_function(SEEN, polling=100)
        page.wait_for_timeout(300)
    return (busy(metrics) - before) / CHANGES


def main(folders: list[str]) -> None:
    sides = {"a bare page of Gradio": None, "this checkout": HERE, **{name: Path(name) for name in folders}}
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    servers = {name: started(folder) for name, folder in sides.items()}
    looks: dict[str, list[tuple]] = {name: [] for name in sides}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            for _ in range(ROUNDS):
                for name, (server, url, *_) in servers.items():
                    looks[name].append(opened(browser, server, url))
    finally:
        for server, *_ in servers.values():
            server.terminate()
    print("| | answers after (CPU) | first motion | page CPU | server CPU | requests | sent | a change |")
    print("|---" * 8 + "|")
    for name, (_, _, waited, used) in servers.items():
        moved, page, server, requests, sent, change = (median(column) for column in zip(*looks[name]))
        print(f"| {name} | {waited:.1f} s ({used:.1f}) | {moved:.2f} s | {page:.2f} s | {server:.2f} s | "
              f"{requests:.0f} | {sent:.2f} MB | {change:.2f} s |")


if __name__ == "__main__":
    main(sys.argv[1:])

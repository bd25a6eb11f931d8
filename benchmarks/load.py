"""Many at once: visitors who all train and ask for films, and what each of them waits for.

    python -m benchmarks.load --visitors 8 --every 10 --seconds 40

starts a server of its own, or takes the one at --url. A visitor does by HTTP what a page does: it opens the page, keeps
a heartbeat, trains the T-Rex without end, and asks for a film of 50 steps with another seed. Beside them a program asks
for the cheapest call once a second, and newcomers open the page. The visitors run in one process and take processor
time too, on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np

from benchmarks.measure import Row

STEPS_SHOWN = re.compile(r"step <b>([\d,]+)</b>")
#: Seconds of the clock after which one answer is given up.
PATIENCE = 120.0
#: (visitors, seconds between two films of one of them, film's p95 that is wanted)
GOALS = ((1, 10.0, 2.0), (4, 1.5, 8.0), (8, 10.0, 2.0), (8, 1.5, 8.0), (16, 10.0, 5.0))


@dataclass
class Seen:
    """What came of a run: seconds of the clock for each answer, and the training steps of each visitor."""

    films: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    steps: dict[int, list[int]] = field(default_factory=dict)  #: visitor → steps shown, in order

    def p95(self, name: str) -> float:
        values = getattr(self, name)
        return float(np.percentile(values, 95)) if values else float("nan")

    @property
    def advanced(self) -> list[int]:
        """Training steps that each visitor has seen taken, between the first look at them and the last."""
        return sorted(shown[-1] - shown[0] if len(shown) > 1 else 0 for shown in self.steps.values())

    def __str__(self) -> str:
        def told(name: str) -> str:
            values = getattr(self, name)
            if not values:
                return f"{name}: none"
            return (f"{name}: {np.median(values):.2f} s in the middle, p95 {self.p95(name):.2f}, "
                    f"longest {max(values):.2f}, {len(values)} of them")

        failures = f"failures: {len(self.failures)}" + "".join(f"\n  {text}" for text in sorted({*self.failures})[:5])
        return "\n".join([*map(told, ("films", "calls", "pages")), f"training steps: {self.advanced}", failures])


class Page:
    """One session of a page, by plain HTTP: its events by the id of what is pressed, its answers from its stream."""

    def __init__(self, client: httpx.AsyncClient, config: dict, heard: Callable[[str], None] = lambda text: None):
        self.client, self.heard = client, heard
        self.session = secrets.token_hex(8)
        props = {part["id"]: part["props"] for part in config["components"]}
        ids = {prop.get("elem_id"): number for number, prop in props.items()}
        self.values = {number: prop.get("value") for number, prop in props.items()}
        self.fields = {name.removeprefix("field-"): number for name, number in ids.items()
                       if name and name.startswith("field-")}
        self.events = {(None if event == "load" else target, event): dependency
                       for dependency in config["dependencies"] for target, event in dependency["targets"]}
        self.ids = ids
        self._waiting: dict[str, asyncio.Future] = {}
        self._stream: asyncio.Task | None = None
        self._heartbeat = asyncio.create_task(self._beat())

    async def ask(self, what: str | None, event: str, **settings) -> dict:
        """Do what an event of the page does, with settings of the sidebar; its last answer. RuntimeError in words."""
        dependency = self.events[self.ids[what] if what else None, event]
        values = self.values | {self.fields[name]: value for name, value in settings.items()}
        body = {"data": [values.get(number) for number in dependency["inputs"]], "fn_index": dependency["id"],
                "session_hash": self.session, "trigger_id": None, "event_data": None}
        reply = await self.client.post("gradio_api/queue/join", json=body)
        if reply.status_code != 200:
            raise RuntimeError(f"{reply.status_code}: {reply.text[:200]}")
        done = self._waiting.setdefault(reply.json()["event_id"], asyncio.get_running_loop().create_future())
        if self._stream is None or self._stream.done():
            self._stream = asyncio.create_task(self._listen())
        message = await asyncio.wait_for(done, PATIENCE)
        if not message["success"]:
            raise RuntimeError(str(message["output"].get("error"))[:200])
        return message["output"]

    async def _listen(self) -> None:
        try:
            async with self.client.stream("GET", "gradio_api/queue/data",
                                          params={"session_hash": self.session}) as reply:
                async for line in reply.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    self.heard(line)
                    if '"process_completed"' in line or '"close_stream"' in line:
                        message = json.loads(line[5:])
                        if message["msg"] == "close_stream":
                            return
                        self._waiting.pop(message["event_id"], asyncio.Future()).set_result(message)
        except httpx.HTTPError as error:
            for waiting in self._waiting.values():
                waiting.set_exception(RuntimeError(f"the stream broke: {error!r}"))
            self._waiting.clear()

    async def _beat(self) -> None:
        async with self.client.stream("GET", f"gradio_api/heartbeat/{self.session}") as reply:
            async for _ in reply.aiter_bytes():
                pass

    def close(self) -> None:
        self._heartbeat.cancel()
        if self._stream is not None:
            self._stream.cancel()


async def timed(into: list[float], failures: list[str], work) -> None:
    began = time.perf_counter()
    try:
        await work
        into.append(time.perf_counter() - began)
    except (TimeoutError, RuntimeError, httpx.HTTPError) as error:
        failures.append(f"{type(error).__name__}: {error}")
        into.append(time.perf_counter() - began)


async def open_page(client: httpx.AsyncClient, config: dict, pages: list[Page], **options) -> Page:
    """A newcomer: the page itself, and the answer to its arrival."""
    await client.get("")
    page = Page(client, config, **options)
    pages.append(page)
    await page.ask(None, "load")
    return page


async def visit(url: str, visitors: int, every: float, seconds: float, warm: float = 5.0) -> Seen:
    """Let so many visitors in for so long; films are counted after the first `warm` seconds."""
    seen, pages, tasks = Seen(), [], []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        config = (await client.get("config")).json()
        ends = time.monotonic() + warm + seconds

        def listener(number: int) -> Callable[[str], None]:
            def heard(text: str) -> None:
                for steps in STEPS_SHOWN.findall(text):
                    seen.steps[number].append(int(steps.replace(",", "")))
            seen.steps[number] = []
            return heard

        async def live(number: int) -> None:
            page = await open_page(client, config, pages, heard=listener(number))
            tasks.append(asyncio.create_task(page.ask("train", "click", train_steps=200_000)))
            await asyncio.sleep(warm + every * (number + 1) / visitors)
            while time.monotonic() < ends:
                began = time.monotonic()
                await timed(seen.films, seen.failures, page.ask("denoise", "click", steps=50,
                                                                seed=secrets.randbelow(100_000)))
                await asyncio.sleep(max(0.0, every - (time.monotonic() - began)) if every >= 5 else every)

        async def call() -> None:
            await asyncio.sleep(warm)
            while time.monotonic() < ends:
                page = Page(client, config)
                page.events[None, "datasets"] = next(d for d in config["dependencies"] if d["api_name"] == "datasets")
                await timed(seen.calls, seen.failures, page.ask(None, "datasets"))
                page.close()
                await asyncio.sleep(1.0)

        async def arrive() -> None:
            await asyncio.sleep(warm)
            while time.monotonic() < ends:
                newcomers: list[Page] = []
                await timed(seen.pages, seen.failures, open_page(client, config, newcomers))
                for page in newcomers:
                    page.close()
                await asyncio.sleep(4.0)

        try:
            await asyncio.gather(*map(live, range(visitors)), call(), arrive())
        finally:
            for task in tasks:
                if task.done():
                    seen.failures.append(f"a training ended: {task.exception() or 'too soon'}")
                task.cancel()
            for page in pages:
                page.close()
            await asyncio.gather(*tasks, return_exceptions=True)
    return seen


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """A server of our own on a free port: its address and its process."""
    process = subprocess.Popen([sys.executable, "app.py"], stdout=subprocess.PIPE, text=True,
                               env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        for line in process.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                yield found[0], process.pid
                break
        else:
            raise RuntimeError("the server did not start")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def measured(visitors: int, every: float, seconds: float, url: str | None = None) -> Seen:
    """One run, against the server at `url` or one of its own."""
    if url:
        return asyncio.run(visit(url, visitors, every, seconds))
    with server() as (own, _):
        return asyncio.run(visit(own, visitors, every, seconds))


def run(quick: bool = False) -> list[Row]:
    rows = []
    for visitors, every, goal in GOALS[2:3] if quick else GOALS:
        seen = measured(visitors, every, 20.0 if quick else 60.0)
        calls, pages, film = seen.p95("calls"), seen.p95("pages"), seen.p95("films")
        reached = film <= goal and calls <= 0.3 and pages <= 3 and min(seen.advanced) > 0 and not seen.failures
        rows.append(Row(
            f"{visitors} train, each asks for a film of 50 steps every {every:g} s",
            f"film {np.median(seen.films):.2f} s, p95 {film:.2f}; cheapest call p95 {calls:.2f}; page p95 {pages:.2f}",
            "", "",
            f"film p95 ≤ {goal:g} s, call ≤ 0.3, page ≤ 3", reached))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.partition("\n")[0])
    parser.add_argument("--visitors", type=int, default=8, help="who train and ask for films, 1 to 64 (default 8)")
    parser.add_argument("--every", type=float, default=10.0,
                        help="seconds from one film of a visitor to the next; below 5, from its end (default 10)")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long, 5 to 600 (default 40)")
    parser.add_argument("--url", help="a server that runs; by default one is started")
    given = parser.parse_args()
    for name, low, high in (("visitors", 1, 64), ("every", 0.1, 600), ("seconds", 5, 600)):
        if not low <= getattr(given, name) <= high:
            parser.error(f"--{name} {getattr(given, name)}; it can be {low} to {high}")
    print(measured(given.visitors, given.every, given.seconds, given.url))


if __name__ == "__main__":
    main()

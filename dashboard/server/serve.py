"""Launching: the page with all that it stands on, started and ended as one."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gradio as gr
from starlette.middleware import Middleware

from core.debug.record import Run
from dashboard.head import DRESSED
from dashboard.server.app_state import AppState
from dashboard.server.blocks import FairQueue
from dashboard.server.door import Guard, Limits
from dashboard.server.kept import KeptTrainings
from dashboard.server.storage import Storage
from dashboard.theme import css, theme
from dashboard.ui import build

#: Largest file a visitor can send.
MAX_UPLOAD = "60mb"
#: More than all events that the limits let in at a time: a film that waits its turn must hold up no quick answer.
THREADS = 256


class Address(str):
    """Where the dashboard is. `lives` says whether the threads that it needs still run."""

    def __new__(cls, text: str, lives: Callable[[], bool]):
        address = super().__new__(cls, text)
        address.lives = lives
        return address


@contextmanager
def serve(port: int | None = None, host: str | None = None, share: bool = False,
          inbrowser: bool = False, limits: Limits | None = None, trace: str | None = None) -> Iterator[Address]:
    """Serve the dashboard while the block lasts; gives its address. OSError if the port is taken.

    limits: what a client may have; by default as the environment says. ValueError if it says what cannot be.
    trace: a file that `run.save` wrote, for the Debug tab; the address leads there. Raises as `Run.load` does.
    """
    opened = None if trace is None else Run.load(trace)
    with Storage() as storage:
        app = AppState(limits or Limits.of(os.environ), KeptTrainings.of(os.environ))
        app.opened = opened
        storage.sweep_too(app.kept.sweep)
        page = build(app)
        storage.keep(app.greeting.files)
        with _launched(app, page, server_name=host, server_port=port, share=share):
            url = page.local_url + ("?tab=debug&bug=trace" if opened is not None else "")
            if inbrowser:
                webbrowser.open(url)
            yield Address(url, lambda: page.server.thread.is_alive() and app.pool.lives)


@contextmanager
def _launched(app: AppState, page: gr.Blocks, **where) -> Iterator[None]:
    try:
        page.queue(api_open=False)
        page._queue = FairQueue(page, app.door)
        page.launch(
            **where, prevent_thread_lock=True, quiet=True, theme=theme(), css=css(),
            head=DRESSED, ssr_mode=False, show_error=True, max_file_size=MAX_UPLOAD,
            app_kwargs={"middleware": [Middleware(Guard, door=app.door, first=page.first)]}, max_threads=THREADS,
            enable_monitoring=False, run_history=False, footer_links=["api", "settings"], state_session_capacity=200,
            _frontend=False)  # else it looks whether the page answers within 3 s, and gives up on a busy machine
        app.open()
        yield
    finally:
        app.pool.halt()
        app.door.close()
        if page.is_running:
            page.server.config.timeout_graceful_shutdown = 1
        page.close(verbose=False)
        app.close()

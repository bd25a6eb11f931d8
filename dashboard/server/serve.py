"""Launching: the page with its lab around it, started and ended as one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.middleware import Middleware

from dashboard.server.blocks import FairQueue
from dashboard.server.door import Guard, Limits
from dashboard.server.app_state import AppState
from dashboard.theme import css, theme
from dashboard.ui import build, head

#: Largest file a visitor can send.
MAX_UPLOAD = "60mb"
#: More than all events that the limits let in at a time: a film that waits its turn must hold up no quick answer.
THREADS = 256


@contextmanager
def serve(port: int | None = None, host: str | None = None, share: bool = False,
          inbrowser: bool = False, limits: Limits | None = None) -> Iterator[str]:
    """Serve the dashboard while the block lasts; gives its address. OSError if the port is taken.

    limits: what a client may have; by default as the environment says. ValueError if it says what cannot be.
    """
    app = AppState(limits or Limits.of(os.environ))
    page = build(app)
    try:
        page.queue(api_open=False)
        page._queue = FairQueue(page, app.door)
        page.launch(
            server_name=host, server_port=port, share=share, inbrowser=inbrowser, prevent_thread_lock=True, quiet=True,
            theme=theme(), css=css(), head=head(), ssr_mode=False, show_error=True, max_file_size=MAX_UPLOAD,
            app_kwargs={"middleware": [Middleware(Guard, door=app.door)]}, max_threads=THREADS,
            enable_monitoring=False, run_history=False, footer_links=["api", "settings"], state_session_capacity=200)
        app.open()
        yield page.local_url
    finally:
        page.close(verbose=False)
        app.close()

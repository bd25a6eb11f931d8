"""Launching: the page with its lab around it, started and ended as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dashboard.server.app_state import AppState
from dashboard.theme import css, theme
from dashboard.ui import build, head

#: Largest file a visitor can send.
MAX_UPLOAD = "60mb"


@contextmanager
def serve(port: int | None = None, host: str | None = None, share: bool = False,
          inbrowser: bool = False) -> Iterator[str]:
    """Serve the dashboard while the block lasts; gives its address. OSError if the port is taken."""
    app = AppState()
    page = build(app)
    try:
        page.queue(api_open=False, max_size=64).launch(
            server_name=host, server_port=port, share=share, inbrowser=inbrowser, prevent_thread_lock=True, quiet=True,
            theme=theme(), css=css(), head=head(), ssr_mode=False, show_error=True, max_file_size=MAX_UPLOAD,
            enable_monitoring=False, run_history=False, footer_links=["api", "settings"], state_session_capacity=200)
        app.open()
        yield page.local_url
    finally:
        page.close(verbose=False)
        app.close()

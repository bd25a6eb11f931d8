"""Noisescope's dashboard: `python app.py`, locally and on a Hugging Face Space."""

from __future__ import annotations

import argparse
import os
import signal
import sys


def make_parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        program, description="Start the Noisescope dashboard: a microscope for diffusion models.")
    parser.add_argument("--port", type=int, default=None,
                        help="port to listen on (default: the first free one from 7860)")
    parser.add_argument("--host", default=None,
                        help="address to listen on (default: this machine alone; 0.0.0.0 for all)")
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio's relay")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("--threads", type=int, default=1,
                        help="threads a network may use (default 1: with any neighbour on the machine more is slower)")
    return parser


def options(argv: list[str] | None = None, program: str = "app.py") -> argparse.Namespace:
    """The command line. Exits with 2 and one line on bad input."""
    parser = make_parser(program)
    chosen = parser.parse_args(argv)
    if chosen.port is not None and not 1 <= chosen.port <= 65535:
        parser.error(f"--port {chosen.port}; a port is a number from 1 to 65535")
    if not 1 <= chosen.threads <= (os.cpu_count() or 1):
        parser.error(f"--threads {chosen.threads}; this machine allows 1 to {os.cpu_count()}")
    return chosen


def main(argv: list[str] | None = None, program: str = "app.py") -> None:
    """Serve the dashboard until it is interrupted."""
    chosen = options(argv, program)
    import torch

    from dashboard.server.serve import serve

    torch.set_num_threads(chosen.threads)
    try:
        with serve(port=chosen.port, host=chosen.host, share=chosen.share, inbrowser=chosen.open) as url:
            print(f"Noisescope is at {url}  (Ctrl-C ends it)", flush=True)
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except OSError as error:
        sys.exit(f"{program}: {error}")


if __name__ == "__main__":
    main()

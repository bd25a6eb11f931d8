"""Noisescope's dashboard: `python app.py`, locally and on a Hugging Face Space."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable

#: Seconds from being asked to end until the process does, whatever is under way.
PATIENCE = 2.0


def make_parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        program, description="Start the Noisescope dashboard: a microscope for diffusion models.")
    parser.add_argument("--port", type=int, default=None,
                        help="port to listen on (default: the first free one from 7860)")
    parser.add_argument("--host", default=None,
                        help="address to listen on (default: this machine alone; 0.0.0.0 for all)")
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio's relay")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("--trace", default=None, metavar="FILE",
                        help="a trace that run.save wrote, to open in the Debug tab")
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


def end_when_asked(numbers: Iterable[str] = ("SIGINT", "SIGTERM", "SIGHUP")) -> None:
    """Whoever asks the process to end, by Ctrl-C, `docker stop` or a closed terminal, has it end in order, with 0.

    What takes too long for that, as one long step of a training, is left where it stands: only the files still go. So
    is what still computes when all else has ended: the interpreter would take such a thread out of the midst of a
    library's code, which aborts the process.
    """
    known = [getattr(signal, name) for name in numbers if hasattr(signal, name)]

    def end(*_) -> None:
        for number in known:
            signal.signal(number, signal.SIG_IGN)
        late = threading.Timer(PATIENCE, leave)
        late.daemon = True
        late.start()
        atexit.register(leave)  # the last to be registered is the first to be called
        raise SystemExit(0)

    for number in known:
        signal.signal(number, end)


def leave() -> None:
    """End at once, with the files of this server gone."""
    from dashboard.server.storage import abandon

    abandon()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def main(argv: list[str] | None = None, program: str = "app.py") -> None:
    """Serve the dashboard until it is asked to end: with 0 then, and with 1 and why if it ends by itself."""
    end_when_asked()
    gc.disable()  # what starting makes is there to stay: to look through it time and again takes a tenth of the time
    chosen = options(argv, program)
    import torch

    from dashboard.server.heap import settle
    from dashboard.server.serve import serve

    torch.set_num_threads(chosen.threads)
    try:
        with serve(port=chosen.port, host=chosen.host, share=chosen.share, inbrowser=chosen.open,
                   trace=chosen.trace) as url:
            print(f"Noisescope is at {url}  (Ctrl-C ends it)", flush=True)
            settle()
            while url.lives():
                time.sleep(0.5)
            sys.exit(f"{program}: a thread of the server has ended by itself; the log above says why. Start it again.")
    except (OSError, ValueError) as error:
        sys.exit(f"{program}: {error}")


if __name__ == "__main__":
    main()

"""The command `noisescope`: alone it opens the page; with the name of a command it is the command line.

Page and command line import `core` and `dashboard` as a checkout does. So the folder that holds them is made this
process's first path; a project in whose folder the command is given keeps its own `core/`, and is not imported.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PROGRAM = "noisescope"
HELP = """\
Alone, or with options, it opens the page; with the name of a command it is the command line.
"""


def main(argv: list[str] | None = None) -> int:
    """The page until it is interrupted, or one command; its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    core = find_spec("noisescope.core")
    assert core is not None and core.origin is not None
    sys.path.insert(0, str(Path(core.origin).parents[1]))
    from core.cli import parser

    if argv and not argv[0].startswith("-"):
        return parser.main(argv, PROGRAM)

    import app

    if argv in (["-h"], ["--help"]):
        print(HELP, app.make_parser(PROGRAM).format_help(), parser.make_parser(PROGRAM).format_help(), sep="\n", end="")
        return 0
    app.main(argv or ["--open"], PROGRAM)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m core`: the command line."""

import sys

from .cli.parser import main

if __name__ == "__main__":
    sys.exit(main())

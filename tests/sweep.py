"""What the suite tries a few of, `make sweep` tries all of."""

from __future__ import annotations

import os
from collections.abc import Iterable

#: `make sweep` sets it.
SWEEP = os.environ.get("NOISESCOPE_SWEEP") == "1"


def few(those: Iterable[str], *enough: str) -> list[str]:
    """All of those in a sweep; else these alone, which are to be among them."""
    those = list(those)
    assert {*enough} <= {*those}, f"{enough} are not all among {those}"
    return those if SWEEP else [*enough]

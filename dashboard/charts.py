"""Charts that change while one looks: `Chart` objects as value, a few kilobytes of base64 on the wire."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

from core.scene import Chart
from dashboard.stage.pack import pack_charts
from dashboard.stage.stage import Drawn, options


class Charts(Drawn):
    """Cards of charts side by side, drawn by the stage's own `chart.js`; `launch(head=stage.head())` must be given.

    The value is a list of `Chart`. At five updates a second keep it under about 20 KB: 1,000 points of a curve are 11.
    """

    def __init__(
        self,
        value: Sequence[Chart] | None = None,
        *,
        empty: str = "Nothing to plot yet.",
        elem_id: str | None = None,
        **kwargs,
    ) -> None:
        script = f"Noisescope.charts(element, props, watch, {options(empty=empty)}.empty);"
        super().__init__(value, script, elem_id=elem_id, **kwargs)

    def postprocess(self, value: Sequence[Chart] | None) -> dict | None:
        """Charts as {"rev", "packed"}; None or an empty list shows the empty state."""
        if not value:
            return None
        packed = base64.b64encode(pack_charts(value)).decode()
        return {"rev": secrets.token_hex(4), "packed": packed}

"""The schedule in the sidebar: one of a few names, or a curve of log-SNR drawn through knots that a hand can drag."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from core.recipe.recipe import SPECS
from core.schedules import Drawn

#: What a curve starts as when "drawn" is first chosen: about as steep as the cosine schedule, and valid.
FIRST = "drawn:0,8;0.5,0;1,-9"


class Knots(gr.HTML):
    """Value: the recipe's `schedule` as in a link, "cosine" or "drawn:0,8;0.5,0;1,-9". `input` follows each choice by
    hand, and each knot that a hand has let go of.
    """

    def __init__(self, value: str = "", words: Mapping[str, str] | None = None, **kwargs):
        spec = SPECS["schedule"]
        super().__init__(
            value,
            choices=[{"value": c, "label": (words or {}).get(c, c)} for c in spec.choices],
            prefix=Drawn.PREFIX,
            first=FIRST,
            most=spec.most,
            limit=Drawn.LIMIT,
            html_template='<div class="ns-knots"></div>',
            js_on_load="Noisescope.knots(element, { props, watch, told: () => trigger('input') });",
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(self, value: str | None) -> str | None:
        return value

    def preprocess(self, payload: str | None) -> str | None:
        return payload

    def api_info(self):
        return {"type": "string"}

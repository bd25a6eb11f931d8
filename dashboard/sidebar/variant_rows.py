"""The rows of a comparison in the sidebar: what B, C and D change, and to what."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from core.recipe.recipe import SPECS
from core.recipe.values import Choice
from core.recipe.variants import CHANGES, LETTERS

#: What people read for a field, and what it is changed to when it is first picked.
FIRST = {
    "sampler": ("sampler", "ddpm"), "steps": ("steps", "10"), "eta": ("η", "1"), "spacing": ("times", "log_snr"),
    "schedule": ("schedule", "linear"), "clip": ("clip x̂₀", "static"), "drop_noise": ("drop noise", "on"),
    "tell": ("tell it t +", "0.05"), "nudge": ("nudge x by", "0.2"), "scale_eps": ("ε̂ times", "0.9"),
    "label": ("label", "0"), "label2": ("and", "0"), "guide": ("guided by", "classifier"), "guidance": ("scale w", "3"),
    "guide_when": ("guided at t", "0.8-0.2"), "model": ("model", "exact"), "weights": ("weights", "raw"),
    "rows": ("rows", "16"),
}  # fmt: skip
#: Values worth a try, for fields that take others too.
SUGGEST = {
    "steps": ("1", "2", "5", "10", "20", "50", "200"), "eta": ("0", "0.5", "1"), "tell": ("-0.05", "0.05"),
    "drop_noise": ("on", "1-0.5", "0.5-0", "0.2-0"), "nudge": ("-0.2", "0.2"), "scale_eps": ("0.9", "1.1", "-1"),
    "weights": ("averaged", "raw"), "label": ("any", "each", "0", "1"), "label2": ("any", "each", "0", "1"),
    "guidance": ("0", "1", "2", "4", "8"), "guide_when": ("on", "1-0.5", "0.5-0", "0.8-0.2"),
    "rows": ("4", "16", "64", "256"),
}  # fmt: skip


class VariantRows(gr.HTML):
    """Value: the recipe's `versus` as in a link, "sampler:ddpm,steps:10". `input` follows every change by hand."""

    def __init__(self, value: str = "", words: Mapping[str, Mapping[str, str]] | None = None, **kwargs):
        super().__init__(
            value,
            fields=[self._field(name, (words or {}).get(name, {})) for name in CHANGES],
            letters=LETTERS,
            html_template='<div class="ns-versus" role="group" aria-label="the same noise, but"></div>',
            js_on_load="Noisescope.versus(element, { props, watch, told: () => trigger('input') });",
            apply_default_css=False,
            **kwargs,
        )

    @staticmethod
    def _field(name: str, words: Mapping[str, str]) -> dict:
        label, first = FIRST[name]
        spec = SPECS[name]
        choices = [{"value": c, "label": words.get(c, c)} for c in spec.choices] if isinstance(spec, Choice) else None
        return {"name": name, "label": label, "first": first, "choices": choices, "suggest": SUGGEST.get(name, ())}

    def postprocess(self, value: str | None) -> str | None:
        return value

    def preprocess(self, payload: str | None) -> str:
        return payload if isinstance(payload, str) else ""

    def api_info(self):
        return {"type": "string"}

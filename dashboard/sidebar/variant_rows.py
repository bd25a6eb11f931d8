"""The rows of a comparison in the sidebar: what B, C and D change, and to what."""

from __future__ import annotations

import gradio as gr

from core.recipe.recipe import FIELDS, SPECS
from core.recipe.values import Choice
from core.recipe.variants import LETTERS


class VariantRows(gr.HTML):
    """Value: the recipe's `variants` as in a link, "sampler:ddpm,steps:10". `input` follows every change by hand."""

    def __init__(self, value: str = "", **kwargs):
        super().__init__(
            value,
            fields=[self._field(name) for name in SPECS["variants"].varied],
            letters=LETTERS,
            html_template='<div class="ns-variants" role="group" aria-label="the same noise, but"></div>',
            js_on_load="Noisescope.variants(element, { props, watch, told: () => trigger('input') });",
            apply_default_css=False,
            **kwargs,
        )

    @staticmethod
    def _field(name: str) -> dict:
        about = FIELDS[name]
        choices = None
        if isinstance(about.spec, Choice):
            choices = [{"value": choice, "label": about.words.get(choice, choice)} for choice in about.spec.choices]
        return {"name": name, "label": about.label, "first": about.varied, "choices": choices,
                "suggest": about.suggest}

    def postprocess(self, value: str | None) -> str | None:
        return value

    def preprocess(self, payload: str | None) -> str:
        return payload if isinstance(payload, str) else ""

    def api_info(self):
        return {"type": "string"}

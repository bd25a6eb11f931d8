"""How the page looks: Gradio's theme and the page's style, from the tokens of `core.drawing.palettes`."""

from __future__ import annotations

import inspect

import gradio as gr

from core.drawing.stage import SANS, tokens

MONO = ("ui-monospace", "DejaVu Sans Mono", "Menlo", "Consolas", "monospace")

#: Which token each of Gradio's colours takes.
COLOURS = {
    "bg": "body_background_fill background_fill_secondary input_background_fill input_background_fill_focus",
    "panel": "background_fill_primary block_background_fill panel_background_fill block_label_background_fill "
    "button_primary_text_color",
    "ink": "body_text_color block_title_text_color button_secondary_text_color link_text_color_hover",
    "sub": "body_text_color_subdued block_label_text_color block_info_text_color input_placeholder_color",
    "line": "border_color_primary block_border_color input_border_color panel_border_color",
    "accent": "border_color_accent input_border_color_focus color_accent button_primary_background_fill "
    "button_primary_background_fill_hover slider_color checkbox_background_color_selected link_text_color "
    "checkbox_border_color_selected loader_color",
    "accent-weak": "color_accent_soft",
    "quiet": "button_secondary_background_fill button_secondary_background_fill_hover",
}


def theme() -> gr.themes.Base:
    """Gradio's controls in the tokens of the design: small, flat, one accent. Give `launch` also `css()`."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.gray,
        text_size=gr.themes.sizes.text_sm,
        spacing_size=gr.themes.sizes.spacing_sm,
        radius_size=gr.themes.sizes.radius_md,
        font=SANS,
        font_mono=MONO,
    )
    known = inspect.signature(base.set).parameters
    colours = {name: f"var(--ns-{token})" for token, names in COLOURS.items() for name in names.split()}
    colours |= {f"{name}_dark": value for name, value in colours.items() if f"{name}_dark" in known}
    return base.set(
        **colours,
        block_shadow="none",
        block_shadow_dark="none",
        block_label_text_size="12px",
        block_title_text_size="12px",
        block_title_text_weight="400",
        block_border_width="0px",
        block_padding="4px 0",
        input_padding="5px 8px",
        input_text_size="13px",
        button_large_padding="7px 14px",
        button_large_text_size="13px",
        button_large_text_weight="600",
        button_small_padding="5px 10px",
        button_small_text_size="12px",
    )


def css() -> str:
    """The page's style: the tokens as `--ns-…` for the stage, and Gradio's shell made quiet and dense."""
    return f"{tokens()}\n{_PAGE}"


_PAGE = """
.gradio-container { max-width: none !important; padding: 0 !important; }
.gradio-container > .main.app { padding: 12px 20px 24px; max-width: none; }
.gradio-container .tab-nav, .gradio-container .tab-container { border: 0; }
.gradio-container .tab-container::after { background: var(--ns-line); }
.gradio-container .tab-container button[role=tab] {
  border: 0; border-radius: 7px; padding: 6px 12px; margin: 0 2px 0 0; font-size: 13px; color: var(--ns-sub);
}
.gradio-container .tab-container button[role=tab]::after { display: none; }
.gradio-container .tab-container button[role=tab][aria-selected=true] {
  background: var(--ns-quiet); color: var(--ns-ink); font-weight: 700;
}
.gradio-container .tabitem { border: 0; padding: 8px 0 0; }
.gradio-container .sidebar { background: var(--ns-panel); border-color: var(--ns-line); }
.gradio-container :is(input[type=number], input[type=text]) { font-family: var(--font-mono); font-size: 12px; }
.gradio-container footer { font-size: 12px; color: var(--ns-sub); }
@media (max-width: 700px) {
  .gradio-container > .main.app { padding: 8px 10px 20px; }
}
"""

"""gr.Blocks as this page needs them: an answer costs what it changes, not what it could change."""

from __future__ import annotations

import copy
from typing import Any

import gradio as gr
from gradio.blocks import convert_component_dict_to_list


class Page(gr.Blocks):
    """Blocks that pass over the outputs which an answer skips.

    Gradio makes the component of every skipped output anew, with its whole configuration, at every step of every
    stream. With eight visitors who watch a training that was most of what the server did, and all others waited for it.
    """

    async def postprocess_data(self, block_fn, predictions, state) -> list[Any]:
        if isinstance(predictions, dict) and predictions and predictions != gr.skip():
            predictions = convert_component_dict_to_list(list(block_fn.outputs), predictions)
        few = len(block_fn.outputs) < 2 or block_fn.batch
        if few or not isinstance(predictions, list | tuple) or len(predictions) != len(block_fn.outputs):
            return await super().postprocess_data(block_fn, predictions, state)
        answers = [None if block.stateful else gr.skip() for block in block_fn.outputs]
        told = [k for k, value in enumerate(predictions) if not (isinstance(value, dict) and value == gr.skip())]
        if told:
            part = copy.copy(block_fn)
            part.outputs = [block_fn.outputs[k] for k in told]
            values = [predictions[k] for k in told]
            values = await super().postprocess_data(part, values if len(told) > 1 else values[0], state)
            for k, value in zip(told, values):
                answers[k] = value
        return answers

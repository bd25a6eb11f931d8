"""The page's blocks answer as Gradio's own do, without building anew what an answer leaves as it is."""

import asyncio

import gradio as gr
import pytest

from dashboard.server.blocks import Page


def blocks(kind):
    with kind() as page:
        outputs = [gr.Textbox(), gr.State(), gr.Number(), gr.Textbox()]
        page.load(lambda: None, None, outputs)
        page.load(lambda: None, None, outputs[0])
    return page, outputs


def answer(page, predictions, which=0):
    return asyncio.run(page.postprocess_data(list(page.fns.values())[which], predictions, None))


@pytest.mark.parametrize(
    "predictions", [["a", 1, 2, "b"], ["a", gr.skip(), gr.skip(), gr.skip()], [gr.skip()] * 4,
                    [gr.skip(), 5, 3.5, gr.update(visible=False)], gr.skip()]
)
def test_an_answer_is_what_gradio_would_say(predictions):
    assert answer(blocks(Page)[0], predictions) == answer(blocks(gr.Blocks)[0], predictions)


def test_an_answer_by_components_and_one_of_a_single_output_are_what_gradio_would_say():
    said = []
    for kind in (Page, gr.Blocks):
        page, outputs = blocks(kind)
        said.append([answer(page, {outputs[2]: 4.0}), answer(page, "x", which=1), answer(page, gr.skip(), which=1)])
    assert said[0] == said[1]


def test_what_is_skipped_is_not_built_again(monkeypatch):
    page, _ = blocks(Page)
    monkeypatch.setattr(gr.Textbox, "__init__", lambda *_, **__: pytest.fail("a component was built again"))
    answer(page, [gr.skip(), gr.skip(), 3, gr.skip()])


def test_too_few_values_are_refused_as_gradio_does():
    with pytest.raises(ValueError, match="returned too few output values|didn't return enough"):
        answer(blocks(Page)[0], ["a", "b"])


def test_a_session_is_light_and_the_page_itself_is_told_whole():
    from gradio.state_holder import SessionState

    page, outputs = blocks(Page)
    assert all(part["props"] for part in page.get_config_file()["components"] if part["type"] == "textbox")
    session = SessionState(page)
    assert not any(session.config_values.values()) and session[outputs[0]._id] is outputs[0]
    assert session.blocks_config.fns == page.fns

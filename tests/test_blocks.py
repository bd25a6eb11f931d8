"""The page's blocks answer as Gradio's own do, without building anew what an answer leaves as it is."""

import asyncio
import time
import json
from contextlib import ExitStack
from functools import cache
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.routes import App
from gradio.state_holder import SessionState

from dashboard.server.blocks import AWAKE, FairQueue, Page
from dashboard.server.door import Door, Limits
from dashboard.stage import Stage


@cache
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


def test_a_page_makes_no_application_before_it_is_launched(monkeypatch):
    monkeypatch.setattr(App, "create_app", lambda *_, **__: pytest.fail("an application nobody asks"))
    page, _ = blocks(Page)
    page.queue(api_open=False)
    assert page.get_config_file()["dependencies"] and not page.config


def test_a_page_is_told_data_alone():
    with Page() as page:
        gr.State()
        Stage()
    assert json.dumps(page.get_config_file()["components"]).count('"type": "html"') == 1


def test_what_is_skipped_is_not_built_again(monkeypatch):
    page, _ = blocks(Page)
    monkeypatch.setattr(gr.Textbox, "__init__", lambda *_, **__: pytest.fail("a component was built again"))
    answer(page, [gr.skip(), gr.skip(), 3, gr.skip()])


def test_too_few_values_are_refused_as_gradio_does():
    with pytest.raises(ValueError, match="returned too few output values|didn't return enough"):
        answer(blocks(Page)[0], ["a", "b"])


@pytest.mark.parametrize(("visibility", "second", "end"), [
    ("private", [[["replace", [], "ab"]], [["replace", [], None]], [["replace", [], 2.5]]],
     [gr.skip(), None, gr.skip()]),
    ("public", [[["append", [], "b"]], [], [["replace", [], 2.5]]], ["ab", None, 2.5])])
def test_a_stream_tells_the_page_each_answer_whole_and_a_program_what_changes_and_the_last_again(
        visibility, second, end):
    def count():
        yield "a", 1, 1.5
        yield "ab", 2, 2.5

    with Page() as page:
        page.load(count, None, [gr.Textbox(), gr.State(), gr.Number()], api_visibility=visibility)
    (fn,), state = page.fns.values(), SessionState(page)

    async def answered():
        answers, iterator = [], None
        while iterator or not answers:
            answer = await page.process_api(fn, [], state, iterator=iterator, session_hash="page",
                                            event_id="event")
            answers.append(answer["data"])
            iterator = answer["iterator"] if answer["is_generating"] else None
        return answers

    assert asyncio.run(answered()) == [["a", None, 1.5], second, end]


def test_a_session_is_light_and_the_page_itself_is_told_whole():
    page, outputs = blocks(Page)
    assert all(part["props"] for part in page.get_config_file()["components"] if part["type"] == "textbox")
    session = SessionState(page)
    assert not any(session.config_values.values()) and session[outputs[0]._id] is outputs[0]
    assert session.blocks_config.fns == page.fns


# --- the queue -------------------------------------------------------------------------------------------------------


def asked(limits, *events):
    """What is said to events (session, address) of pages that are all open, none of which is worked on: "" to those
    that wait; and the sessions in the order in which they would have their turn."""
    page, _ = blocks(Page)
    for fn in page.fns.values():
        fn.api_visibility = "private"
    page.queue()
    door = Door(limits)
    queue = FairQueue(page, door)

    async def push(session, address):
        request = SimpleNamespace(client=(address, 1), headers={})
        body = PredictBodyInternal(session_hash=session, fn_index=next(iter(page.fns)), data=[], request=None)
        success, event, _ = await queue.push(body, request, None)
        assert success
        messages = queue.pending_messages_per_session[session]
        said = [messages.get_nowait() for _ in range(messages.qsize())]
        return "".join(message.output["error"] for message in said if message.msg == "process_completed")

    async def push_all():
        queue.active_jobs = [None] * 9
        words, order = [await push(*event) for event in events], []
        while batch := queue.get_events():
            order += [event.session_hash for event in batch[0]]
            queue.active_jobs[len(order)] = batch[0]
        return words, order

    with ExitStack() as stack:
        for session, address in {*events}:
            stack.enter_context(door.open_stream(address, session, page=True))
        return asyncio.run(push_all())


def test_a_page_has_its_share_of_events_and_is_told_so():
    words, _ = asked(Limits(page_events=2), *[("mine", "10.0.0.1")] * 3, ("yours", "10.0.0.1"))
    assert words[:2] == ["", ""] and words[3] == ""
    assert words[2] == "2 things are under way for this page already; try again when one of them has ended"


def test_an_address_and_all_of_them_have_their_share_and_are_told_when_to_come_back():
    events = [("a", "10.0.0.1"), ("b", "10.0.0.1"), ("c", "10.0.0.1"), ("d", "10.0.0.2"), ("e", "10.0.0.3")]
    words, _ = asked(Limits(address_events=2, all_events=3), *events)
    assert [not text for text in words] == [True, True, False, True, False]
    assert "2 requests from your address are under way or wait" in words[2] and "in about 5 seconds" in words[2]
    assert "3 requests are under way or wait, as many as this server takes on at a time" in words[4]


def test_of_those_who_wait_the_client_goes_first_that_has_least_under_way(monkeypatch):
    monkeypatch.setenv("GRADIO_DEFAULT_CONCURRENCY_LIMIT", "9")
    _, order = asked(Limits(), ("a", "10.0.0.1"), ("b", "10.0.0.1"), ("c", "10.0.0.1"), ("d", "10.0.0.2"))
    assert order == ["a", "d", "b", "c"]


def test_a_server_that_is_asked_nothing_for_a_while_looks_seldom_whether_it_is(monkeypatch):
    page, _ = blocks(Page)
    queue = FairQueue(page, Door(Limits()))
    assert queue.sleep_when_free < 0.005
    asked = queue._asked
    monkeypatch.setattr(time, "monotonic", lambda: asked + AWAKE)
    assert queue.sleep_when_free >= 0.02
    request = SimpleNamespace(client=("10.0.0.1", 1), headers={})
    body = PredictBodyInternal(session_hash="mine", fn_index=next(iter(page.fns)), data=[], request=None)
    asyncio.run(queue.push(body, request, None))
    assert queue.sleep_when_free < 0.005

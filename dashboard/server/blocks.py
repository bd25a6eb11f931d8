"""gr.Blocks and their queue as a public page needs them.

An answer costs what it changes, not what it could change; an error that is not one of our sentences is told without its
insides; and in the queue every client has a share, pages and programs have room of their own.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
import gradio.blocks
from gradio.block_function import BlockFunction
from gradio.blocks import BlocksConfig, convert_component_dict_to_list
from gradio.queueing import Event, Queue
from gradio.server_messages import ProcessCompletedMessage
from gradio.state_holder import StateHolder
from gradio.utils import error_payload

from dashboard.server.door import Door, in_words
from dashboard.server.app_state import user_error

log = logging.getLogger(__name__)

#: More answers than this that a session has not fetched, and it gets no more, not even in words.
MOST_UNHEARD = 64

#: Seconds after a request in which the next one is expected.
AWAKE = 5.0


class SessionConfig(BlocksConfig):
    """What a session knows of the page: all but how every component is configured, which only shared sessions need."""

    @staticmethod
    def config_for_block(*_, **__) -> dict:
        return {}


class PageConfig(BlocksConfig):
    """The page's own configuration, of which every session gets a light copy: a whole one takes a tenth of a second."""

    def __copy__(self) -> SessionConfig:
        twin = super().__copy__()
        twin.__class__ = SessionConfig
        return twin


class NoApp:
    """In place of Gradio's application: the page has where to keep its sessions, and no routes."""

    @staticmethod
    def create_app(page: gr.Blocks, **_) -> None:
        StateHolder().set_blocks(page)


@contextmanager
def without_app() -> Iterator[None]:
    """Gradio makes its application, of some eighty routes, anew at each stage of a page's making, a quarter of a second
    each time. Only that which `launch` makes is ever asked for anything."""
    made, gradio.blocks.App = gradio.blocks.App, NoApp
    try:
        yield
    finally:
        gradio.blocks.App = made


class Page(gr.Blocks):
    """Blocks that pass over the outputs which an answer skips, and say nothing twice.

    Gradio makes the component of every skipped output anew, with its whole configuration, at every step of every
    stream. With eight visitors who watch a training that was most of what the server did, and all others waited for it.
    """

    first = ""  #: HTML that stands in its first bytes, see `Early`

    def __init__(self, **options):
        with without_app():
            super().__init__(**options)
        self.default_config.__class__ = PageConfig  # Gradio makes it, and offers no other way

    def __exit__(self, *error) -> None:
        with without_app():
            super().__exit__(*error)

    def queue(self, *args, **options) -> Page:
        with without_app():
            return super().queue(*args, **options)

    def get_config_file(self) -> dict[str, Any]:
        """As Gradio's, of data alone: it takes methods of components for their properties, and every page that is
        opened is given a deep copy, of all that hangs on those."""
        if not self.exited:
            return {}  # `launch` knows what else belongs in it
        config = super().get_config_file()
        for component in config["components"]:
            component["props"] = {name: value for name, value in component["props"].items() if not callable(value)}
        return config

    async def process_api(self, *args, **kwargs) -> dict[str, Any]:
        try:
            return await super().process_api(*args, **kwargs)
        except Exception as error:
            raise user_error(error) from None

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        wanted = len(block_fn.inputs)
        if not isinstance(inputs, list) or len(inputs) < wanted:
            given = f"{len(inputs)} values" if isinstance(inputs, list) else "no list of values"
            raise gr.Error(f"{given} came for {wanted} inputs", print_exception=False)

    async def preprocess_data(self, block_fn, inputs, state, explicit_call=False) -> list[Any]:
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except gr.Error:
            raise
        except Exception as error:
            log.info("values that fit no control came in", exc_info=error)
            raise gr.Error("A value came that its control cannot have; reload the page to begin afresh.",
                           print_exception=False) from None

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

    def handle_streaming_diffs(self, block_fn, data, session_hash, run, final, simple_format=False) -> list[Any]:
        """The page is told every answer of a stream whole, and at its end nothing.

        Gradio tells what differs from the answer before, and its page writes that into the answer before itself: where
        several come at once, as to a page that has much to do, the earlier is lost. At the end it tells the last one
        again, and by then a later change may have been answered: the page would go back to what was before that.
        """
        if session_hash is None or run is None or block_fn.api_visibility != "private":
            return super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        first = run not in self.pending_diff_streams[session_hash]
        data = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format=True)
        if final:
            return [None if block.stateful else gr.skip() for block in block_fn.outputs]
        return data if first else [[["replace", [], value]] for value in data]


class FairQueue(Queue):
    """Gradio's queue with a share for every client: what is beyond it is refused in words that say when to come back.

    Where several wait for a place, the client goes first that has least under way.
    """

    def __init__(self, page: gr.Blocks, door: Door):
        super().__init__(live_updates=True, concurrency_count=page.max_threads, update_intervals=1, max_size=None,
                         blocks=page)
        self.door, self._asked = door, time.monotonic()
        self.ANALYTICS_MAX_EVENTS = 1  # nobody reads them, and at every event all of them are put into a table
        self.progress_update_sleep_when_free = 1.0  # nothing here tells its progress by Gradio's means

    @property
    def sleep_when_free(self) -> float:
        """Seconds from one look whether somebody waits to the next: a look costs as much as a small answer, so a server
        at rest looks seldom."""
        return 0.004 if time.monotonic() - self._asked < AWAKE else 0.02

    @sleep_when_free.setter
    def sleep_when_free(self, seconds: float) -> None:
        """Gradio has its own idea of it."""

    def compute_analytics_summary(self, records):
        return self.cached_event_analytics_summary

    async def push(self, body, request, username):
        fn = self.blocks.fns.get(body.fn_index)
        if fn is None or fn.fn is None:  # some are the page's own, in its scripts alone
            return False, f"there is no function {str(body.fn_index)[:20]}; /config lists them", "error"
        address = self.door.address(request.client, request.headers)
        if body.session_hash:
            self.door.came(body.session_hash, address)
        self._asked = time.monotonic()
        self._forget_deserted()
        why = self._refusal(fn, body.session_hash, address)
        if why is None:
            success, event_id, state = await super().push(body, request, username)
            if success:
                self.door.came(body.session_hash, address)  # who gives none listens under the event's own name
            return success, event_id, state
        unheard = self.pending_event_ids_session
        if len(unheard) >= MOST_UNHEARD * 8 or len(unheard.get(body.session_hash, ())) >= MOST_UNHEARD:
            return False, why, "error"
        # As an event that has failed at once: pages and programs then show the sentence.
        event = Event(body.session_hash, fn, request, username)
        self.pending_messages_per_session.setdefault(event.session_hash, asyncio.Queue())
        unheard.setdefault(event.session_hash, set()).add(event._id)
        self.event_ids_to_events[event._id] = event  # who listens to /call looks it up there
        refused = error_payload(gr.Error(why), True)
        self.send_message(event, ProcessCompletedMessage(output=refused, title="Error", success=False))
        return True, event._id, "success"

    def _refusal(self, fn: BlockFunction, session: str | None, address: str) -> str | None:
        """Why there is no room for one more event of this client, and when there will be; None if there is."""
        limits = self.door.limits
        in_room, here = self._in_room(fn, session), self._events()
        room = [event for event in here if self._in_room(event.fn, event.session_hash) == in_room]
        theirs = [event for event in room if self._address(event) == address]
        if in_room == "calls" and (wait := self.door.wait_for_calls(address)):
            return (f"calls from your address were under way for {in_words(limits.call_seconds)} of the last hour, its "
                    f"share of this server; try again in {in_words(wait)}")
        mine = sum(event.session_hash == session for event in theirs)
        if in_room == "page" and mine >= limits.page_events:
            return f"{mine} things are under way for this page already; try again when one of them has ended"
        most_each, most = ((limits.address_events, limits.all_events) if in_room == "page" else
                           (limits.address_calls, limits.all_calls))
        if len(theirs) >= most_each:
            return (f"{len(theirs)} requests from your address are under way or wait, its share of this server; try "
                    f"again when one of them has ended, in about {in_words(self._usual(theirs))}")
        if len(room) >= most:
            return (f"{len(room)} requests are under way or wait, as many as this server takes on at a time; try again "
                    f"in about {in_words(self._usual(room))}")
        return None

    def _in_room(self, fn: BlockFunction, session: str | None) -> str:
        """Whose room an event needs: that of pages, if a page asks for what is none of a program's business."""
        return "page" if fn.api_visibility == "private" and self.door.has_page(session) else "calls"

    def _address(self, event: Event) -> str:
        return self.door.address(event.request.client, event.request.headers)

    def _events(self) -> list[Event]:
        """All that are under way or wait."""
        return [event for job in self.active_jobs if job for event in job] + [
            event for queue in self.event_queue_per_concurrency_id.values() for event in queue.queue]

    def _usual(self, events: list[Event]) -> float:
        """Seconds that the shortest of these usually takes."""
        usual = self.process_time_per_fn
        return max(1.0, min((usual[event.fn].avg_time for event in events if event.fn in usual), default=5.0))

    def get_events(self):
        for queue in self.event_queue_per_concurrency_id.values():
            free = queue.concurrency_limit is None or queue.current_concurrency < queue.concurrency_limit
            if free and queue.queue:
                for event in [event for event in queue.queue if self.door.deserted(event.session_hash)]:
                    queue.queue.remove(event)
                    self.event_ids_to_events.pop(event._id, None)
                busy = Counter(self._address(event) for job in self.active_jobs if job for event in job)
                queue.queue.sort(key=lambda event: busy[self._address(event)])
        return super().get_events()

    async def process_events(self, events, batch, begin_time, fn) -> None:
        began = time.monotonic()
        try:
            await super().process_events(events, batch, begin_time, fn)
        finally:
            for event in events:
                if self._in_room(event.fn, event.session_hash) == "calls":
                    self.door.spend(self._address(event), time.monotonic() - began)

    def _forget_deserted(self) -> None:
        """Let go of answers that nobody has come for, once there are many."""
        if len(self.pending_event_ids_session) > 256:
            under_way = {event.session_hash for event in self._events()}
            for session in [*self.pending_event_ids_session]:
                if session not in under_way and self.door.deserted(session):
                    for event in self.pending_event_ids_session.pop(session):
                        self.event_ids_to_events.pop(event, None)
                    self.pending_messages_per_session.pop(session, None)

"""The door: what each client may have, who is believed, and what is told to those who ask for more."""

import asyncio
import errno
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from dashboard.server.door import Door, Guard, Limits, in_words


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def request(app, path, method="GET", query="", headers=(), body=(b"",), client=("10.0.0.1", 5)):
    """What an ASGI app answers: (status, body)."""
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "client": client,
             "headers": [(name.encode(), value.encode()) for name, value in headers]}
    parts, said = list(body), []

    async def receive():
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        said.append(message)

    asyncio.run(app(scope, receive, send))
    return said[0]["status"], b"".join(message.get("body", b"") for message in said).decode()


async def read_all(scope, receive, send):
    """An app that reads what it is sent and answers."""
    while scope["method"] == "POST" and (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


@pytest.mark.parametrize("path, accept, squeezed", [
    ("/", "text/html,*/*", True), ("/", "*/*", False), ("/gradio_api/queue/data", "text/event-stream", False)])
def test_the_page_itself_travels_compressed_and_streams_do_not(path, accept, squeezed):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"noise " * 1000})

    said = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        said.append(message)

    headers = [(b"accept", accept.encode()), (b"accept-encoding", b"gzip, br")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "client": ("10.0.0.1", 5),
             "headers": headers}
    asyncio.run(Guard(app, Door(Limits()))(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in said)
    assert (b"content-encoding", b"gzip") in said[0]["headers"] if squeezed else len(body) == 6000
    assert len(body) < 200 or not squeezed


# --- limits ----------------------------------------------------------------------------------------------------------


def test_every_limit_can_be_set_from_outside_and_what_is_none_is_named():
    assert Limits.of({}) == Limits()
    assert Limits.of({"NOISESCOPE_PAGE_EVENTS": "3", "OTHER": "x"}) == Limits(page_events=3)
    for value in ("0", "-1", "many", "1e9", ""):
        with pytest.raises(ValueError, match="NOISESCOPE_VISITORS=.*a whole number from 1 on"):
            Limits.of({"NOISESCOPE_VISITORS": value})


def test_on_a_space_the_proxy_in_front_is_believed_and_elsewhere_nobody():
    assert Limits.of({}).proxies == 0
    assert Limits.of({"SPACE_ID": "somebody/noisescope"}).proxies == 1
    assert Limits.of({"SPACE_ID": "somebody/noisescope", "NOISESCOPE_PROXIES": "2"}).proxies == 2


def test_the_limits_that_are_told_are_those_that_hold():
    told, text = {}, (Path(__file__).parents[1] / "SECURITY.md").read_text("utf-8")
    for names, values in re.findall(r"^\| (`[^|]+`) \| (\d[^|]*) \|", text, re.M):
        values = re.findall(r"(?:^|, )(\d+)", values)
        told |= dict(zip(re.findall(r"`(\w+)`", names), map(int, values), strict=True))
    assert told == asdict(Limits())


@pytest.mark.parametrize(
    "proxies, forwarded, address",
    [
        (0, "9.9.9.9", "10.0.0.1"),  # nobody is in front: anybody can write this
        (1, "", "10.0.0.1"),
        (1, "8.8.8.8", "8.8.8.8"),
        (1, "1.1.1.1, 8.8.8.8", "8.8.8.8"),  # what the client made up stands before what the proxy added
        (2, "1.1.1.1, 8.8.8.8, 9.9.9.9", "8.8.8.8"),
        (1, "1.1.1.1, 8.8.8.8, 10.9.9.9", "8.8.8.8"),  # a hop inside the proxy's own network is nobody's address
        (3, "8.8.8.8", "10.0.0.1"),  # fewer hops than there are proxies: it came another way
        (1, "nonsense", "nonsense"),
        (1, "2001:db9:1:2:3:4:5:6", "2001:db9:1:2::/64"),
    ],
)
def test_whose_a_request_is_can_not_be_made_up(proxies, forwarded, address):
    door = Door(Limits(proxies=proxies))
    assert door.address(("10.0.0.1", 80), {"x-forwarded-for": forwarded}) == address


# --- who listens -----------------------------------------------------------------------------------------------------


def test_work_is_wanted_while_somebody_listens_and_for_a_little_longer(clock):
    door = Door(Limits(patience=15), clock=clock)
    assert not door.deserted("unheard of")
    door.came("call", "10.0.0.1")
    clock.now += 10
    with door.open_stream("10.0.0.1", "call", page=False):
        clock.now += 1000
        assert not door.deserted("call")
    clock.now += 15
    assert not door.deserted("call")
    clock.now += 1
    assert door.deserted("call")


def test_who_never_listens_is_deserted_too(clock):
    door = Door(Limits(patience=15), clock=clock)
    door.came("call", "10.0.0.1")
    clock.now += 16
    assert door.deserted("call")


def test_what_is_remembered_of_sessions_is_bounded_and_those_heard_of_stay(clock):
    door = Door(clock=clock)
    door.came("mine", "10.0.0.1")
    with door.open_stream("10.0.0.1", "mine", page=True):
        clock.now += 100
        for k in range(10_000):
            clock.now += 0.1
            door.came(f"forged {k}", "10.0.0.2")
        assert len(door._left) < 5000 and len(door._from) < 5000
        assert door.address_of("mine") == "10.0.0.1" and door.has_page("mine")


def test_calls_have_their_share_of_an_hour_and_a_refusal_knows_when_there_is_more(clock):
    door = Door(Limits(call_seconds=600), clock=clock)
    door.spend("10.0.0.1", 599)
    assert door.wait_for_calls("10.0.0.1") == 0
    door.spend("10.0.0.1", 61)
    wait = door.wait_for_calls("10.0.0.1")
    assert 360 <= wait <= 362 and door.wait_for_calls("10.0.0.2") == 0
    clock.now += wait
    assert door.wait_for_calls("10.0.0.1") == 0


def test_a_time_to_wait_is_said_in_words():
    said = ["1 second", "13 seconds", "2 minutes", "60 minutes"]
    assert [in_words(seconds) for seconds in (0.2, 12.1, 91, 3600)] == said


# --- the guard -------------------------------------------------------------------------------------------------------


def test_a_page_is_here_while_its_heartbeat_is_open_and_not_longer():
    told, door = [], Door(on_page=lambda session, here: told.append((session, here)))

    async def app(scope, receive, send):
        told.append(door.has_page("abc"))
        await read_all(scope, receive, send)

    assert request(Guard(app, door), "/gradio_api/heartbeat/abc")[0] == 200
    assert told == [("abc", True), True, ("abc", False)] and not door.has_page("abc")


@pytest.mark.parametrize(
    "path, query",
    [("/gradio_api/queue/data", "session_hash=abc"), ("/gradio_api/call/train/abc", ""),
     ("/sub/gradio_api/call/v2/train/abc/", "")],
)
def test_whoever_fetches_answers_listens(path, query, clock):
    door, seen = Door(clock=clock), []
    door.came("abc", "10.0.0.1")
    clock.now += 1000

    async def app(scope, receive, send):
        seen.append(door.deserted("abc"))
        await read_all(scope, receive, send)

    assert door.deserted("abc")
    request(Guard(app, door), path, query=query)
    assert seen == [False] and not door.has_page("abc")


def test_a_page_whose_stream_breaks_is_gone_all_the_same():
    told, door = [], Door(on_page=lambda session, here: told.append(here))

    async def app(scope, receive, send):
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        request(Guard(app, door), "/gradio_api/heartbeat/abc")
    assert told == [True, False] and door.streams_of("10.0.0.1") == 0


def test_one_address_has_its_share_of_streams():
    door = Door(Limits(streams=2))
    guard = Guard(read_all, door)
    with door.open_stream("10.0.0.1", "a", page=True), door.open_stream("10.0.0.1", "b", page=True):
        status, text = request(guard, "/gradio_api/heartbeat/c")
        assert status == 429 and "2 streams are open from your address" in text
        assert request(guard, "/gradio_api/heartbeat/c", client=("10.0.0.2", 1))[0] == 200
    assert request(guard, "/gradio_api/heartbeat/c")[0] == 200


@pytest.mark.parametrize("said", [True, False])
def test_a_body_that_is_too_large_is_refused_before_it_is_read_or_where_it_goes_too_far(said):
    guard, pieces = Guard(read_all, Door(Limits(request_mb=1, upload_mb=3))), [b"x" * 500_000] * 4
    headers = [("content-length", "2000000")] if said else []
    status, text = request(guard, "/gradio_api/queue/join", "POST", headers=headers, body=pieces)
    assert status == 413 and "more than 1 MB" in text
    assert request(guard, "/gradio_api/upload", "POST", headers=headers, body=pieces) == (200, "fine")


def test_an_upload_to_a_full_disk_is_told_so_and_another_error_is_left_as_it_is():
    async def full(scope, receive, send):
        raise OSError(number, "/where/the/server/keeps/it")

    number = errno.ENOSPC
    status, text = request(Guard(full, Door()), "/gradio_api/upload", "POST")
    assert status == 507 and "the disk is full, so nothing was written; try again" in text and "/where" not in text
    number = errno.EBADF
    with pytest.raises(OSError):
        request(Guard(full, Door()), "/gradio_api/upload", "POST")


def test_streams_end_in_order_with_the_server():
    door, said = Door(), []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: ALIVE", "more_body": True})
        asyncio.get_running_loop().run_in_executor(None, door.close)
        await asyncio.Event().wait()

    async def send(message):
        said.append(message)

    scope = {"type": "http", "method": "GET", "path": "/gradio_api/heartbeat/abc", "headers": [], "client": None}
    asyncio.run(Guard(app, door)(scope, None, send))
    assert said[-1] == {"type": "http.response.body", "body": b""} and not door.has_page("abc")

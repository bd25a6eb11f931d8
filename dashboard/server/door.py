"""The door: who is at the other end, what each may have under way at a time, and what they are told beyond that.

What one client may take of the server is a share of it, so that nobody can take all; page and programs have room of
their own, so that neither waits for the other. A client is an address. A page counts as one while its heartbeat is
open, and work counts as wanted while somebody listens for its answer: what comes without either counts for nothing.

    door = Door(Limits.of(os.environ))
    launch(app_kwargs={"middleware": [Middleware(Guard, door=door)]})
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse

from core.files import not_written
from dashboard.server.early import Early

#: Streams of Gradio's server by what they say: a page is open, somebody listens for the answers to a session's events.
HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([\w-]{1,64})/?$")
LISTENING = re.compile(r"/gradio_api/call/(?:v2/)?[\w-]+/([\w-]{1,64})/?$")
QUEUE = re.compile(r"/gradio_api/queue/data/?$")
#: Sessions and addresses of which something is remembered.
MOST_SESSIONS = 4096
UPLOAD = re.compile(r"/gradio_api/upload/?$")


@dataclass(frozen=True)
class Limits:
    """What a client, and what all of them, may have. Each can be set from outside: NOISESCOPE_PAGE_EVENTS=32 and so on.

    page_events       of one page, under way or waiting
    address_events    of all pages from one address
    all_events        of all pages
    address_calls     of programs from one address, under way or waiting
    all_calls         of all programs
    call_seconds      of an hour that calls from one address may be under way, added up
    streams           connections from one address on which the server tells news
    visitors          at the same time
    address_visitors  of them, from one address
    trainings         at the same time
    address_trainings of them, from one address
    call_trainings    of them, those that programs from one address have asked for
    training_seconds  of the clock, after which a training is stopped
    request_mb        of one request that is no upload
    upload_mb         of one upload, all of its files
    patience          seconds without a listener after which work is nobody's any more, and stopped
    proxies           in front of the server that add to X-Forwarded-For: without one nobody is believed
    """

    page_events: int = 16
    address_events: int = 96
    all_events: int = 192
    address_calls: int = 8
    all_calls: int = 32
    call_seconds: int = 1800
    streams: int = 256
    visitors: int = 64
    address_visitors: int = 40
    trainings: int = 24
    address_trainings: int = 16
    call_trainings: int = 2
    training_seconds: int = 900
    request_mb: int = 8
    upload_mb: int = 70
    patience: int = 15
    proxies: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """The limits, as an environment changes them. ValueError names a value that is none."""
        given = {"proxies": 1} if environment.get("SPACE_ID") else {}
        for field in fields(cls):
            name, low = f"NOISESCOPE_{field.name.upper()}", 0 if field.name == "proxies" else 1
            if name in environment:
                if not re.fullmatch("[0-9]{1,9}", environment[name]) or int(environment[name]) < low:
                    raise ValueError(f"{name}={environment[name][:40]}; it can be a whole number from {low} on")
                given[field.name] = int(environment[name])
        return cls(**given)


class Door:
    """Which streams are open, and how long calls from each address have been under way. One for an app.

    on_page    told of every page whose heartbeat begins (session, True) and ends (session, False)
    clock      seconds that only grow
    """

    def __init__(self, limits: Limits = Limits(),
                 on_page: Callable[[str, bool], None] = lambda session, here: None,
                 clock: Callable[[], float] = time.monotonic):
        self.limits, self.on_page, self.clock = limits, on_page, clock
        self.closed = False
        self._lock = threading.Lock()
        self._enders: list[Callable[[], object]] = []  # of the streams that are open
        self._beating: Counter[str] = Counter()
        self._listening: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._left: dict[str, float] = {}  # session → when the last of its streams ended, or something was asked for
        self._from: dict[str, str] = {}  # session → address
        self._owed: dict[str, tuple[float, float]] = {}  # address → (seconds of calls, as of when)

    def close(self) -> None:
        """The server ends: so do all streams."""
        with self._lock:
            self.closed, enders = True, [*self._enders]
        for end in enders:
            end()

    @contextmanager
    def closing(self, end: Callable[[], object]) -> Iterator[None]:
        """`end` is called if the server ends meanwhile, or at once if it has."""
        with self._lock:
            self._enders.append(end)
            closed = self.closed
        if closed:
            end()
        try:
            yield
        finally:
            with self._lock:
                self._enders.remove(end)

    def address(self, client: tuple | None, headers: Mapping[str, str]) -> str:
        """Whose request it is: the other end's address, or its network where one person has many (IPv6, /64).

        Behind a proxy the other end is the proxy; what it and those before it have added stands at the end of
        X-Forwarded-For. Whatever stands farther left may have been made up.
        """
        hop = str(client[0]) if client else ""
        if self.limits.proxies:
            hops = [part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]
            hops = hops[: max(0, len(hops) - self.limits.proxies + 1)] or [hop]
            hop = next((hop for hop in reversed(hops) if not _is_private(hop)), hops[-1])
        try:
            found = ipaddress.ip_address(hop)
        except ValueError:
            return hop[:64]
        return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)

    def has_page(self, session: str | None) -> bool:
        """Whether a page of that session is open."""
        return session in self._beating

    def came(self, session: str, address: str) -> None:
        """Something was asked for in a session: its stream may follow."""
        with self._lock:
            self._left[session], self._from[session] = self.clock(), address
            if len(self._left) > MOST_SESSIONS:
                since = self.clock() - self.limits.patience
                self._left = {name: left for name, left in self._left.items()
                              if left > since or name in self._listening or name in self._beating}
                self._from = {name: self._from[name] for name in self._left if name in self._from}

    def address_of(self, session: str | None) -> str:
        """Where a session was last asked for something from; "" if it is not known."""
        return self._from.get(session, "")

    def deserted(self, session: str | None) -> bool:
        """Whether nobody has listened to that session for longer than patience lasts, and no page of it is open."""
        with self._lock:
            if session in self._listening or session in self._beating:
                return False
            return self.clock() - self._left.get(session, self.clock()) > self.limits.patience

    def streams_of(self, address: str) -> int:
        """How many streams an address has open."""
        return self._streams[address]

    @contextmanager
    def open_stream(self, address: str, session: str, page: bool) -> Iterator[None]:
        """While a page's heartbeat, or what tells a session its answers, is open."""
        kind = self._beating if page else self._listening
        with self._lock:
            first = session not in kind
            kind[session] += 1
            self._streams[address] += 1
        if page and first:
            self.on_page(session, True)
        try:
            yield
        finally:
            with self._lock:
                self._left[session] = self.clock()
                for counter, name in ((kind, session), (self._streams, address)):
                    counter[name] -= 1
                    if not counter[name]:
                        del counter[name]
                last = session not in kind
            if page and last:
                self.on_page(session, False)

    def spend(self, address: str, seconds: float) -> None:
        """Calls from an address have been under way for so long."""
        with self._lock:
            self._owed[address] = (self._owes(address) + seconds, self.clock())
            if len(self._owed) > MOST_SESSIONS:
                self._owed = {name: owed for name, owed in self._owed.items() if self._owes(name)}

    def wait_for_calls(self, address: str) -> float:
        """Seconds until calls from an address are answered again; 0 for now."""
        with self._lock:
            over = self._owes(address) - self.limits.call_seconds
        return over * 3600 / self.limits.call_seconds + 1 if over >= 0 else 0.0

    def _owes(self, address: str) -> float:
        # A bucket that leaks: an hour forgives as much as an hour allows.
        seconds, at = self._owed.get(address, (0.0, 0.0))
        return max(0.0, seconds - (self.clock() - at) * self.limits.call_seconds / 3600)


def in_words(seconds: float) -> str:
    """A time to wait, rounded up: "20 seconds", "3 minutes"."""
    count, unit = (math.ceil(seconds), "second") if seconds < 90 else (math.ceil(seconds / 60), "minute")
    return f"{max(1, count)} {unit}{'' if count <= 1 else 's'}"


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return True


class Guard:
    """ASGI middleware in front of Gradio's server: counts streams, and refuses streams and bodies beyond bounds.

    first: HTML that every page has in its first bytes, see `Early`.
    """

    def __init__(self, app: Callable, door: Door, first: str = ""):
        self.app, self.door = Early(app, first), door
        #: For the page itself, all of whose scripts and words stand in it; more would take longer than what it saves.
        self.squeezed = GZipMiddleware(self.app, compresslevel=4)

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] == "GET":
            await self._get(scope, receive, send, headers)
        else:
            await self._post(scope, receive, send, headers)

    async def _get(self, scope, receive, send, headers) -> None:
        heartbeat = HEARTBEAT.search(scope["path"])
        session = heartbeat or LISTENING.search(scope["path"])
        if session is not None:
            session = session[1]
        elif QUEUE.search(scope["path"]):
            asked = re.search(r"(?:^|&)session_hash=([\w-]{1,64})(?:&|$)", scope["query_string"].decode("latin-1"))
            session = asked and asked[1]
        if session is None:
            page = scope["path"].endswith("/") and "text/html" in headers.get("accept", "")
            await (self.squeezed if page else self.app)(scope, receive, send)
            return
        address = self.door.address(scope.get("client"), headers)
        if self.door.streams_of(address) >= self.door.limits.streams:
            await _refuse(429, f"{self.door.limits.streams} streams are open from your address, its share of this "
                               "server: close some pages", scope, receive, send)
            return
        with self.door.open_stream(address, session, page=heartbeat is not None):
            await self._until_closed(scope, receive, send)

    async def _until_closed(self, scope, receive, send) -> None:
        """A stream, which pages keep open for ever, to its end or to that of the server."""
        begun = ended = False

        async def told(message: dict) -> None:
            nonlocal begun, ended
            begun, ended = True, message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        loop, running = asyncio.get_running_loop(), asyncio.ensure_future(self.app(scope, receive, told))
        with self.door.closing(lambda: loop.call_soon_threadsafe(running.cancel)):
            try:
                await running
            except asyncio.CancelledError:
                if not self.door.closed:
                    raise
                if begun and not ended:
                    await send({"type": "http.response.body", "body": b""})

    async def _post(self, scope, receive, send, headers) -> None:
        limits = self.door.limits
        most = limits.upload_mb if UPLOAD.search(scope["path"]) else limits.request_mb
        why = f"a request of more than {most} MB is not read"
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > most * 1_000_000:
            await _refuse(413, why, scope, receive, send)
            return
        had, begun = 0, False

        async def counted() -> dict[str, Any]:
            nonlocal had
            message = await receive()
            had += len(message.get("body", b""))
            if had > most * 1_000_000:
                raise TooLarge
            return message

        async def told(message: dict) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, counted, told)
        except TooLarge:
            if not begun:
                await _refuse(413, why, scope, receive, send)
        except OSError as error:  # an upload is written as it comes in
            full = not_written(error, scope["path"])
            if full is None or begun:
                raise
            await _refuse(507, f"{full.why}; try again in a while", scope, receive, send)


class TooLarge(Exception):
    """A body goes on for longer than it may."""


async def _refuse(status: int, why: str, scope, receive, send) -> None:
    headers = {"Retry-After": "60"} if status == 429 else {}
    await JSONResponse({"detail": why, "error": why}, status, headers)(scope, receive, send)

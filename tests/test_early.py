"""What stands in a page's first bytes: pages of Gradio's get it, and all else passes as it came."""

from __future__ import annotations

import asyncio

import pytest

from dashboard.server.early import Early

PAGE = b"<html><body>\n<gradio-app embed></gradio-app>\n<p>&lt;gradio-app and <gradio-app again</p></body></html>"


def through(kind: str, *parts: bytes) -> list[dict]:
    """What comes out where a server answers with these parts of a body."""
    async def server(scope, receive, send):
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % sum(map(len, parts)))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for k, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": k < len(parts) - 1})

    heard = []

    async def hear(message):
        heard.append(message)

    asyncio.run(Early(server, "<i>é</i>")({"type": "http"}, None, hear))
    return heard


@pytest.mark.parametrize("cut", [0, 20, len(PAGE)])
def test_a_page_has_it_once_before_what_gradio_fills_and_says_how_long_it_is(cut):
    start, *bodies = through("text/html; charset=utf-8", PAGE[:cut], PAGE[cut:])
    whole = b"".join(body["body"] for body in bodies)
    assert whole == PAGE.replace(b"<gradio-app embed", "<i>é</i><gradio-app embed".encode())
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(whole)
    assert not bodies[-1].get("more_body")


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream", ""])
def test_what_is_no_page_passes_part_by_part(kind):
    start, *bodies = through(kind, b"<gradio-app", PAGE, b"")
    assert [body["body"] for body in bodies] == [b"<gradio-app", PAGE, b""]
    assert dict(start["headers"])[b"content-length"] == b"%d" % (len(PAGE) + 11)


def test_a_page_without_a_place_for_it_stays_as_it_is():
    _, body = through("text/html", b"<p>not found</p>")
    assert body["body"] == b"<p>not found</p>"

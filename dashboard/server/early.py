"""What stands in a page's first bytes: Gradio gives a page its head only when its own scripts have come, three round
trips later.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders

#: Where in the page it is put: before the element that Gradio fills.
BEFORE = b"<gradio-app"


class Early:
    """ASGI middleware: `html` stands in every page of Gradio's, before all that it puts up. All else passes."""

    def __init__(self, app: Callable, html: str):
        self.app, self.html = app, html.encode()

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        begun, whole = None, b""

        async def told(message: dict) -> None:
            nonlocal begun, whole
            if message["type"] == "http.response.start":
                if Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
                    begun = message
                    return
            elif begun is not None:
                whole += message.get("body", b"")
                if message.get("more_body", False):
                    return
                whole = whole.replace(BEFORE, self.html + BEFORE, 1)
                MutableHeaders(raw=begun["headers"])["content-length"] = str(len(whole))
                await send(begun)
                message = {**message, "body": whole}
            await send(message)

        await self.app(scope, receive, told)

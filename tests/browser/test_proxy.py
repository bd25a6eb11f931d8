"""The dashboard under a path of its own behind a reverse proxy, as GRADIO_ROOT_PATH promises."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import pytest
from PIL import Image

STAGE = "window.Noisescope && Noisescope.stageOf && Noisescope.stageOf('stage-{0}')"
PREFIX = "/tools/scope"


@dataclass
class Proxy:
    """What nginx does with `location /tools/scope/ { proxy_pass http://…/; }`: the prefix goes, all else is passed on.

    target  address of the application
    lost    paths that were asked for outside the prefix, where another application would be
    """

    target: str
    lost: list[str] = field(default_factory=list)

    @cached_property
    def client(self):
        import httpx

        return httpx.AsyncClient(timeout=None, verify=False)  # there is no certificate

    async def __call__(self, scope, receive, send):
        from starlette.requests import ClientDisconnect, Request
        from starlette.responses import PlainTextResponse, StreamingResponse

        assert scope["type"] == "http"
        request = Request(scope, receive)
        if not request.url.path.startswith(f"{PREFIX}/"):
            if request.url.path != "/favicon.ico":  # a browser asks every host for one
                self.lost.append(request.url.path)
            return await PlainTextResponse("another application", 404)(scope, receive, send)
        url = f"{self.target.rstrip('/')}{scope['raw_path'].decode().removeprefix(PREFIX)}?{request.url.query}"
        async with self.client.stream(request.method, url, headers=request.headers.raw,
                                      content=await request.body()) as answer:
            passed = StreamingResponse(answer.aiter_raw(), answer.status_code)
            passed.raw_headers = answer.headers.raw
            with suppress(ClientDisconnect):  # a page that closes
                await passed(scope, receive, send)


@pytest.fixture(scope="module")
def proxy():
    """(address of a dashboard behind a proxy, the proxy)."""
    import uvicorn

    from dashboard.server.serve import serve

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ROOT_PATH", PREFIX)
        with serve(host="127.0.0.1") as target:
            proxy = Proxy(target)
            server = uvicorn.Server(uvicorn.Config(proxy, port=0, log_level="warning", lifespan="off"))
            thread = threading.Thread(target=server.run)
            thread.start()
            try:
                while not server.started:
                    thread.join(0.05)
                port = server.servers[0].sockets[0].getsockname()[1]
                yield f"http://127.0.0.1:{port}{PREFIX}/", proxy
            finally:
                server.should_exit = server.force_exit = True
                thread.join()


def whole(page, data: str) -> None:
    """Until the film of these data stands on the stage, with all its frames."""
    page.wait_for_function(f"data => {{ const s = {STAGE.format('denoise')}; "
                           "return s && s.done && s.from.data === data && s.frames === 11; }", arg=data)


def test_everything_of_the_page_stays_below_its_path(open_page, proxy, tmp_path):
    url, passed = proxy
    page = open_page(url, query="steps=10&samples=50", accept_downloads=True)
    whole(page, "T-Rex")
    page.click(".ns-pick[title='Moons']")
    page.wait_for_function("location.search.includes('data=moons')")
    whole(page, "Moons")
    page.click("#stage-denoise .ns-export > button")
    with page.expect_download() as download:
        page.click("#stage-denoise .ns-popover .ns-primary")
    download.value.save_as(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 11
    page.click(".ns-own button")
    with page.expect_file_chooser() as chooser:
        page.click("#own-file")
    rows = "\n".join(f"{i % 7},{i % 5}" for i in range(40))
    chooser.value.set_files({"name": "p.csv", "mimeType": "text/csv", "buffer": f"x,y\n{rows}".encode()})
    page.wait_for_function("location.search.includes('data=own')")
    assert page.evaluate("document.querySelector('.ns-name').href") == url
    assert passed.lost == []


def test_a_program_calls_the_api_below_the_path(proxy):
    from gradio_client import Client

    url, passed = proxy
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 120})
    try:
        assert "trex" in str(client.predict(api_name="/datasets"))
    finally:
        client.close()
    assert passed.lost == []

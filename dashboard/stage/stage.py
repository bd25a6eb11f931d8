"""The stage as a Gradio component: it sends files of frames, hears what a visitor wants, and draws nothing itself.

The value is a film:

    {"film": id, "chunks": [file, …], "done": bool, "total": int | None, "available": [{"key", "title", "note"}, …]}

Frames travel in files of their own (`chunk`), each fetched once; scrubbing sends nothing. While a walk runs, yield the
film again with one more chunk. Events, as `event: gr.EventData`:

| event  | data                             | when |
|--------|----------------------------------|------|
| want   | key                              | a chip of a panel not yet sent is on: answer with a chunk more |
| shown  | keys                             | the choice of panels has changed |
| seek   | frame                            | a hand has moved the playhead and come to rest |
| export | format, size, fps, every, pacing, panels, frame, sample | answer with `export_state(…)` |
| export | the same, and weigh, a number    | answer with `export_weight(…)`: what the file would weigh |
| stop   |                                  | the visitor has seen enough of a film that is still being made |
| ask    | field, value                     | what stands beside the film asks for another: a field of the recipe |
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder

from core.drawing.stage import in_script
from core.files import atomic_write, not_written
from dashboard.stage.formats import OFFERED

TEMPLATE = '<div class="ns-root"></div>'


def new_folder() -> Path:
    """A folder in Gradio's cache that nobody can guess: served from there, and cleared away in time."""
    folder = Path(get_upload_folder()) / secrets.token_hex(20)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise not_written(error, folder) or error from None
    return folder


def cached(name: str, content: bytes) -> str:
    """Write a file into a new folder of Gradio's cache; returns its path."""
    path = new_folder() / name
    with atomic_write(path) as part:
        part.write_bytes(content)
    return str(path)


def chunk(packed: bytes, squeezed: bool = False) -> dict:
    """A packed chunk (`pack`) as a file the page can fetch: an entry of a film's `chunks`.

    No FileData: Gradio looks after each of those again whenever one more comes, and a film has dozens.
    squeezed: deflated, which takes its time and is worth it for what many fetch.
    """
    return {"path": cached("frames.deflate", zlib.compress(packed, 9)) if squeezed else cached("frames.bin", packed)}


def film(
    chunks: Iterable[dict] = (),
    *,
    name: str | None = None,
    done: bool = True,
    total: int | None = None,
    available: Sequence[dict] = (),
    frame: int | None = None,
    shown: Sequence[str] | None = None,
    usual: Sequence[str] = (),
    follow: bool = False,
    made: Mapping[str, str] | None = None,
    findings: dict | None = None,
) -> dict:
    """A stage's value. Keep `name` while chunks are added: another name is another film; by default a new one.

    `total` is the number of frames expected, `available` the panels that can be wanted but have not been sent, as
    {"key", "title", "note"}. `frame` and `shown` put playhead and chips where a link says; without them they stay where
    the visitor has left them, and where panels that were on are none of this film's, its `usual` ones take their place.
    `follow` keeps the playhead on the newest frame until a hand takes it. `made` says what
    the film was made from, in words by the recipe's field. `findings` is the file (`chunk(pack_findings(…))`) of what
    is said beside it.
    """
    value = {"film": name or secrets.token_hex(8), "chunks": list(chunks), "done": done, "total": total}
    value |= {"available": list(available), "usual": list(usual), "follow": follow, "made": dict(made or {})}
    if frame is not None:
        value["frame"] = frame
    if shown is not None:
        value["shown"] = list(shown)
    if findings is not None:
        value["findings"] = findings
    return value


def export_state(progress: float = 0.0, message: str = "", path: str | Path | None = None):
    """What an export handler yields: how far it is and, at the end, the file, which the page then downloads.

    `path` is copied into Gradio's cache by Gradio, so it may lie anywhere under the temporary directory.
    """
    state = {"progress": progress, "message": message, "id": secrets.token_hex(4)}
    if path is not None:
        state["file"] = FileData(path=str(path), orig_name=Path(path).name).model_dump()
    return gr.update(export_state=state)


def export_weight(question: int, size: int):
    """What an export handler answers to a wish with `weigh`: the bytes that the file would have."""
    return gr.update(export_state={"weighed": question, "bytes": size})


class Stage(gr.HTML):
    """The player. `launch(head=head.head())` must be given for its page.

    `question` is the headline, `shown` the panels that are on at first, `empty` what to press while there is no film.
    `uses` names the fields of the recipe that a film here is made from: where one says something else than it did for
    the film, the stage says so, and `renew` says what to press; `live`, where all of those fields are in it.
    `autoplay` plays a new film at once, unless the visitor asked for reduced motion. `gr.update(status=…)` shows a
    line under the transport. `formats`: what it can become, see `formats.py`.
    """

    def __init__(
        self,
        question: str = "",
        *,
        shown: Sequence[str] = ("x_t", "x0"),
        empty: str = "Nothing here yet.",
        autoplay: bool = True,
        uses: Sequence[str] = (),
        renew: str = "",
        live: Mapping[str, str] | None = None,
        formats: Sequence[dict] = OFFERED,
        value: dict | None = None,
        elem_id: str = "stage",
        export_state: dict | None = None,
        status: str = "",
        **kwargs,
    ) -> None:
        #: What the player is told, and `Noisescope.stage` in the page.
        self.options = dict(question=question, shown=list(shown), empty=empty, autoplay=autoplay, uses=list(uses),
                            renew=renew, live=dict(live or {}), formats=list(formats))
        # An event exists for Gradio if its name stands quoted in the script.
        script = f"""
            const events = ['want', 'shown', 'seek', 'export', 'stop', 'ask'];
            Noisescope.stage(element, {in_script(**self.options)}, {{ props, trigger, watch, events }});
        """
        super().__init__(value, html_template=TEMPLATE, js_on_load=script, apply_default_css=False, elem_id=elem_id,
                         export_state=export_state, status=status, **kwargs)

    def get_config(self) -> dict:
        # Gradio would look for attributes named like our own parameters, and take events of that name for them.
        config = super(gr.HTML, self).get_config(gr.HTML)
        return config | {"component_class_name": self.component_class_name}

    def preprocess(self, payload: dict | None) -> dict | None:
        return payload or None

    def api_info(self) -> dict:
        return {"type": "object"}

    def example_payload(self) -> None:
        return None

    def example_value(self) -> None:
        return None

    def postprocess(self, value: dict | None) -> dict | None:
        """A film, or None for an empty stage; ValueError for anything else."""
        if value is not None and not (isinstance(value, dict) and {"film", "chunks"} <= value.keys()):
            raise ValueError(f"a stage shows what film() makes, or None, not {type(value).__name__}")
        return value

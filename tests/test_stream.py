"""From a film to a stage: each frame is sent once, late wishes are met in full, and a newer run ends the older."""

from __future__ import annotations

import json
import threading
import zlib
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

import dashboard.stage.stream
from core.drawing.stage import pack
from core.recipe.recipe import Recipe
from core.scene import Chart, Scene, Series
from core.views import View
from dashboard.server.door import Door
from dashboard.server.app_state import while_newest
from dashboard.server.foreground import Foreground
from dashboard.stage.stream import RunTokens, SceneStream, play
from dashboard.tabs.stages import new_stage, wire_stage

TOTAL = 9


@pytest.fixture(autouse=True)
def files_go_here(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


class Growing(View):
    """A film whose frame k shows the number k in each of its panels; it has as many frames as it is told."""

    def __init__(self, frames: int = 0):
        self.offers, self.default, self._frames, self.version, self.about = {}, ("a", "b"), frames, 0, {}
        look = dict(kind="heat", range=(0.0, 254.0), palette="magnitude")
        for key in ("a", "b", "c"):
            self.offer(key, key.upper(), f"panel {key}", self.maker(ord(key)), **look)
        self.made = 0
        self.offer("still", "STILL", "stands still", self.make_still, still=True, **look)

    def maker(self, shift: int):
        return lambda first, end: numbered(first, end) + shift

    def make_still(self, first: int, end: int) -> np.ndarray:
        self.made += 1
        return numbered(7, 8)

    def grow(self, frames: int) -> Growing:
        self._frames = frames
        return self

    @property
    def frames(self) -> int:
        return self._frames

    @property
    def total(self) -> int:
        return TOTAL

    @property
    def nbytes(self) -> int:
        return 1234

    def shell(self, first: int, end: int) -> Scene:
        t = np.linspace(1, 0, TOTAL)
        chart = Chart("version", (Series("v", np.arange(3.0), np.full(3, float(self.version))),), t)
        return Scene((), {"t": t[first:end]}, charts=(chart,))


def numbered(first: int, end: int) -> np.ndarray:
    return np.repeat(np.arange(first, end, dtype=np.float32), 4).reshape(-1, 2, 2)


def read(entry: dict) -> tuple[dict, callable]:
    """(header, function from a reference in it to its array) of a chunk, as the browser reads it."""
    raw = Path(entry["path"]).read_bytes()
    length = int.from_bytes(raw[:4], "little")
    header = json.loads(raw[4 : 4 + length])

    def array(ref):
        size = int(np.prod(ref["shape"]))
        return np.frombuffer(raw, "<" + ref["dtype"], size, 4 + length + ref["offset"]).reshape(ref["shape"])

    return header, array


def sent(value: dict) -> dict[str, dict[int, list]]:
    """panel → frame → the numbers it was sent with, each as often as it was sent."""
    found: dict[str, dict[int, list]] = {}
    for entry in value["chunks"]:
        header, array = read(entry)
        for panel in header["panels"]:
            for k, codes in enumerate(array(panel["codes"])):
                assert (codes == codes[0, 0]).all()
                number = int(codes[0, 0]) - 1 - (ord(panel["key"]) if len(panel["key"]) == 1 else 0)
                found.setdefault(panel["key"], {}).setdefault(header["first"] + k, []).append(number)
    return found


def all_once(frames: int) -> dict[int, list]:
    return {k: [k] for k in range(frames)}


def test_every_frame_of_every_shown_panel_is_sent_once():
    film = Growing()
    stream = SceneStream(film)
    for frames in (1, 2, 2, 6, TOTAL):
        value = stream.value(done=frames == TOTAL)
        film.grow(frames)
    value = stream.value(done=True)
    assert sent(value) == {"a": all_once(TOTAL), "b": all_once(TOTAL)}
    assert stream.sent == TOTAL and value["done"] and value["total"] == TOTAL


def test_what_many_fetch_travels_deflated_and_is_the_same_film():
    film = Growing(TOTAL)
    plain, squeezed = (SceneStream(film, squeezed=squeezed).value(done=True)["chunks"] for squeezed in (False, True))
    raw = zlib.decompress(Path(squeezed[0]["path"]).read_bytes())
    assert raw == pack(film.scene(), first=0, total=TOTAL, delta=True) and len(squeezed) == len(plain) == 1
    assert squeezed[0]["path"].endswith(".deflate") and plain[0]["path"].endswith(".bin")


def test_looking_again_without_a_new_frame_sends_nothing_new():
    stream = SceneStream(Growing(4))
    first, again = stream.value(done=False), stream.value(done=False)
    assert first["chunks"] == again["chunks"] and len(again["chunks"]) == 1
    assert first["film"] == again["film"] == stream.name
    assert SceneStream(Growing()).value(done=False)["chunks"] == []


def test_the_value_tells_what_else_could_be_shown():
    value = SceneStream(Growing(4)).value(done=False)
    assert [offer["key"] for offer in value["available"]] == ["a", "b", "c", "still"]
    assert value["available"][2] == {"key": "c", "title": "C", "note": "panel c"}


def test_a_panel_that_is_wanted_comes_whole_and_goes_on_coming():
    film = Growing(4)
    stream = SceneStream(film)
    stream.value(done=False)
    stream.want("c")
    assert sent(stream.value(done=False))["c"] == all_once(4)
    film.grow(7)
    stream.value(done=False)
    film.grow(TOTAL)
    assert sent(stream.value(done=True)) == {key: all_once(TOTAL) for key in "abc"}


def test_wanting_twice_or_what_is_there_already_sends_nothing_more():
    stream = SceneStream(Growing(4))
    stream.value(done=False)
    for key in ("a", "c", "c"):
        stream.want(key)
    assert sent(stream.value(done=False)) == {key: all_once(4) for key in "abc"}


def test_a_panel_wanted_before_the_first_frame_comes_with_it():
    stream = SceneStream(film := Growing())
    stream.want("c")
    film.grow(3)
    assert sent(stream.value(done=False)) == {key: all_once(3) for key in "abc"}


def test_a_panel_that_stands_still_is_sent_with_the_first_frames():
    stream = SceneStream(Growing(4))
    stream.value(done=False)
    stream.want("still")
    assert sent(stream.value(done=False))["still"] == {0: [7]}


def test_an_unknown_panel_is_refused_and_changes_nothing():
    stream = SceneStream(Growing(4))
    before = stream.value(done=False)
    with pytest.raises(ValueError, match="no panel 'd' here; there are a, b, c, still"):
        stream.want("d")
    assert stream.value(done=False) == before


def test_nothing_is_missed_if_a_panel_is_wanted_while_the_film_streams():
    wishes = []

    class Interrupted(Growing):
        def shell(self, first, end):  # the visitor's wish comes in the middle of packing frames 4 and 5
            if first == 4 and not wishes:
                wishes.append(threading.Thread(target=stream.want, args=("c",)))
                wishes[0].start()
                wishes[0].join(0.1)
            return super().shell(first, end)

    film = Interrupted(4)
    stream = SceneStream(film)
    for frames in (4, 6, TOTAL):
        film.grow(frames)
        stream.value(done=False)
    wishes[0].join()
    assert sent(stream.value(done=True)) == {key: all_once(TOTAL) for key in "abc"}


def test_what_a_link_asks_for_is_shown_and_what_was_on_before_is_sent_as_well():
    stream = SceneStream(Growing(2), shown=("c", "gone"), frame=5, also=("still", "gone"))
    value = stream.value(done=False)
    assert value["shown"] == ["c"] and value["frame"] == 5
    assert set(sent(value)) == {"a", "b", "c", "still"}
    plain = SceneStream(Growing(2)).value(done=False)
    assert "shown" not in plain and "frame" not in plain  # they stay where the visitor has left them


def charts_of(entry) -> float:
    header, array = read(entry)
    return float(array(header["charts"][0]["series"][0]["y"])[0])


def test_refreshing_replaces_the_charts_and_adds_no_chunk_to_those_before():
    film = Growing(4)
    stream = SceneStream(film)
    stream.value(done=False)
    for version in range(1, 6):
        film.version = version
        value = stream.refreshed(done=False)
        assert len(value["chunks"]) == 2 and charts_of(value["chunks"][-1]) == version
        header, _ = read(value["chunks"][-1])
        assert header["panels"] == [] and header["first"] == 3 and header["count"] == 1
    film.grow(6)
    value = stream.refreshed(done=True)  # a new frame brings the charts itself
    assert len(value["chunks"]) == 2 and charts_of(value["chunks"][-1]) == 5
    assert sent(value) == {"a": all_once(6), "b": all_once(6)}


def test_refreshing_before_the_first_frame_is_no_error():
    assert SceneStream(Growing()).refreshed(done=False)["chunks"] == []


def test_cursors_belong_to_the_frames_they_come_with():
    film = Growing(4)
    stream = SceneStream(film)
    stream.value(done=False)
    film.grow(TOTAL)
    for entry in stream.value(done=True)["chunks"]:
        header, array = read(entry)
        wanted = np.linspace(1, 0, TOTAL)[header["first"] : header["first"] + header["count"]]
        np.testing.assert_array_equal(array(header["charts"][0]["cursor"]), wanted)
        np.testing.assert_array_equal(array(header["numbers"]["t"]), wanted)


def test_an_export_has_the_whole_film_so_far():
    stream = SceneStream(Growing(5))
    scene = stream.scene(["c", "a"])
    assert [panel.key for panel in scene.panels] == ["c", "a"] and scene.frames == 5
    assert [panel.key for panel in stream.scene([]).panels] == ["a", "b"]
    assert stream.nbytes == 1234


def test_playing_shows_the_first_frame_at_once_and_all_of_them_at_the_end(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(dashboard.stage.stream.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(dashboard.stage.stream, "LOOK_EVERY", 0.12)

    def growing():
        film = Growing()
        for frames in range(TOTAL + 1):
            now[0] += 0.05
            yield film.grow(frames)

    values = [value for _, value in play(growing())]
    assert set(sent(values[0])["a"]) == {0} and not values[0]["done"]
    assert sent(values[-1]) == {"a": all_once(TOTAL), "b": all_once(TOTAL)} and values[-1]["done"]
    assert 3 <= len(values) <= 5  # a look every 0.12 s of 0.45 s
    assert len({value["film"] for value in values}) == 1


def test_a_panel_wanted_while_the_film_grows_does_not_end_it_and_afterwards_does_not_begin_it_anew():
    film = Growing()
    running = play(film.grow(frames) for frames in (2, TOTAL))
    stream, _ = next(running)
    stream.want("c")
    assert stream.value()["done"] is False and stream.copy().value()["done"] is False
    *_, (_, last) = running
    stream.want("still")
    assert last["done"] is stream.value()["done"] is stream.copy().value()["done"] is True


def test_a_film_that_breaks_or_that_nobody_goes_on_with_is_over():
    def breaks():
        yield Growing(2)
        raise RuntimeError("the network has gone")

    broken = play(breaks())
    stream, value = next(broken)
    assert value["done"] is stream.done is False
    with pytest.raises(RuntimeError, match="the network has gone"):
        next(broken)
    assert stream.value()["done"] is True

    left = play(iter([Growing(2), Growing(2)]))
    stream, _ = next(left)
    left.close()
    assert stream.value()["done"] is True


@pytest.mark.parametrize("done", [False, True])
def test_a_chip_that_wants_a_panel_says_whether_the_film_still_grows(done):
    stream = SceneStream(Growing(4))
    stream.value(done)
    app = SimpleNamespace(visitor=lambda token, session: None, stream=lambda visitor, session, tab: stream,
                          foreground=Foreground())
    with gr.Blocks() as page:
        wire_stage(app, "denoise", new_stage("denoise", "?", "nothing yet"), gr.State())
    (want,) = (event.fn for event in page.fns.values() if getattr(event.fn, "__name__", "") == "want")
    value = want("token", SimpleNamespace(session_hash="page"), SimpleNamespace(_data={"key": "c"}))
    assert value["done"] is done and sent(value)["c"] == all_once(4)


def test_playing_nothing_shows_nothing():
    assert list(play(iter(()))) == []


def test_a_newer_run_ends_the_older_on_the_same_stage_only():
    turns = RunTokens()
    old = turns.take("page", "denoise")
    other = turns.take("page", "lens")
    elsewhere = turns.take("another page", "denoise")
    assert turns.holds("page", "denoise", old)
    new = turns.take("page", "denoise")
    assert not turns.holds("page", "denoise", old) and turns.holds("page", "denoise", new)
    assert turns.holds("page", "lens", other) and turns.holds("another page", "denoise", elsewhere)


def test_what_ran_for_a_page_that_is_gone_never_runs_again():
    turns = RunTokens()
    old, elsewhere = turns.take("page", "denoise"), turns.take("other", "denoise")
    turns.forget("page")
    assert not turns.holds("page", "denoise", old)
    new = turns.take("page", "denoise")  # the page is found again
    assert turns.holds("page", "denoise", new) and not turns.holds("page", "denoise", old)
    assert turns.holds("other", "denoise", elsewhere)


def test_a_run_stops_asking_for_frames_when_a_newer_one_begins():
    class AppState:
        turns, door = RunTokens(), Door()

    asked = []

    def films():
        for k in range(100):
            asked.append(k)
            yield k

    turn = AppState.turns.take("page", "denoise")
    running = while_newest(AppState, "page", "denoise", turn, films())
    assert [next(running), next(running)] == [0, 1]
    AppState.turns.take("page", "denoise")
    assert list(running) == [] and len(asked) <= 3


def test_what_stands_still_is_made_and_sent_once_however_often_the_film_is_looked_at():
    film = Growing(2)
    stream = SceneStream(film, shown=("a", "still"))
    for frames in (2, 5, 9):
        stream.value(done=False)
        film.grow(frames)
    stream.value(done=True)
    sent = [panel["key"] for entry in stream.chunks for panel in read(entry)[0]["panels"]]
    assert film.made == sent.count("still") == 1 and sent.count("a") == 3


def is_fresh(turns: RunTokens, page: str, number: int) -> bool:
    with turns.change(page, number) as fresh:
        return fresh


def test_a_change_that_comes_to_its_turn_after_a_later_one_of_its_page_is_late(monkeypatch):
    monkeypatch.setattr(dashboard.stage.stream, "PATIENCE", 0.01)
    turns = RunTokens()
    assert is_fresh(turns, "page", 0) and is_fresh(turns, "page", 1) and is_fresh(turns, "page", 3)
    assert not is_fresh(turns, "page", 2) and is_fresh(turns, "page", 3) and is_fresh(turns, "page", 4)
    assert not is_fresh(turns, "page", 0) and is_fresh(turns, "page", 5), "its arrival comes before all changes"
    assert is_fresh(turns, "other", 1), "each page counts its own"
    turns.forget("page")
    assert is_fresh(turns, "page", 1)


def test_a_change_waits_for_the_one_before_it_that_has_begun_or_is_on_its_way(monkeypatch):
    monkeypatch.setattr(dashboard.stage.stream, "PATIENCE", 60.0)
    turns, order, begun = RunTokens(), [], threading.Event()

    def later():
        begun.set()
        with turns.change("page", 2) as fresh:
            order.append((2, fresh))

    thread = threading.Thread(target=later)
    thread.start()
    assert begun.wait(600)
    with turns.change("page", 1) as fresh:
        order.append((1, fresh))
        assert thread.is_alive()
    thread.join(60)
    assert order == [(1, True), (2, True)]


def test_a_press_waits_for_the_change_before_it_and_is_none_itself(monkeypatch):
    monkeypatch.setattr(dashboard.stage.stream, "PATIENCE", 60.0)
    turns, order, begun = RunTokens(), [], threading.Event()

    def press():
        begun.set()
        turns.after("page", 1)
        order.append("pressed")

    thread = threading.Thread(target=press)
    thread.start()
    assert begun.wait(600)
    with turns.change("page", 1):
        order.append("changed")
    thread.join(60)
    assert order == ["changed", "pressed"] and is_fresh(turns, "page", 2)
    monkeypatch.setattr(dashboard.stage.stream, "PATIENCE", 0.01)
    turns.after("page", 9)  # none of them ever comes


def test_one_that_failed_holds_nobody_up():
    turns = RunTokens()
    with pytest.raises(ValueError), turns.change("page", 1):
        raise ValueError
    assert is_fresh(turns, "page", 2)


def test_the_first_change_waits_for_what_the_page_opens_with(monkeypatch):
    monkeypatch.setattr(dashboard.stage.stream, "PATIENCE", 0.01)
    turns, order = RunTokens(), []

    def first():
        with turns.change("page", 1) as fresh:
            order.append((1, fresh))

    thread = threading.Thread(target=first)
    with turns.change("page", 0) as fresh:
        thread.start()
        thread.join(0.1)
        order.append((0, fresh))
    thread.join(60)
    assert order == [(0, True), (1, True)] and not is_fresh(turns, "page", 0)


def test_what_a_run_shows_is_known_until_it_ends_or_another_begins():
    turns, moons, heart = RunTokens(), Recipe(data="moons"), Recipe(data="heart")
    old = turns.take("page", "denoise", moons)
    assert turns.under_way("page", "denoise") is moons and turns.under_way("page", "lens") is None
    new = turns.take("page", "denoise", heart)
    turns.ended("page", "denoise", old)
    assert turns.under_way("page", "denoise") is heart
    turns.ended("page", "denoise", new)
    assert turns.under_way("page", "denoise") is None and turns.holds("page", "denoise", new)
    for end in (lambda: turns.stop("page", "denoise"), lambda: turns.forget("page"),
                lambda: turns.take("page", "denoise")):
        turns.take("page", "denoise", moons)
        end()
        assert turns.under_way("page", "denoise") is None

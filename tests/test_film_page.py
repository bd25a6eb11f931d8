"""A film as one HTML file: what lies in it, and what it weighs. What a reader sees: tests/browser/test_film_page.py."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core.drawing.export import Stopped, estimate, export, read_recipe, to_bytes
from core.scene import Chart, Panel, Scene, Series

EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked=1'>"


def walk_of_points(count: int = 1000, steps: int = 100, **more) -> Scene:
    """As noisy as any walk: DDPM's steps of 1,000 points, and a guess and a noise that change as much."""
    rng, t = np.random.default_rng(0), np.linspace(1, 0, steps + 1)
    noise = np.cumsum(rng.normal(0, 0.12, (steps + 1, count, 2)), 0) + rng.normal(0, 0.5, (count, 2))
    panels = [Panel(key, key, key, "points", noise + rng.normal(0, 0.05, noise.shape), (-1.9, 1.9), "ink")
              for key in ("x_t", "x0", "eps")]
    chart = Chart("c", (Series("s", t, t),), cursor=t)
    return Scene(tuple(panels), {"t": t}, charts=(chart,), **more)


def test_a_hundred_steps_of_a_thousand_points_in_three_panels_weigh_less_than_1_5_megabytes():
    scene = walk_of_points()
    size = len(to_bytes(scene, "html"))
    assert size < 1_500_000 and estimate(scene, "html") == size


def test_nothing_in_the_file_has_an_address():
    text = to_bytes(walk_of_points(5, 5), "html").decode()
    assert set(re.findall(r"https?://[^\s'\"<)]+", text)) == {"http://www.w3.org/2000/svg"}  # the name of a language
    assert not re.search(r"""(?:src|href)=|@import|url\(""", text) and "default-src 'none'" in text


def test_what_strangers_wrote_stays_text(tmp_path):
    scene = walk_of_points(5, 5, about={"data": EVIL, "sampler": EVIL, "command": EVIL}, sentence=EVIL, formula=EVIL)
    path = export(scene, tmp_path / "film.html")
    text = path.read_text()
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 4  # recipe, film, colours, program
    assert read_recipe(path)["data"] == EVIL


@pytest.mark.parametrize("begin", ["<html>", "<!doctype html><title>x</title>", "<!doctype html>" + "[" * 100_000])
def test_another_page_holds_no_recipe(tmp_path, begin):
    (tmp_path / "page.html").write_text(begin)
    with pytest.raises(ValueError, match="page.html' holds no recipe"):
        read_recipe(tmp_path / "page.html")


def test_it_tells_how_far_it_is_and_can_be_stopped(tmp_path):
    told = []
    export(walk_of_points(5, 99), tmp_path / "film.html", every=2, progress=lambda *done: told.append(done))
    assert told == [(32, 51), (51, 51)]
    with pytest.raises(Stopped, match="after 32 of 100 frames"):
        export(walk_of_points(5, 99), tmp_path / "other.html", stop=lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["film.html"]

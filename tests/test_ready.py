"""What pages show first is shipped as it was made beforehand: it is what this checkout would make now."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from PIL import Image

from core.data.datasets import names
from dashboard.ready import FILM, FRAMES, pictures
from dashboard.ready.film import Greeting
from dashboard.ready.make import made_film, made_pictures

AGAIN = "made otherwise now: run python -m dashboard.ready.make"
#: How far two processors may be apart, by the largest value there can be: a walk of a hundred steps rounds at each.
APART = 0.01


@pytest.fixture
def greeting(tmp_path, monkeypatch) -> Greeting:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return Greeting()


@pytest.fixture(scope="module")
def film() -> tuple[dict, dict]:
    """What a stage is told of the film, and its frames, as they are made now."""
    value, frames = made_film()
    return value, unpacked(frames)


def unpacked(frames: bytes) -> dict:
    """A deflated chunk's header, with the arrays themselves where it refers to them."""
    raw = zlib.decompress(frames)
    begin = 4 + int.from_bytes(raw[:4], "little")

    def read(node):
        if isinstance(node, list):
            return [read(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "dtype" not in node:
            return {name: read(one) for name, one in node.items()}
        dtype, shape = np.dtype("<" + node["dtype"]), node["shape"]
        if node.get("coding") != "delta":
            return np.frombuffer(raw, dtype, int(np.prod(shape)), begin + node["offset"]).reshape(shape)
        planes = np.frombuffer(raw, np.uint8, int(np.prod(shape)) * dtype.itemsize, begin + node["offset"])
        zigzag = sum(plane.astype(np.int64) << 8 * n for n, plane in enumerate(planes.reshape(dtype.itemsize, -1)))
        return np.cumsum(((zigzag >> 1) ^ -(zigzag & 1)).reshape(shape), 0).astype(dtype)

    return read(json.loads(raw[4:begin]))


def unlike(one, other, where: str = "") -> Iterator[str]:
    """Where two values of the same make differ by more than processors may."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.shape == other.shape:
        one, other = one.astype(float), other.astype(float)
        sure = np.isfinite(other)
        far = np.abs(one[sure] - other[sure]) > APART * np.abs(other[sure]).max(initial=0)
        if (sure != np.isfinite(one)).any() or far.sum() > APART * far.size:  # a point on a watershed may go elsewhere
            yield where
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from unlike(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for k, pair in enumerate(zip(one, other)):
            yield from unlike(*pair, f"{where}[{k}]")
    elif isinstance(one, float) and isinstance(other, float):
        if one != pytest.approx(other, rel=APART):
            yield where
    elif type(one) is not type(other) or one != other:
        yield where


@cache
def pixels(image: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGBA"), float) / 255


def apart(one: dict, other: dict) -> float:
    """How far two pictures are from each other: the mean over pixels and channels, of at most 1."""
    return float(np.abs(pixels(one["image"]) - pixels(other["image"])).mean())


def test_the_pictures_of_the_data_sets_are_those_of_the_data_themselves():
    shipped, made = pictures(), made_pictures()
    assert [item["name"] for item in shipped] == list(names())
    for then, now in zip(shipped, made, strict=True):
        assert {**then, "image": ""} == {**now, "image": ""}, AGAIN
        assert apart(then, now) < APART, f"{then['name']} is {AGAIN}"
        assert all(apart(other, now) > 2 * APART for other in shipped if other is not then), "no bound at all"


def test_the_film_that_greets_is_the_one_that_a_walk_gives(film):
    value, frames = film
    shipped = json.loads(FILM.read_text("utf-8"))
    assert {**shipped, "film": ""} == {**value, "film": ""}, AGAIN
    assert list(unlike(unpacked(FRAMES.read_bytes()), frames)) == [], AGAIN
    assert shipped["film"] == hashlib.sha256(FRAMES.read_bytes()).hexdigest()[:16], "files of two films"


def test_a_film_of_other_words_or_other_steps_does_not_pass_for_it(film):
    _, frames = film
    points = frames["panels"][0]["codes"]
    shifted = [{**frames["panels"][0], "codes": np.roll(points, 10, 0)}, *frames["panels"][1:]]
    assert list(unlike({**frames, "panels": shifted}, frames)) == [".panels[0].codes"]
    assert list(unlike({**frames, "sentence": "another"}, frames)) == [".sentence"]
    assert list(unlike({**frames, "panels": frames["panels"][1:]}, frames)) == [".panels"]


def test_who_wants_more_of_the_film_that_greets_gets_it_of_the_same_film_and_one_walk_is_for_all(greeting, monkeypatch):
    steps = []
    ours, theirs = (greeting.stream(lambda films: (steps.append(film) or film for film in films)) for _ in range(2))
    assert ours.value() == theirs.value() == greeting.value
    assert len(steps) == ours.film.frames == greeting.value["total"]
    ours.want("eps")
    assert [entry["path"] for entry in ours.value()["chunks"][:-1]] == greeting.files
    assert theirs.value() == greeting.value

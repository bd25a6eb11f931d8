"""What the browser is sent is what the scene says, to half a code, and says so when it cannot be."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest

from core.drawing.stage.pack import NAN16, VIEW, differences, frames, pack, quantise
from core.scene import Chart, Panel, Scene, Series

TIMES = np.linspace(1, 0, 5)


def scene(*panels: Panel, **more) -> Scene:
    return Scene(panels, {"t": TIMES, **more.pop("numbers", {})}, **more)


def images(data=None, range=(-1.0, 1.0), palette="data", key="x_t", **more) -> Panel:
    data = np.random.default_rng(0).uniform(-1, 1, (5, 3, 4, 6, 1)).astype(np.float32) if data is None else data
    return Panel(key, "x_{t}", "the state", "images", data, range, palette, **more)


def points(data, range=(-2.0, 2.0), kind="points", **more) -> Panel:
    return Panel("p", "p", "points", kind, np.asarray(data, np.float32), range, "ink", **more)


def unpacked(packed: bytes):
    """(header, function from a reference in it to its array), read the way the browser does."""
    (length,) = struct.unpack_from("<I", packed)
    header = json.loads(packed[4 : 4 + length])
    assert (4 + length) % 8 == 0

    def array(ref):
        size = int(np.prod(ref["shape"]))
        assert (4 + length + ref["offset"]) % np.dtype(ref["dtype"]).itemsize == 0
        return np.frombuffer(packed, "<" + ref["dtype"], size, 4 + length + ref["offset"]).reshape(ref["shape"])

    return header, array


def codes(packed: bytes, index: int = 0) -> np.ndarray:
    header, array = unpacked(packed)
    return array(header["panels"][index]["codes"])


def test_a_value_survives_to_half_a_code():
    panel = images(range=(-1.5, 1.0))
    back = -1.5 + (codes(pack(scene(panel))).astype(float) - 1) / 254 * 2.5
    np.testing.assert_allclose(back, panel.data, atol=2.5 / 254 / 2 + 1e-6)


@pytest.mark.parametrize("high", [0.1, 1.0, 3.0, 7.3])
def test_zero_is_exactly_code_128_in_a_symmetric_range(high):
    assert quantise(np.array([0.0, -0.0]), -high, high).tolist() == [128, 128]


def test_the_ends_saturate_and_what_is_no_number_is_code_0():
    values = np.array([-np.inf, -5, -1, 1, 5, np.inf, np.nan])
    assert quantise(values, -1, 1).tolist() == [1, 1, 1, 255, 255, 255, 0]


def test_points_outside_the_view_stay_outside_and_inside_ones_keep_their_place():
    panel = points([[[-2, 2], [0, 1], [2.5, -100], [np.nan, 0]]])
    found = codes(pack(scene(panel)))[0]
    assert found[:2].tolist() == [[-VIEW, VIEW], [0, VIEW // 2]]
    assert found[2, 0] > VIEW and found[2, 1] == NAN16 + 1
    assert found[3].tolist() == [NAN16, 0]


def test_long_arrows_keep_their_direction():
    data = np.zeros((1, 1, 1, 2), np.float32)
    data[0, 0, 0] = (300.0, -400.0)
    found = codes(pack(scene(points(data, kind="field", scale=1.0))))[0, 0, 0].astype(float)
    np.testing.assert_allclose(found / np.hypot(*found), [0.6, -0.8], atol=1e-4)


def test_arrows_without_a_scale_are_drawn_to_the_length_that_few_exceed():
    data = np.zeros((1, 10, 10, 2), np.float32)
    data[..., 0] = 2.0
    data[0, 0, 0] = 500.0
    header, _ = unpacked(pack(scene(points(data, kind="field"))))
    assert header["panels"][0]["scale"] == 2.0


def test_numbers_keep_what_is_not_finite_and_the_header_stays_json():
    numbers = {"snr": np.array([np.nan, np.inf, -np.inf, 1e300, 0.1])}
    header, array = unpacked(pack(scene(images(), numbers=numbers)))
    np.testing.assert_array_equal(array(header["numbers"]["snr"]), numbers["snr"])


def test_texts_travel_unchanged():
    texts = {"clock": "t = {t:.3f}", "sentence": "ein “Satz” <b>", "formula": "x_{t}", "figures": ("a",), "source": "s",
             "legend": (("ink", "x_{t}"),)}
    header, _ = unpacked(pack(scene(images(), **texts)))
    assert {name: header[name] for name in texts} == {**texts, "figures": ["a"], "legend": [["ink", "x_{t}"]]}


def test_a_panel_that_stands_still_is_sent_with_the_first_frames_only():
    still = images(np.zeros((1, 3, 4, 6, 1), np.float32), key="eps")
    whole = scene(images(), still)
    assert [p["key"] for p in unpacked(pack(whole, 0, 10))[0]["panels"]] == ["x_t", "eps"]
    assert [p["key"] for p in unpacked(pack(whole, 5, 10))[0]["panels"]] == ["x_t"]
    assert [p["key"] for p in unpacked(pack(whole, 5, 10, ["eps"]))[0]["panels"]] == ["eps"]


def test_a_part_of_a_scene_has_its_frames_numbers_and_cursor_and_whole_curves():
    chart = Chart("c", (Series("", TIMES, TIMES),), cursor=TIMES)
    header, array = unpacked(pack(frames(scene(images(), charts=(chart,)), 1, 3), 1, 5))
    assert (header["first"], header["count"], header["total"]) == (1, 2, 5)
    np.testing.assert_array_equal(array(header["numbers"]["t"]), TIMES[1:3])
    np.testing.assert_array_equal(array(header["charts"][0]["cursor"]), TIMES[1:3])
    np.testing.assert_allclose(array(header["charts"][0]["series"][0]["y"]), TIMES)
    np.testing.assert_array_equal(array(header["panels"][0]["codes"]), codes(pack(scene(images())))[1:3])


def test_what_happened_in_a_chart_travels_with_it():
    chart = Chart("c", (), marks=((3.0, "rate 0.01 → 0.001"),), guess="loss")
    header, _ = unpacked(pack(scene(charts=(chart,))))
    assert header["charts"][0]["marks"] == [{"x": 3.0, "label": "rate 0.01 → 0.001"}]
    assert header["charts"][0]["guess"] == "loss"


def test_charts_travel_with_bands_and_gaps():
    series = Series("a", TIMES, np.array([1, np.nan, 3, 4, 5.0]), "dashed", "ink", low=TIMES)
    header, array = unpacked(pack(scene(charts=(Chart("c", (series,), log=True, ends=("l", "r"), flip=True),))))
    (chart,) = header["charts"]
    assert (chart["title"], chart["ends"], chart["cursor"]) == ("c", ["l", "r"], None)
    assert chart["log"] and chart["flip"]
    assert np.isnan(array(chart["series"][0]["y"])[1])
    np.testing.assert_allclose(array(chart["series"][0]["low"]), TIMES)


@pytest.mark.parametrize(
    ("panel", "words"),
    [
        (images(range=(1.0, 1.0)), r"range \[1.0, 1.0\]"),
        (images(range=(-1.0, float("inf"))), "finite"),
        (images(palette="signed", range=(-1.0, 2.0)), "symmetric"),
        (images(palette="ink"), "data or signed, not in 'ink'"),
        (images(np.zeros((4, 3, 4, 6, 1))), "4 frames in a scene of 5"),
        (images(np.zeros((5, 3, 4, 6, 2))), "2 channels"),
        (images(np.zeros((5, 3, 4, 6))), "5 dimensions"),
        (points(np.zeros((5, 2)), kind="cloud"), "of kind 'cloud'"),
    ],
)
def test_a_panel_that_contradicts_itself_is_named(panel, words):
    with pytest.raises(ValueError, match=words):
        pack(scene(panel))


def test_frames_beyond_the_film_and_numbers_of_another_length_are_refused():
    with pytest.raises(ValueError, match="frames 8 to 13 do not fit a film of 10"):
        pack(scene(images()), 8, 10)
    with pytest.raises(ValueError, match="'mse' has 3 values for 5 frames"):
        pack(scene(images(), numbers={"mse": np.zeros(3)}))


def test_a_map_is_sent_with_the_first_frames_of_its_panel_alone():
    picture = np.linspace(0, 1, 12).reshape(3, 4)
    mapped = scene(points(np.zeros((5, 2, 2)), map=picture))
    header, array = unpacked(pack(mapped, 0, 10))
    np.testing.assert_allclose(array(header["panels"][0]["map"]) / 255, picture, atol=0.5 / 255)
    assert "map" not in unpacked(pack(mapped, 5, 10))[0]["panels"][0]
    assert "map" not in unpacked(pack(scene(points(np.zeros((5, 2, 2))))))[0]["panels"][0]


def test_a_map_behind_pictures_or_of_several_channels_is_refused():
    with pytest.raises(ValueError, match="behind images"):
        pack(scene(images(map=np.zeros((2, 2)))))
    with pytest.raises(ValueError, match=r"\(2, 2, 3\)"):
        pack(scene(points(np.zeros((5, 2, 2)), map=np.zeros((2, 2, 3)))))


@pytest.mark.parametrize("dtype", ["<i2", "u1"])
def test_codes_written_as_differences_are_the_codes_again(dtype):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    codes = rng.integers(info.min, info.max, (6, 5, 2), endpoint=True).astype(dtype)
    codes[:2] = [[[info.min, info.max]], [[info.max, info.min]]]  # the longest steps there are
    coded = differences(codes).astype(np.int64)
    assert coded.shape == (codes.itemsize, codes.size)
    zigzag = sum(plane << (8 * n) for n, plane in enumerate(coded)).reshape(codes.shape)
    assert np.array_equal(np.cumsum((zigzag >> 1) ^ -(zigzag & 1), 0).astype(dtype), codes)


def test_differences_are_written_where_they_compress_better_and_only_there():
    walk = np.cumsum(np.random.default_rng(0).normal(0, 0.003, (40, 200, 2)), 0)
    times = np.linspace(1, 0, 40)
    panel = points(walk, (-1.0, 1.0))
    noise = images(np.random.default_rng(0).uniform(-1, 1, (40, 4, 8, 8, 1)).astype(np.float32))
    film = Scene((panel, noise), {"t": times})
    plain, coded = (pack(film, delta=delta) for delta in (False, True))
    told = [panel["codes"].get("coding") for panel in unpacked(coded)[0]["panels"]]
    assert told == ["delta", None] and "coding" not in unpacked(plain)[0]["panels"][0]["codes"]
    assert len(zlib.compress(coded)) < 0.8 * len(zlib.compress(plain))

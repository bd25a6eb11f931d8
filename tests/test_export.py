"""Exported files, read back: the frames, how long they stand, the recipe, and that failures leave nothing."""

from __future__ import annotations

import io
from dataclasses import replace

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from core.drawing.export import FORMATS, Stopped, check, estimate, export, playlist, read_recipe, to_bytes
from core.drawing.gif import GifWriter
from core.drawing.renderer import Renderer
from core.scene import Panel, Scene

ABOUT = {"data": "dino", "seed": 7, "note": 'x̂ = "a"; b\\c #1', "steps": np.int64(100), "long": "η" * 400}
SMALL = {"size": 48}


def film_scene(length: int = 6, **numbers) -> Scene:
    rng = np.random.default_rng(0)
    panels = (Panel("x_t", "x_{t}", "", "points", rng.normal(size=(length, 50, 2)).astype("f"), (-2, 2), "ink"),
              Panel("eps", "ε", "", "images", rng.normal(size=(length, 4, 5, 5, 1)).astype("f"), (-3, 3), "signed"),
              Panel("face", "x_{0}", "", "images", rng.uniform(-1, 1, (1, 4, 5, 5, 3)).astype("f"), (-1, 1)),
              )  # fmt: skip
    return Scene(panels, {"t": np.linspace(1, 0, length), **numbers}, about=ABOUT)


@pytest.fixture(scope="module")
def exported() -> dict[str, bytes]:
    """The film in every format."""
    return {kind: to_bytes(film_scene(), kind, **SMALL) for kind in FORMATS}


def read_back(path) -> tuple[list[np.ndarray], list[int]]:
    """Every frame as RGB, and its duration in milliseconds."""
    with Image.open(path) as image:
        shown = [(np.asarray(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
    return [rgb for rgb, _ in shown], [duration for _, duration in shown]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
@pytest.mark.parametrize("theme, captions", [("light", True), ("dark", False)])
def test_every_frame_read_back_is_pixel_by_pixel_the_frame_that_was_drawn(tmp_path, suffix, theme, captions):
    look = {"theme": theme, "captions": captions, **SMALL}
    path = export(film_scene(), tmp_path / f"film.{suffix}", **look)
    film, (shown, _) = Renderer(film_scene(), **look), read_back(path)
    assert len(shown) == 6
    for rgb, frame in zip(shown, film.frames()):
        assert np.array_equal(rgb, film.palette[frame])


def test_a_gif_plays_at_its_rate_and_holds_the_last_frame(tmp_path):
    _, durations = read_back(export(film_scene(), tmp_path / "film.gif", fps=25, hold=1.5, **SMALL))
    assert durations == [40] * 5 + [1540]


def test_a_rate_that_hundredths_cannot_hold_does_not_drift(tmp_path):
    _, durations = read_back(export(film_scene(31), tmp_path / "film.gif", fps=30, hold=0, **SMALL))
    assert set(durations) == {30, 40} and sum(durations) == 1030  # 31/30 s


def test_every_third_frame_is_kept_and_the_last_one_always(tmp_path):
    assert playlist(film_scene(9), every=3) == [(0, 1), (3, 1), (6, 1), (8, 1)]
    shown, _ = read_back(export(film_scene(9), tmp_path / "film.gif", every=3, **SMALL))
    film = Renderer(film_scene(9), **SMALL)
    assert np.array_equal(shown[-1], film.palette[next(film.frames([8]))]) and len(shown) == 4


def test_frames_that_do_not_change_are_kept_as_frames(tmp_path):
    still = replace(film_scene(), panels=film_scene().panels[2:])
    shown, _ = read_back(export(still, tmp_path / "film.gif", captions=False, **SMALL))
    assert len(shown) == 6 and all(np.array_equal(shown[0], frame) for frame in shown)


# Pacing


@pytest.mark.parametrize("pacing", ["t", "log_snr"])
def test_the_film_runs_uniformly_in_the_chosen_clock(pacing):
    length = 201
    t = np.linspace(1, 0, length) ** 3  # steps crowd at the data
    log_snr = 2 * np.log((1 - t * 0.999) / (t + 0.001))
    film = film_scene(length, t=t, log_snr=log_snr)
    clock = film.numbers[pacing]
    shown = np.repeat([k for k, _ in playlist(film, pacing=pacing)], [n for _, n in playlist(film, pacing=pacing)])
    assert len(shown) == length and shown[0] == 0 and shown[-1] == length - 1
    want = np.linspace(clock[0], clock[-1], length)
    coarsest = np.abs(np.diff(clock)).max()
    assert np.abs(clock[shown] - want).max() <= coarsest / 2 + 1e-9


def test_a_crowded_frame_is_passed_over_and_a_sparse_one_stands_longer(tmp_path):
    film = film_scene(5, t=np.array([1.0, 0.6, 0.04, 0.02, 0.0]))
    assert playlist(film, pacing="t") == [(0, 1), (1, 2), (2, 1), (4, 1)]
    _, durations = read_back(export(film, tmp_path / "film.gif", pacing="t", fps=10, hold=0, **SMALL))
    assert durations == [100, 200, 100, 100]


def test_an_infinite_log_snr_at_the_data_counts_as_the_nearest_finite_one():
    shots = playlist(film_scene(5, log_snr=np.array([-4.0, -2.0, 0.0, 2.0, np.inf])), pacing="log_snr")
    assert [k for k, _ in shots][-1] == 4 and sum(n for _, n in shots) == 5


def test_a_pacing_without_its_numbers_or_with_numbers_that_turn_back_is_refused():
    with pytest.raises(ValueError, match="log_snr.*this scene has t"):
        playlist(film_scene(), pacing="log_snr")
    with pytest.raises(ValueError, match="turn back"):
        playlist(film_scene(4, t=np.array([1.0, 0.2, 0.5, 0.0])), pacing="t")
    with pytest.raises(ValueError, match="'step'.*frame, t, log_snr"):
        playlist(film_scene(), pacing="step")


# The recipe


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_recipe_with_its_seed_can_be_read_from_the_file(tmp_path, suffix, exported):
    path = tmp_path / f"film.{suffix}"
    path.write_bytes(exported[suffix])
    assert read_recipe(path) == {**ABOUT, "steps": 100}


def test_a_gif_of_someone_else_holds_no_recipe(tmp_path):
    Image.new("P", (4, 4)).save(tmp_path / "other.gif", comment=b"[1]")
    (tmp_path / "text.mp4").write_text("no film")
    for name in ("other.gif", "text.mp4"):
        with pytest.raises(ValueError, match=f"{name}.*holds no recipe"):
            read_recipe(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_recipe(tmp_path / "nowhere.gif")


def test_a_recipe_is_found_by_what_a_file_is_and_not_by_its_name(tmp_path, exported):
    for kind, film in exported.items():
        path = tmp_path / f"{kind}.bin"
        path.write_bytes(film)
        assert read_recipe(path)["seed"] == 7


@pytest.mark.parametrize("comment, says", [
    (b"x" * 30_000_000, "more than 2,000,000 bytes"), (b"[" * 500_000, "nested 500,000 deep"),
    (b'{"made with": "noisescope", "recipe": [1]}', "something else"), (b'{"recipe": {}}', "something else"),
    (b'["noisescope"]', "something else"), (b'{"made with": "other", "recipe": {}}', "something else"),
])  # fmt: skip
def test_a_comment_is_looked_at_before_it_is_parsed(tmp_path, comment, says):
    with (tmp_path / "a.gif").open("wb") as file:
        writer = GifWriter(file, 4, 4, np.zeros((2, 3), np.uint8), comment)
        writer.add(np.zeros((4, 4), np.uint8), 5)
        writer.close()
    with pytest.raises(ValueError, match=f"a.gif' holds no recipe.*{says}"):
        read_recipe(tmp_path / "a.gif")


def test_a_film_that_is_cut_short_or_made_of_noise_holds_no_recipe(tmp_path, exported):
    for kind, whole in exported.items():
        path = tmp_path / f"film.{kind}"
        for length in (0, 3, 12, 20, 40):
            path.write_bytes(whole[:length])
            with pytest.raises(ValueError, match="holds no recipe"):
                read_recipe(path)
        path.write_bytes(whole[:12] + np.random.default_rng(0).bytes(10_000))
        with pytest.raises(ValueError, match="holds no recipe"):
            read_recipe(path)


# The other formats


def test_an_mp4_has_every_frame_the_held_ones_too_and_even_sides(tmp_path):
    odd = replace(film_scene(), panels=(film_scene().panel("x_t"),))
    path = export(odd, tmp_path / "film.mp4", fps=10, hold=0.5, size=49, captions=False)
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    assert frames == 6 + 5 and about["size"] == (50, 50) and about["fps"] == 10 and "yuv420p" in about["pix_fmt"]
    first = np.frombuffer(next(reader), np.uint8).reshape(50, 50, 3)[:49, :49]
    film = Renderer(odd, size=49, captions=False)
    assert np.abs(first.astype(int) - film.palette[next(film.frames([0]))]).mean() < 8  # lossy, but the same picture
    reader.close()


def test_a_webp_holds_its_last_frame(tmp_path):
    with Image.open(export(film_scene(), tmp_path / "film.webp", fps=20, hold=1, **SMALL)) as image:
        durations = []
        for k in range(image.n_frames):
            image.seek(k)
            image.load()
            durations.append(image.info["duration"])
    assert durations == [50] * 5 + [1050]


def test_a_strip_has_as_many_frames_as_were_asked_for(tmp_path):
    widths = [Image.open(export(film_scene(20), tmp_path / "a.png", count=n, **SMALL)).width for n in (1, 3, 5)]
    assert widths[2] - widths[1] == widths[1] - widths[0] > 2 * 48


def test_the_suffix_chooses_the_format_unless_it_is_said(tmp_path):
    assert export(film_scene(), tmp_path / "film.GIF", **SMALL).read_bytes()[:6] == b"GIF89a"
    assert export(film_scene(), tmp_path / "film.bin", format="gif", **SMALL).read_bytes()[:6] == b"GIF89a"
    assert to_bytes(film_scene(), "png", **SMALL)[1:4] == b"PNG"


@pytest.mark.parametrize("loop", [True, False])
def test_a_gif_loops_for_ever_or_plays_once(tmp_path, loop):
    with Image.open(export(film_scene(), tmp_path / "film.gif", loop=loop, **SMALL)) as image:
        assert image.info.get("loop") == (0 if loop else None)


@pytest.mark.parametrize("format", FORMATS)
def test_the_expected_size_is_near_the_size(format):
    film = film_scene(16)
    assert estimate(film, format, **SMALL) == pytest.approx(len(to_bytes(film, format, **SMALL)), rel=0.3)


@pytest.mark.parametrize("options, says", [({"fps": 51}, "too fast for a GIF"), ({"size": 8}, "size 8"),
                                           ({"hold": -1}, "hold -1"), ({"theme": "sepia"}, "sepia")])
def test_what_an_export_would_refuse_is_known_without_it(options, says):
    check(film_scene(), "gif", **SMALL)
    with pytest.raises(ValueError, match=says):
        check(film_scene(), "gif", **SMALL | options)


# Progress, stop, failure


def test_progress_counts_every_frame_up_to_the_last(tmp_path):
    for suffix in ("gif", "webp", "mp4", "png"):
        told = []
        export(film_scene(), tmp_path / f"film.{suffix}", progress=lambda *at: told.append(at), **SMALL)  # noqa: B023
        assert told == [(k, 6) for k in range(1, 7)]


@pytest.mark.parametrize("suffix", ["gif", "webp", "mp4", "png"])
def test_a_stopped_export_leaves_nothing_and_keeps_what_was_there(tmp_path, suffix):
    path, asked = tmp_path / f"film.{suffix}", iter([False, False, True])
    path.write_text("the film of yesterday")
    with pytest.raises(Stopped, match="after 2 of 6"):
        export(film_scene(), path, stop=lambda: next(asked), **SMALL)
    assert path.read_text() == "the film of yesterday" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["gif", "webp", "mp4", "png"])
def test_a_failed_export_leaves_nothing(tmp_path, suffix):
    def fail(done, total):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        export(film_scene(), tmp_path / f"film.{suffix}", progress=fail, **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name, options, says", [
    ("film.avi", {}, r"'avi'.*\.gif, \.mp4, \.webp, \.png"), ("film", {}, "unknown format"),
    ("film.gif", {"fps": 0}, "fps 0.*1 to 60"), ("film.mp4", {"fps": 61}, "fps 61"),
    ("film.gif", {"fps": 60}, "too fast for a GIF.*at most 50"), ("film.gif", {"every": 0}, "every 0"),
    ("film.gif", {"size": 8}, "size 8.*16 to 2048"), ("film.gif", {"size": 4096}, "size 4096"),
    ("film.gif", {"hold": -1}, "hold -1"), ("film.png", {"count": 0}, "count 0"),
    ("film.gif", {"pacing": "log_snr"}, "log_snr"), ("nowhere/film.gif", {}, "folder.*does not exist")])  # fmt: skip
def test_what_is_out_of_range_is_named_with_what_is_allowed_and_nothing_is_written(tmp_path, name, options, says):
    with pytest.raises(ValueError, match=says):
        export(film_scene(), tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_scene_is_refused(tmp_path):
    with pytest.raises(ValueError, match="empty"):
        export(Scene((), {"t": np.zeros(0)}), tmp_path / "film.gif")


def test_a_gif_with_two_colours_and_one_with_256_read_back_alike():
    rng = np.random.default_rng(0)
    for count in (2, 3, 17, 256):
        palette, file = rng.integers(0, 256, (count, 3), dtype=np.uint8), io.BytesIO()
        frames = rng.integers(0, count, (3, 20, 30), dtype=np.uint8)
        gif = GifWriter(file, 30, 20, palette)
        for frame in frames:
            gif.add(frame, 4)
        gif.close()
        for rgb, frame in zip(ImageSequence.Iterator(Image.open(file)), frames):
            assert np.array_equal(np.asarray(rgb.convert("RGB")), palette[frame])


def test_a_gif_refuses_frames_of_another_shape_and_durations_it_cannot_hold():
    gif = GifWriter(io.BytesIO(), 4, 4, np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="shape"):
        gif.add(np.zeros((4, 5), np.uint8), 4)
    with pytest.raises(ValueError, match="1 to 65535"):
        gif.add(np.zeros((4, 4), np.uint8), 0)

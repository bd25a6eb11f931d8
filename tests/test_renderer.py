"""What a film shows: positions, colours, order and direction, read back from its frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFont

from core.drawing.lettering import FONTS, font, lettering, runs
from core.drawing.painters import Colours
from core.drawing.palettes import DARK, LIGHT, MARK_PALETTES, THEMES, hues, oklab, table, tables, theme_of
from core.drawing.renderer import Layout, Renderer, range_text, strip
from core.scene import Panel, Scene

BOTH = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)


def scene(kind: str, data, view=(-1.0, 1.0), palette: str | None = None, length: int | None = None, **more) -> Scene:
    """A scene of one panel."""
    data = np.asarray(data, np.float32)
    palette = palette or {"images": "data", "heat": "magnitude"}.get(kind, "ink")
    length = length or len(data)
    return Scene((Panel("it", "x_{t}", "", kind, data, view, palette, **more),), {"t": np.linspace(1, 0, length)})


def bare(film_scene: Scene, k: int = 0, **options) -> np.ndarray:
    """The picture of a one-panel scene alone, as (height, width, 3) uint8."""
    film = Renderer(film_scene, captions=False, **options)
    return film.palette[next(film.frames([k]))]


def darkness(rgb: np.ndarray) -> np.ndarray:
    """How far each pixel is from the light points' ground."""
    return np.abs(rgb.astype(int) - LIGHT.rgb("bg")).sum(-1).astype(float)


def centroid(weight: np.ndarray) -> tuple[float, float]:
    """(x, y) in pixels, pixel centres at 0.5."""
    y, x = np.indices(weight.shape) + 0.5
    return (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()


# Points that left the frame


@pytest.mark.parametrize("kind", ["points", "paths"])
def test_points_outside_the_frame_are_counted_on_its_edge_none_is_and_what_is_no_number_is_one_of_them(kind):
    data = [[[1, -1], [1.01, 0], [0, -2], [np.nan, 0], [0, 0]], [[0, 0]] * 4 + [[0, 1.5]], [[0, 0]] * 5]
    panel = scene(kind, data).panels[0]
    assert [panel.outside(k) for k in range(3)] == [
        "3 of 5 points are outside the frame", "1 of 5 points is outside the frame", ""]
    assert scene("heat", np.full((2, 4, 4), 9)).panels[0].outside(0) == ""


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("size", [320, 90])
def test_a_film_says_in_the_panel_that_points_have_left_it(still, size):
    away, here = np.full((2, 7, 2), 3.0), np.zeros((2, 7, 2))
    films = [Renderer(scene("points", data[: 2 - still], length=2), size=size) for data in (away, here)]
    box = films[0].layout.boxes[0]
    lost, there = (film.palette[next(film.frames([1]))] for film in films)
    foot = (slice(box.y + box.height - 18, box.y + box.height), slice(box.x, box.x + box.width))
    assert (darkness(lost[foot]) > 100).any() and not (darkness(there[foot]) > 100).any()
    bare_frame = bare(scene("points", away), size=size)
    assert not (darkness(bare_frame) > 100).any()


def test_what_is_said_of_points_outside_lies_on_no_point():
    low = np.stack(np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, -0.9, 20)), -1).reshape(1, -1, 2)
    crowded = [np.concatenate([points, [[[3.0, 3.0]]]], 1) for points in (low, np.zeros_like(low))]
    films = [Renderer(scene("points", data, length=1), size=320) for data in crowded]
    box = films[0].layout.boxes[0]
    words = (slice(box.y + box.height - 14, box.y + box.height - 4), slice(box.x + 4, box.x + 150))
    first, second = (film.palette[next(film.frames())][words] for film in films)
    assert np.array_equal(first, second) and (darkness(first) > 100).any()


def test_a_film_says_at_its_foot_what_it_is_made_from_in_as_many_lines_as_it_takes():
    made = "T-Rex · model pretrained · sampler DDIM · steps 20"
    plain = scene("points", np.zeros((1, 4, 2)), length=1)
    told = replace(plain, about={"made": made})
    wide, narrow, none = Renderer(told, size=400), Renderer(told, size=120), Renderer(plain, size=400)
    assert (wide.layout.foot, none.layout.foot) == ((made,), ())
    assert " · ".join(narrow.layout.foot) == made and len(narrow.layout.foot) > 1
    assert wide.height > none.height and wide.layout.boxes == none.layout.boxes
    foot = wide.palette[next(wide.frames())][none.height - 4 :]
    assert (darkness(foot) > 100).any() and not (darkness(foot[:, :14]) > 30).any()
    assert strip(wide, [0]).height > strip(none, [0]).height
    assert Renderer(told, size=400, captions=False).height == Renderer(plain, size=400, captions=False).height


# Palettes


@BOTH
def test_the_magnitude_map_leaves_the_panels_background_in_one_direction_of_lightness(theme):
    colours = table("magnitude", theme)
    lightness = oklab(colours)[:, 0]
    assert (colours[0] == theme.rgb("panel")).all()
    step = np.diff(lightness) * (1 if theme is DARK else -1)
    assert (step >= 0).all() and step.sum() > 0.6


@BOTH
def test_the_signed_map_is_the_panels_background_at_zero_and_alike_in_lightness_on_both_sides(theme):
    colours = table("signed", theme)
    assert (colours[[127, 128]] == theme.rgb("panel")).all()
    lightness = oklab(colours)[:, 0]
    np.testing.assert_allclose(lightness, lightness[::-1], atol=0.004)  # half a step of a byte
    assert colours[0, 2] > colours[0, 0] and colours[-1, 0] > colours[-1, 2]  # blue below, red above


@pytest.mark.parametrize("n", [1, 4, 10])
def test_hues_of_labels_are_alike_in_lightness_and_far_apart(n):
    app = oklab(hues(n))
    assert len(app) == n and np.ptp(app[:, 0]) < 0.01
    apart = np.linalg.norm(app[:, None] - app, axis=-1) + np.eye(n)
    assert apart.min() > 0.05
    for theme in (LIGHT, DARK):
        assert (np.abs(app[:, 0] - oklab(theme.rgb("bg"))[0]) > 0.3).all()


def test_oklab_of_white_black_and_red_is_what_its_author_gives():
    np.testing.assert_allclose(oklab(np.array([255, 255, 255])), [1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(oklab(np.array([0, 0, 0])), [0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(oklab(np.array([255, 0, 0])), [0.62796, 0.22486, 0.12585], atol=1e-4)


@BOTH
def test_the_page_is_handed_the_very_tables_of_the_films(theme):
    given = tables(theme.name)
    for palette in ("data", "signed", "magnitude"):
        assert np.array_equal(np.array(given[palette]), table(palette, theme))
    assert dict(given["tokens"])["accent"] == theme.accent


@BOTH
@pytest.mark.parametrize("palette", MARK_PALETTES)
def test_what_is_written_in_the_colour_of_marks_can_be_read(theme, palette):
    """A contrast of 4.5:1 with panels and the page (WCAG 2.2, 1.4.3)."""
    def luminance(token):
        c = theme.rgb(token) / 255
        return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    for ground in ("bg", "panel"):
        low, high = sorted((luminance(palette), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_unknown_palettes_and_themes_are_named_with_those_there_are():
    with pytest.raises(ValueError, match="'jet'.*data, signed, magnitude"):
        table("jet")
    with pytest.raises(ValueError, match="'sepia'.*light, dark"):
        theme_of("sepia")


# Pixels


@BOTH
def test_a_signed_zero_is_drawn_in_the_panels_colour(theme):
    assert (bare(scene("images", np.zeros((1, 4, 3, 3, 1)), (-3, 3), "signed"), size=64, theme=theme)
            == theme.rgb("panel")).all()  # fmt: skip


@pytest.mark.parametrize("palette, kind", [("data", "images"), ("signed", "images"), ("magnitude", "heat"),
                                           ("signed", "heat")])  # fmt: skip
def test_the_ends_of_the_range_are_the_ends_of_the_table_and_values_beyond_saturate(palette, kind):
    row = np.array([[-2.0, 2.0, -9.0, 9.0, -np.inf, np.inf]])
    data = row[None] if kind == "heat" else row[None, None, :, :, None]
    picture = bare(scene(kind, data, (-2, 2), palette), scale=1)[0]
    low, high = table(palette)[0], table(palette)[-1]
    assert np.array_equal(picture, [low, high, low, high, low, high])


def test_a_value_that_is_no_number_is_a_hole_in_the_panels_colour():
    picture = bare(scene("images", np.array([np.nan, 1.0]).reshape(1, 1, 1, 2, 1)), scale=1)
    assert np.array_equal(picture[0], [LIGHT.rgb("panel"), [255, 255, 255]])


def test_every_value_is_drawn_within_one_level_of_its_own():
    values = np.linspace(-1, 1, 1000, dtype=np.float32)
    picture = bare(scene("images", values.reshape(1, 1, 20, 50, 1)), scale=1)
    want = (values + 1) / 2 * 255
    assert np.abs(picture[..., 0].ravel() - want).max() <= 1.2  # 250 levels, rounded


def test_pictures_keep_their_orientation():
    data = -np.ones((1, 1, 3, 3, 1), np.float32)
    data[0, 0, 0, 2] = 1  # top right
    picture = bare(scene("images", data), scale=2)[..., 0]
    assert picture.shape == (6, 6) and (picture[:2, 4:] == 255).all() and picture.sum() == 4 * 255


def test_the_first_row_of_a_heat_map_is_at_the_top():
    picture = bare(scene("heat", np.array([[[1.0, 1.0], [0.0, 0.0]]]), (0, 1)), scale=1)
    assert (picture[0] == table("magnitude")[-1]).all() and (picture[1] == table("magnitude")[0]).all()


def test_pictures_stand_row_by_row_in_a_near_square_grid_with_gutters_in_the_panels_colour():
    values = np.linspace(-1, 1, 5).reshape(1, 5, 1, 1, 1)
    picture = bare(scene("images", values), scale=1)
    assert picture.shape == (3, 5, 3)  # 3 columns and 2 rows of 1×1 pictures, a pixel apart
    shown = picture[::2, ::2, 0].ravel()
    np.testing.assert_allclose(shown[:5], [0, 64, 128, 191, 255], atol=2)
    ground = LIGHT.rgb("panel")
    assert (picture[1] == ground).all() and (picture[:, 1::2] == ground).all() and (picture[2, 4] == ground).all()


def test_a_native_grid_of_64_digits_has_one_pixel_for_a_pixel():
    digits = np.random.default_rng(0).uniform(-1, 1, (2, 64, 28, 28, 1))
    film = Renderer(scene("images", digits), scale=1, captions=False)
    assert (film.width, film.height) == (8 * 28 + 7, 8 * 28 + 7)
    picture = film.palette[next(film.frames([1]))][..., 0]
    np.testing.assert_allclose(picture[29:57, 58:86], (digits[1, 10, :, :, 0] + 1) / 2 * 255, atol=1.2)


def test_colour_pictures_come_out_in_their_colours():
    flat = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [241, 194, 125]], np.float32)
    data = (flat / 127.5 - 1).reshape(1, 6, 1, 1, 3) * np.ones((1, 6, 8, 8, 3))
    picture = bare(scene("images", data), scale=1)
    shown = np.stack([picture[(i // 3) * 9 + 4, (i % 3) * 9 + 4] for i in range(6)])
    assert np.abs(shown.astype(int) - flat).max() <= 8  # 5 bits a channel


# Marks


def test_a_point_at_zero_lands_in_the_centre_and_y_is_up():
    for side in (100, 101):
        picture = darkness(bare(scene("points", [[[0.0, 0.0]]]), size=side))
        assert centroid(picture) == pytest.approx((side / 2, side / 2), abs=1e-6)
    x, y = centroid(darkness(bare(scene("points", [[[0.5, 0.8]]]), size=100)))
    assert (x, y) == pytest.approx((75, 10), abs=0.13)  # a dot stands within an eighth of a pixel


def test_a_moving_dot_glides_by_less_than_a_pixel():
    data = np.linspace(0, 0.02, 5).reshape(5, 1, 1) * np.array([1.0, 0.0])  # a pixel in four steps
    places = [centroid(darkness(bare(scene("points", data), k, size=100)))[0] for k in range(5)]
    assert places[4] - places[0] == pytest.approx(1) and (np.abs(np.diff(places) - 0.25) < 0.2).all()


def test_overlapping_dots_darken_and_never_exceed_the_ink():
    one = darkness(bare(scene("points", np.zeros((1, 1, 2))), size=64)).max()
    two = darkness(bare(scene("points", np.zeros((1, 2, 2))), size=64)).max()
    many = bare(scene("points", np.zeros((1, 500, 2))), size=64)
    assert one < two < darkness(many).max()
    assert (many.reshape(-1, 3) == LIGHT.rgb("ink")).all(-1).any()


def test_points_out_of_view_or_without_a_number_draw_nothing():
    data = [[[1.5, 0.0], [0.0, -7.0], [np.nan, 0.0], [np.inf, 0.0]]]
    assert darkness(bare(scene("points", data), size=64)).sum() == 0


def test_points_on_the_rim_of_the_view_are_drawn():
    picture = darkness(bare(scene("points", [[[1.0, -1.0]]]), size=64))
    assert picture[-1, -1] > 0 and centroid(picture)[0] > 62


@BOTH
def test_a_map_stands_where_it_should_fainter_than_all_that_lies_upon_it(theme):
    picture = np.zeros((8, 8))
    picture[:2, 4:6] = 1  # at the top, right of the middle
    away = lambda rgb: np.abs(rgb.astype(int) - theme.rgb("bg")).sum(-1).astype(float)  # noqa: E731
    alone = away(bare(scene("points", [[[np.nan, np.nan]]], map=picture), size=80, theme=theme))
    assert centroid(alone) == pytest.approx((50, 10), abs=0.6)
    both = away(bare(scene("points", [[[0.25, 0.75], [-0.5, -0.5]]], map=picture), size=80, theme=theme))
    assert both[10, 50] == both[60, 20] > 1.5 * alone.max()  # the point upon it is as dark as the one beside
    assert alone.max() > 40


def test_the_backdrop_is_fainter_than_the_points_and_does_not_cover_them():
    behind = bare(scene("points", [[[0.5, 0.5]]], backdrop=np.array([[-0.5, -0.5], [0.5, 0.5]])), size=100)
    faint, full = darkness(behind)[65:85, 15:35], darkness(behind)[15:35, 65:85]
    alone = darkness(bare(scene("points", [[[0.5, 0.5]]]), size=100))[15:35, 65:85]
    assert 0 < faint.max() < 0.5 * full.max() and full.max() == alone.max()


def test_a_path_shows_the_way_the_point_came_the_older_the_fainter_and_not_the_way_ahead():
    x = np.linspace(-0.8, 0.8, 41)
    data = np.stack([x, np.zeros(41)], -1)[:, None]
    picture = darkness(bare(scene("paths", data), 20, size=100))  # half the way: the head is in the centre
    line = picture[48:52].max(0)
    assert line[49:51].max() == line.max()
    assert line[46] > line[38] > line[13] > 0 and line[60:].sum() == 0


def test_going_back_draws_the_same_path_as_going_there():
    data = np.random.default_rng(0).normal(size=(6, 5, 2)).cumsum(0) * 0.1
    film = Renderer(scene("paths", data), size=64)
    there = list(film.frames())
    assert all(np.array_equal(a, b) for a, b in zip(there[::-1], film.frames(range(5, -1, -1))))


@pytest.mark.parametrize("vector, ends", [((1, 0), "right"), ((-1, 0), "left"), ((0, 1), "top"), ((0, -1), "bottom")])
def test_arrows_point_where_the_field_points_with_their_middle_at_the_cell_centre(vector, ends):
    picture = darkness(bare(scene("field", np.full((1, 1, 1, 2), vector), scale=2.0), size=64))
    halves = {"left": picture[:, :32], "right": picture[:, 32:], "top": picture[:32], "bottom": picture[32:]}
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[ends]
    assert halves[ends].sum() > 1.1 * halves[opposite].sum()  # the head is heavier
    rows, columns = np.nonzero(picture)
    along = columns if ends in ("left", "right") else rows
    assert (along.min() + along.max()) / 2 == pytest.approx(31.5, abs=1.5)
    assert along.max() - along.min() == pytest.approx(32, abs=3)  # half of `scale`: half a cell


def test_the_first_row_of_a_field_is_at_the_bottom():
    data = np.zeros((1, 2, 2, 2))
    data[0, 0, 1] = (1, 0)  # row 0, column 1: bottom right
    picture = darkness(bare(scene("field", data), size=64))
    quarters = [picture[:32, :32], picture[:32, 32:], picture[32:, :32], picture[32:, 32:]]
    assert np.argmax([q.sum() for q in quarters]) == 3


def test_an_arrow_longer_than_the_scale_saturates_at_one_cell():
    long = np.zeros((1, 3, 3, 2))
    long[0, 1, 1] = (50, 0)
    drawn = darkness(bare(scene("field", long, scale=1.0), size=96))[40:56].sum(0) > 100
    assert drawn[34:62].all() and not drawn[20:31].any() and not drawn[65:76].any()


# Film


def mixed() -> Scene:
    rng = np.random.default_rng(0)
    panels = (Panel("x_t", "x_{t}", "", "images", rng.normal(size=(4, 4, 8, 8, 1)).astype("f"), (-2, 2)),
              Panel("eps", "ε̂", "", "images", rng.normal(size=(4, 4, 8, 8, 1)).astype("f"), (-3, 3), "signed"),
              Panel("faces", "faces", "", "images", rng.normal(size=(4, 4, 8, 8, 3)).astype("f"), (-1, 1)),
              Panel("score", "∇ log p", "", "field", rng.normal(size=(4, 5, 5, 2)).astype("f"), (-1, 1), "accent"),
              Panel("map", "density", "", "heat", rng.uniform(size=(1, 8, 8)).astype("f"), (0, 1), "magnitude"),
              Panel("way", "paths", "", "paths", rng.normal(size=(4, 9, 2)).astype("f"), (-1, 1), "ink",
                    backdrop=np.zeros((3, 2))))  # fmt: skip
    return Scene(panels, {"t": np.linspace(1, 0, 4)}, sentence="At t = {t:.2f} there is noise.")


@pytest.mark.parametrize("theme", THEMES)
def test_all_kinds_together_share_one_palette_of_at_most_256_colours(theme):
    film = Renderer(mixed(), size=64, theme=theme)
    drawn = list(film.frames())
    assert len(film.palette) <= 256 and max(f.max() for f in drawn) < len(film.palette)
    assert {f.shape for f in drawn} == {(film.height, film.width)} and drawn[0].dtype == np.uint8


def test_frames_are_drawn_afresh_and_panels_of_one_frame_stand_still():
    film = Renderer(mixed(), size=64)
    first, second = list(film.frames([0, 1]))
    still = film.layout.boxes[4]
    part = np.s_[still.y : still.y + still.height, still.x : still.x + still.width]
    assert not np.array_equal(first, second) and np.array_equal(first[part], second[part])


def test_panels_stand_side_by_side_and_columns_break_them_into_rows():
    one_row, two = Layout.of(mixed(), 64), Layout.of(mixed(), 64, columns=2)
    assert len({box.y for box in one_row.boxes}) == 1 and sorted(b.x for b in one_row.boxes) == [
        b.x for b in one_row.boxes]  # fmt: skip
    assert len({box.y for box in two.boxes}) == 3 and two.width < one_row.width


def test_the_playhead_runs_from_the_left_end_to_the_right_one():
    film = Renderer(scene("points", np.zeros((5, 1, 2))), size=200)
    row = film.layout.bar - 3  # above the line only the playhead is drawn
    accent = film.colours.index("accent")
    places = [np.flatnonzero(f[row] == accent).mean() for f in film.frames()]
    np.testing.assert_allclose(np.diff(places), np.diff(places).mean(), atol=1)
    assert places[0] < 20 and places[-1] > places[0] + 60


def test_a_panel_is_framed_by_one_pixel_of_line():
    film = Renderer(scene("points", np.zeros((1, 1, 2)), length=1), size=64)
    frame, box, line = next(film.frames()), film.layout.boxes[0], film.colours.index("line")
    assert (frame[box.y - 1, box.x : box.x + 64] == line).all()
    assert (frame[box.y : box.y + 64, box.x + 64] == line).all()
    assert (frame[box.y + 63, box.x : box.x + 64] != line).all()


def test_the_caption_is_the_range_unless_the_panel_says_otherwise():
    panel = mixed().panels
    assert [range_text(p) for p in panel[:2]] == ["±2", "±3"] and range_text(panel[4]) == "[0, 1]"
    assert range_text(Panel("a", "a", "", "heat", np.zeros((1, 1, 1)), (0, 1), "magnitude", "counts")) == "counts"


def test_frames_as_pictures_carry_the_palette():
    film = Renderer(mixed(), size=64)
    for frame in film.frames():
        image = film.image(frame)
        assert image.mode == "P" and np.array_equal(np.asarray(image.convert("RGB")), film.palette[frame])


def test_a_strip_holds_the_chosen_frames_from_left_to_right():
    data = np.linspace(-1, 1, 9).reshape(9, 1, 1, 1, 1) * np.ones((9, 1, 4, 4, 1))
    film = Renderer(scene("images", data), size=40, columns=1)
    picture = np.asarray(strip(film, [0, 4, 8]).convert("RGB"))[film.layout.boxes[0].y + 5, :, 0]
    assert [int(picture[16 + 20 + c * 48]) for c in range(3)] == pytest.approx([0, 128, 255], abs=2)


@pytest.mark.parametrize("options, says", [({"size": 15}, "size 15.*16 to 2048"), ({"size": 2049}, "size 2049"),
                                           ({"scale": 0}, "scale 0"), ({"columns": 0}, "columns 0"),
                                           ({"theme": "sepia"}, "sepia")])  # fmt: skip
def test_options_out_of_range_are_named_with_what_is_allowed(options, says):
    with pytest.raises(ValueError, match=says):
        Renderer(mixed(), **options)


def test_scenes_that_cannot_be_drawn_say_why():
    point = scene("points", np.zeros((3, 1, 2)))
    with pytest.raises(ValueError, match="empty"):
        Renderer(Scene((), {"t": np.zeros(3)}))
    with pytest.raises(ValueError, match="3 frames; the scene has 5"):
        Renderer(Scene(point.panels, {"t": np.zeros(5)}))
    with pytest.raises(ValueError, match="range"):
        Renderer(scene("points", np.zeros((1, 1, 2)), (1, 1)))
    with pytest.raises(ValueError, match="nothing to draw"):
        Renderer(scene("points", np.zeros((1, 0, 2))))
    with pytest.raises(ValueError, match="8192.*smaller"):
        Renderer(Scene(tuple(mixed().panels) * 2, mixed().numbers), size=2048)


# Lettering


@pytest.mark.parametrize("face", FONTS)
def test_no_character_that_captions_use_is_an_empty_box(face):
    type_: ImageFont.FreeTypeFont = font(face, 24)
    box = bytes(type_.getmask("\uffff"))
    used = "xεσαβηθμτ∇λ±−·≤≥≈∞√∑∂→←↔ˆ˜¯₀₁₂ₜₛ²³ᾱ"[:-1] + "abcABC019.,:;()[]{}|/%&=+-_<>'\"äöüéß–—…°×"
    assert [c for c in used if bytes(type_.getmask(c)) == box] == []


def test_a_subscript_is_smaller_and_lower():
    assert runs("x̂_{0} = a^{2}b") == [("x̂", 0), ("0", -1), (" = a", 0), ("2", 1), ("b", 0)]
    plain, sub, sup = (np.nonzero(lettering(text, "sans", 40))[0] for text in ("0", "_{0}", "^{0}"))
    assert np.ptp(sub) < 0.85 * np.ptp(plain) and sub.max() > plain.max() and sup.min() <= plain.min() + 4


@pytest.mark.parametrize("letter", "xε")
def test_a_hat_stands_centred_above_its_letter_and_takes_no_width(letter):
    plain, hatted = lettering(letter, "bold", 40), lettering(letter + "\u0302", "bold", 40)
    hat = hatted.copy()
    hat[plain > 0] = 0
    rows, columns = np.nonzero(hat > 100)
    assert hatted.shape == plain.shape and rows.max() < np.nonzero(plain > 100)[0].min()
    assert (columns.min() + columns.max()) / 2 == pytest.approx(np.nonzero(plain > 100)[1][[0, -1]].mean(), abs=6)


def test_the_palette_of_a_film_begins_with_the_ground_so_that_marks_lie_above_it():
    colours = Colours(mixed(), LIGHT, captions=True)
    order = [colours.index(name) for name in ("panel", "bg", "backdrop", "marks accent")]
    assert order == sorted(order) and order[0] == 0


def test_a_clock_too_wide_for_the_film_gives_way_to_its_time_alone():
    wordy = Scene(mixed().panels[:1], mixed().numbers, clock="step one of very many steps · t = {t:.4f}")
    assert Renderer(wordy, size=64).short_clock(0, 64) == "t = 1.00"
    assert Renderer(wordy, size=64).short_clock(0, 640) == "step one of very many steps · t = 1.0000"

"""Data of one's own: what is read lands where it should, and what cannot be used is named."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from core.data import readers as own_data
from core.data.datasets import save_dataset
from core.data.pictures import FORMATS
from core.data.readers import (
    READABLE, images_from_folder, images_from_zip, points_from_csv, points_from_picture, read_data,
)

CORNERS = [(10 + 20 * x, 5 + 10 * y) for x in range(4) for y in range(4)]  # 60 wide, 30 high
SCALED = (torch.tensor(CORNERS) - torch.tensor([40.0, 20.0])) / 30


def table(mark=",", header="", rows=CORNERS) -> str:
    return header + "".join(f"{x}{mark}{y}\n" for x, y in rows)


def picture(colour="black", size=(20, 20), kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind, **options)
    return file.getvalue()


def zipped(folder: Path, files: dict[str, bytes], **options) -> Path:
    path = folder / "mine.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def four(colour="black") -> dict[str, bytes]:
    """Three of a colour, and a white one."""
    return {f"{k}.png": picture("white" if k == 3 else colour) for k in range(4)}


def grey(pixels: np.ndarray, kind="PNG", **options) -> bytes:
    """Pixels as they are, 8 or 16 bits of grey."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def told(data) -> dict[str, str]:
    return dict(data.reading)


# ---- points from a table


@pytest.mark.parametrize(
    "text",
    [
        table(), table(";"), table("\t"), table(" "), table(", "), table(",", "x,y\n"), table(";", "X;Y\n"),
        table(" ", "# from an instrument\n\n"), table(",", "longitude,latitude\n"), table(",").replace("\n", "\r\n"),
        "id,y,note,x\n" + "".join(f"{k},{y},n/a,{x}\n" for k, (x, y) in enumerate(CORNERS)),
        table(";").replace("5;", "5,0;").replace("0;", "0,0;"), table(",", '"x","y"\n'),
    ],
)  # fmt: skip
def test_tables_of_every_make_give_the_same_points(text):
    data = points_from_csv(text)
    torch.testing.assert_close(data.x0, SCALED)
    assert (data.kind, data.bandwidth, data.warnings, data.labels) == ("points", 0.012, (), None)


def test_a_table_in_a_file_is_named_after_it_and_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "My points!.csv").write_text("\ufeff" + table(header="x,y\n"), encoding="utf-8")
    data = points_from_csv(tmp_path / "My points!.csv", bandwidth=0.1)
    torch.testing.assert_close(data.x0, SCALED)
    assert (data.name, data.title, data.bandwidth) == ("own_my_points", "My points!", 0.1)


def test_rows_without_a_value_are_left_out_and_named():
    data = points_from_csv("x,y\nnan,1\n" + table() + "3,\n\n4,inf\n")
    torch.testing.assert_close(data.x0, SCALED)
    assert data.warnings == (
        "3 of 19 rows have a missing, NaN or infinite value and were left out: line 2, 19, 21",
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("points.csv", "the table has 1 lines: 'points.csv'. .* for a file give a pathlib.Path"),
        (table() + "7,seven\n", "line 17: 'seven' is no number. Give two columns of numbers"),
        (table() + "7\n", "line 17 has no cell for 'column 2'"),
        ("a,b,c\n" + "1,2,3\n" * 20, "the columns of numbers are 1 a, 2 b, 3 c: which are x and y"),
        ("1,2,3\n" * 20, "the columns of numbers are 1, 2, 3: which are x and y. Choose two of them, or"),
        (table(rows=CORNERS[:9]), "the table has 9 points; 10 to 20,000 are allowed"),
        ("x,y\n" + "nan,0\n1,nan\n" * 15, "the table has 0 points .30 of 30 rows .* line 2, .* and 20 more.; 10 to"),
        ("0,1\n1,0\n" * 10_001, r"the table has 20,002 points .*; 10 to 20,000 are allowed"),
        ("3,4\n" * 12, r"all 12 points are at \(3.0, 4.0\); at least two places are needed"),
        (table() + "1e300,0\n", "a value of 1e[+]300; at most 1e30 is allowed"),
        ("1,2\n" * 2_000_000, "the table has 8,000,000 bytes; at most 5,000,000 are allowed"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        points_from_csv(text)


def test_files_that_are_no_table_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(picture())
    (tmp_path / "b.csv").write_text("\n\n")
    for file, message in {"a": "'a.csv' is no text", "b": "'b.csv' has no lines", "c": "there is no file"}.items():
        with pytest.raises(ValueError, match=message):
            points_from_csv(tmp_path / f"{file}.csv")


# ---- points from a picture


def disc(ground, ink, mode="RGB") -> np.ndarray:
    """A ring round (60, 40) with radii 20 and 30 on 200 × 100 pixels."""
    canvas = Image.new(mode, (200, 100), ground)
    ImageDraw.Draw(canvas).ellipse((30, 10, 90, 70), fill=ink)
    ImageDraw.Draw(canvas).ellipse((40, 20, 80, 60), fill=ground)
    return np.asarray(canvas)


@pytest.mark.parametrize(
    "pixels",
    [
        disc(255, 0, "L"), disc("white", "darkblue"), disc("black", "yellow"), disc((200, 190, 170), (60, 40, 90)),
        disc((0, 0, 0, 0), (0, 0, 0, 255), "RGBA"), disc((0, 0, 0, 0), (255, 255, 255, 255), "RGBA"),
        disc(255, 0, "L")[..., None], disc((255, 255, 255, 255), (200, 0, 0, 255), "RGBA"),
    ],
)  # fmt: skip
def test_points_land_on_the_ink_of_a_drawing_whatever_its_colours(pixels):
    data = points_from_picture(pixels, n=3000)
    radius = data.x0.norm(dim=1)
    pixel = 1 / 30.5
    assert len(data) == 3000 and 20 / 30.5 - 2 * pixel < radius.min() and radius.max() < 1 + pixel
    assert data.x0.mean(0).abs().max() < 0.03
    assert (radius < 25 / 30.5).double().mean() == pytest.approx((25**2 - 20**2) / (30**2 - 20**2), abs=0.05)
    assert data.bandwidth == pytest.approx(0.5 * pixel, rel=0.05)


def test_up_in_the_picture_is_up_in_the_points_and_dark_ink_gets_more_points():
    pixels = np.full((50, 50), 255, np.uint8)
    pixels[5:10, 10:20] = 0  # black, at the top
    pixels[30:40, 30:40] = 127  # half as dark, twice as large, at the bottom right
    x0 = points_from_picture(pixels, n=4000).x0
    top = x0[:, 1] > 0
    assert x0[top, 0].max() < x0[~top, 0].min()
    assert top.double().mean() == pytest.approx(0.5, abs=0.01)


def test_a_picture_file_gives_the_same_points_by_the_same_seed(tmp_path):
    Image.fromarray(disc("white", "black")).save(tmp_path / "ring.png")
    one, same, other = (points_from_picture(tmp_path / "ring.png", seed=seed) for seed in (4, 4, 5))
    assert one.title == "ring" and len(one) == 2000
    assert torch.equal(one.x0, same.x0) and not torch.equal(one.x0, other.x0)
    torch.testing.assert_close(one.x0, points_from_picture(disc("white", "black"), seed=4).x0)


def test_few_points_on_much_ink_get_a_bandwidth_that_joins_them():
    pixels = np.full((102, 102), 255, np.uint8)
    pixels[1:-1, 1:-1] = 0
    few, many = points_from_picture(pixels, n=100), points_from_picture(pixels, n=10_000)
    assert few.bandwidth == pytest.approx(0.1, rel=0.02)  # half of 10 pixels, the distance of neighbours, of 50
    assert many.bandwidth == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize(
    "pixels, options, message",
    [
        (np.full((9, 9), 255, np.uint8), {}, "the picture is blank: it has one tone all over"),
        (np.zeros((9, 9, 4), np.uint8), {}, "the picture is blank"),
        (np.zeros((9, 9)), {}, r"the picture is float64 of shape \(9, 9\); give uint8 of \(height, width\)"),
        (np.zeros((9, 9, 2), np.uint8), {}, r"uint8 of shape \(9, 9, 2\)"),
        (np.zeros((0, 9), np.uint8), {}, r"shape \(0, 9\)"),
        (np.zeros((5000, 5000), np.uint8), {}, "has 25,000,000 pixels; at most 20,000,000, so shrink it"),
        (np.zeros((9, 9), np.uint8), {"n": 9}, "n is 9; 10 to 20,000 points"),
        (np.pad(np.zeros((2, 2), np.uint8), 9, constant_values=255), {}, "only a speck of ink"),
    ],
)
def test_pictures_without_a_drawing_are_refused(pixels, options, message):
    with pytest.raises(ValueError, match=message):
        points_from_picture(pixels, **options)


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(ValueError, match="cannot read 'a.png': no PNG, JPEG, GIF, BMP or WEBP picture; give a PNG"):
        points_from_picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(picture(size=(300, 300))[:200])
    with pytest.raises(ValueError, match="cannot read 'b.png'"):
        points_from_picture(tmp_path / "b.png")


# ---- images


@pytest.mark.parametrize("size", own_data.SIZES)
def test_pictures_are_cut_to_the_middle_square_and_averaged(size, tmp_path):
    wide = np.zeros((4 * size, 8 * size, 3), np.uint8)
    wide[:, :, 0] = 255  # red at both sides, which is cut off
    block = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(float)
    wide[:, 2 * size : 6 * size] = np.clip(block.repeat(4, 0).repeat(4, 1), 0, 255)
    for k in range(20):
        Image.fromarray(wide).save(tmp_path / f"{k}.bmp")
    data = images_from_folder(tmp_path, size)
    assert data.shape == (3, size, size) and (len(data), len(data.held_out)) == (18, 2)
    np.testing.assert_array_equal(data.to_uint8(data.x0[:1])[0], block)
    assert data.bandwidth == 0 and data.labels is None


def test_all_five_formats_are_told_by_content_and_not_by_suffix(tmp_path):
    half = Image.new("RGB", (16, 16), "navy")
    half.paste("white", (8, 0, 16, 16))
    files = {f"{kind}.txt": grey(np.asarray(half), kind) for kind in FORMATS}
    data = images_from_zip(zipped(tmp_path, files), size=8)
    assert len(data) == 5 and not data.warnings
    target = torch.tensor([0, 0, 128]).reshape(3, 1, 1) / 127.5 - 1
    torch.testing.assert_close(data.x0[..., :3], target.expand(5, 3, 8, 3), atol=0.1, rtol=0)  # JPEG and WebP round


def test_colour_is_kept_where_there_is_any_and_can_be_chosen(tmp_path):
    grey = zipped(tmp_path, four("grey"))
    assert images_from_zip(grey).channels == 1 and images_from_zip(grey, colour="rgb").channels == 3
    red = zipped(tmp_path, four() | {"red.png": picture("red")})
    assert images_from_zip(red).channels == 3
    shades = images_from_zip(red, colour="grey").x0.amax(dim=(1, 2, 3)).sort().values
    torch.testing.assert_close(shades, torch.tensor([-1.0] * 3 + [76 / 127.5 - 1, 1.0]))  # 0.299 · 255


def test_transparent_is_white_sixteen_bits_are_scaled_and_a_turned_photograph_stands_upright(tmp_path):
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "a.png")
    Image.fromarray(np.full((20, 20), 32896, np.uint16)).save(tmp_path / "b.png")
    turned, exif = Image.new("L", (20, 20)), Image.Exif()
    turned.paste(255, (10, 0, 20, 20))  # light at the right
    exif[0x0112] = 6  # "turn by a quarter to the right": what is right is then below
    turned.save(tmp_path / "c.png", exif=exif)
    Image.new("L", (20, 20)).save(tmp_path / "d.png")
    data = images_from_folder(tmp_path, 8, colour="grey")
    top_and_bottom = sorted((int(row[0, 0, 0]), int(row[-1, 0, 0])) for row in data.to_uint8(data.x0))
    assert top_and_bottom == [(0, 0), (0, 255), (128, 128), (255, 255)]


def test_folder_names_become_labels_and_travel_with_their_pictures(tmp_path):
    files = {f"set/{word}/{k}.png": picture(shade) for word, shade in (("dark", "black"), ("light", "white"))
             for k in range(20)}
    path = zipped(tmp_path, files)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "set")
    for data in (images_from_zip(path), images_from_folder(tmp_path / "set")):
        assert data.label_names == ("dark", "light")
        assert torch.equal(data.x0.mean(dim=(1, 2, 3)), data.labels * 2.0 - 1)
        assert torch.equal(data.held_out.mean(dim=(1, 2, 3)), data.held_out_labels * 2.0 - 1)
    many = {f"{k}/a.png": picture((k, k, k)) for k in range(51)}
    assert images_from_zip(zipped(tmp_path, many)).labels is None


def test_files_that_are_no_picture_are_left_out_and_named(tmp_path):
    rest = {"notes.txt": b"hello", "cut.png": picture(size=(200, 200))[:150], "vast.png": picture(size=(5000, 5000)),
            "__MACOSX/._0.png": b"x", ".DS_Store": b"x"}  # fmt: skip
    data = images_from_zip(zipped(tmp_path, four() | rest))
    (warning,) = data.warnings
    assert warning.startswith("3 files could not be used: notes.txt (no PNG, JPEG, GIF, BMP or WEBP picture), "
                              "vast.png (5000 × 5000 pixels; at most 20,000,000 are allowed, and 20,000 a "
                              "side), cut.png (")
    assert len(data) == 4


def test_bits_are_reduced_by_the_range_of_the_whole_set(tmp_path):
    most = 4095 * np.arange(1, 7) // 6  # 12 bits in 16; each picture half 0, half its own shade
    deep = {f"{k}.png": grey(np.repeat(np.uint16([[0, shade]]), 32, 0).repeat(16, 1)) for k, shade in enumerate(most)}
    data = images_from_zip(zipped(tmp_path, deep), size=8)
    shades = data.x0.amax(dim=(1, 2, 3)).sort().values
    torch.testing.assert_close(shades, torch.tensor(most / 4095 * 2 - 1, dtype=torch.float32), atol=1e-6, rtol=0)
    assert told(data)["depth"] == "16 bits a pixel, 0 to 4095 in all, taken as 12 bits"
    bright = {"full.png": grey(np.full((9, 9), 65535, np.uint16)), "byte.png": grey(np.full((9, 9), 255, np.uint8))}
    data = images_from_zip(zipped(tmp_path, deep | bright), size=8)
    assert told(data)["depth"].endswith("taken as 16 bits") and (data.x0.amax(dim=(1, 2, 3)) == 1).sum() == 2


def test_a_dark_picture_of_sixteen_bits_gives_its_points(tmp_path):
    pixels = np.where(disc(255, 0, "L") > 0, 0, 900).astype(np.uint16)  # 10 bits in 16
    (tmp_path / "a.png").write_bytes(grey(pixels))
    torch.testing.assert_close(points_from_picture(tmp_path / "a.png").x0, points_from_picture(disc(0, 255, "L")).x0)


@pytest.mark.parametrize("colour, most", [("black", 4), ((90, 90, 90), 30)])
def test_a_set_in_which_there_is_nothing_to_see_is_named(colour, most, tmp_path):
    edges = np.full((20, 60), 90 if colour != "black" else 0, np.uint8)
    edges[:, :10] = 255  # seen in the file, and cut off
    files = {f"{k}.png": grey(edges) for k in range(most)}
    with pytest.raises(ValueError, match=f"nothing to see: all {most} pictures, cut to their middle square and red"):
        images_from_zip(zipped(tmp_path, files))
    assert told(images_from_zip(zipped(tmp_path, four())))["blank"] == "4 are of one tone all over"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animated_picture_gives_its_frames(kind, tmp_path):
    shots = [Image.new("L", (16, 16), shade) for shade in (0, 80, 160, 240)]
    file = io.BytesIO()
    shots[0].save(file, kind, save_all=True, append_images=shots[1:], duration=100, lossless=True)
    data = images_from_zip(zipped(tmp_path, {"still.png": picture(), "moving.bin": file.getvalue()}), size=8)
    shades = np.sort(data.to_uint8(data.x0).max((1, 2, 3)).astype(int))
    np.testing.assert_allclose(shades, [0, 0, 80, 160, 240], atol=1)
    assert told(data)["pictures"] == "5, with every frame of moving.bin, reduced to 8 × 8"


def test_points_come_from_the_first_frame_with_something_in_it(tmp_path):
    ring = Image.fromarray(disc(255, 0, "L"))
    Image.new("L", ring.size, 255).save(tmp_path / "a.gif", save_all=True, append_images=[ring, ring.rotate(90)])
    data = points_from_picture(tmp_path / "a.gif")
    torch.testing.assert_close(data.x0, points_from_picture(disc(255, 0, "L")).x0)
    assert told(data) == {"picture": "200 × 100 pixels", "frame": "2 of 3, the first that has something in it"}


def test_what_is_cut_off_and_what_is_enlarged_is_said(tmp_path):
    sizes = {"a": (3, 5), "b": (20, 300), "c": (200, 200), "d": (9, 9)}
    files = {f"{name}.png": picture((50, 50, len(name) + size[0]), size) for name, size in sizes.items()}
    reading = told(images_from_zip(zipped(tmp_path, files)))
    assert reading["cut"] == "2 to their middle square; b.png, 20 × 300, loses 93%"
    assert reading["enlarged"] == "2: a.png, 3 × 5, d.png, 9 × 9"


@pytest.mark.parametrize(
    "codec, words, title",
    [("cp932", "猫 いぬ", "Shift-JIS"), ("gb2312", "猫 汽车", "GB 2312"), ("cp866", "кошка собака", "code page 866"),
     ("big5", "貓 狗", "Big5"), ("cp437", "Müller née", "code page 437"), ("cp1252", "Müller née", "Windows-1252"),
     ("utf-8", "猫 Müller", "UTF-8")],
)  # fmt: skip
def test_labels_keep_their_letters_however_a_zip_has_coded_them(codec, words, title, tmp_path):
    coded = [word.encode(codec) for word in words.split()]
    plain = {f"{'#' * len(word)}{number}/{k}.png": picture((40 * k, number, 0)) for number, word in enumerate(coded)
             for k in range(4)}  # fmt: skip
    raw = zipped(tmp_path, plain).read_bytes()
    for number, word in enumerate(coded):
        raw = raw.replace(f"{'#' * len(word)}{number}/".encode(), word + f"{number}/".encode())
    (tmp_path / "mine.zip").write_bytes(raw)
    data = images_from_zip(tmp_path / "mine.zip")
    assert data.label_names == tuple(sorted(f"{word}{k}" for k, word in enumerate(words.split())))
    assert told(data)["names"] == title


def test_an_encrypted_zip_is_refused_as_such(tmp_path):
    raw = bytearray(zipped(tmp_path, four()).read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # of each file, and in the list at the end
        at = raw.find(mark)
        while at >= 0:
            raw[at + flags] |= 1
            at = raw.find(mark, at + 1)
    (tmp_path / "mine.zip").write_bytes(raw)
    with pytest.raises(ValueError, match="'mine.zip' is encrypted, 4 of its 4 files; unpack it and pack it again"):
        images_from_zip(tmp_path / "mine.zip")


def test_too_many_pixels_are_refused_before_the_first_is_decoded(tmp_path, monkeypatch):
    blank = picture("white", (4000, 4000), optimize=True)
    path = zipped(tmp_path, {f"{k}.png": blank for k in range(30)})
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("a picture was decoded"))
    with pytest.raises(ValueError, match="take as long to decode as 300,000,000 pixels and more; shrink them"):
        images_from_zip(path)
    header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 99, 0, 0, 54, 40, 20_000_000, 1, 1, 24, *[0] * 6)
    thin = zipped(tmp_path, {f"{k}.bmp": header for k in range(4)})
    with pytest.raises(ValueError, match="20000000 × 1 pixels; at most 20,000,000 are allowed, and 20,000 a side"):
        images_from_zip(thin)
    (tmp_path / "vast.bmp").write_bytes(header[:18] + struct.pack("<ii", 30_000, 30_000) + header[26:])
    with pytest.raises(ValueError, match="'vast.bmp': a picture of far more than 20,000,000 pixels, which are the"):
        points_from_picture(tmp_path / "vast.bmp")


def test_every_frame_is_counted_before_the_first_is_decoded(tmp_path, monkeypatch):
    file, shots = io.BytesIO(), [Image.new("L", (10, 10), 2 * shade) for shade in range(100)]
    shots[0].save(file, "GIF", save_all=True, append_images=shots[1:])
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("a picture was decoded"))
    monkeypatch.setattr(own_data, "MAX_ALL_PIXELS", 99 * 100 * 4)
    with pytest.raises(ValueError, match="take as long to decode as 39,600 pixels and more"):
        images_from_zip(zipped(tmp_path, {"a.gif": file.getvalue()}))
    frame = b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    many = struct.pack("<6sHHBBB", b"GIF89a", 1, 1, 0, 0, 0) + frame * 50_000 + b";"
    with pytest.raises(ValueError, match="there are more than 5,000 pictures"):
        images_from_zip(zipped(tmp_path, {"a.gif": many}))


def test_a_gif_with_a_comment_beyond_reason_is_left_out(tmp_path):
    head = struct.pack("<6sHHBBB", b"GIF89a", 1, 1, 0, 0, 0)
    gif = head + b"!\xfe" + (b"\xff" + b"x" * 255) * 400 + b"\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;"
    (tmp_path / "a.gif").write_bytes(gif)
    with pytest.raises(ValueError, match="cannot read 'a.gif': a GIF with more than 100,000 bytes of comments"):
        points_from_picture(tmp_path / "a.gif")
    data = images_from_zip(zipped(tmp_path, four() | {"a.gif": gif}))
    assert data.warnings == ("1 files could not be used: a.gif (a GIF with more than 100,000 bytes of comments)",)


def test_what_a_file_is_decides_its_content_and_every_suffix_that_is_offered_can_be_read(tmp_path):
    written = {".zip": zipped(tmp_path, four()).read_bytes(), ".npz": b""}
    for suffix in READABLE:
        path = tmp_path / f"mine{suffix}"
        if suffix == ".npz":
            save_dataset(points_from_csv(table()), path)
        elif suffix == ".zip":
            path.write_bytes(written[suffix])
        elif suffix in (".csv", ".tsv", ".txt"):
            path.write_text(table(";"))
        else:
            Image.fromarray(disc("white", "black")).save(path)
        assert read_data(path).kind == ("images" if suffix == ".zip" else "points")
    (tmp_path / "really a picture.csv").write_bytes(grey(disc(255, 0, "L")))
    assert len(read_data(tmp_path / "really a picture.csv")) == 2000
    (tmp_path / "what.docx").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(ValueError, match="nothing that can be read; give points as .csv, .tsv or .txt, a picture"):
        read_data(tmp_path / "what.docx")


@pytest.mark.parametrize(
    "files, options, message",
    [
        ({"a.txt": b"1", "b.png": picture()}, {}, r"1 usable pictures; 4 to 5,000 are needed, .*a.txt \(no PNG"),
        ({}, {}, "there are 0 usable pictures"),
        (four(), {"size": 12}, "size is 12; it must be one of 8, 16, 28 or 32"),
        (four(), {"colour": "blue"}, "colour is 'blue'; it must be one of auto, grey or rgb"),
    ],
)
def test_sets_that_cannot_be_used_are_refused(files, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        images_from_zip(zipped(tmp_path, files), **options)


def test_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    bomb = zipped(tmp_path, {"bomb.png": bytes(1001)})
    bomb.write_bytes(bomb.read_bytes().replace(struct.pack("<I", 1001), struct.pack("<I", 250_000_000)))
    with pytest.raises(ValueError, match="'mine.zip' unpacks to 250,000,000 bytes; at most 200,000,000 are allowed"):
        images_from_zip(bomb)
    crowd = tmp_path / "crowd.zip"
    crowd.write_bytes(b"PK\x01\x02" * 20_001)  # each file in a zip has an entry that begins so
    with pytest.raises(ValueError, match="it holds 20,001 files; at most 20,000 are allowed"):
        images_from_zip(crowd)
    monkeypatch.setattr(own_data, "PICTURES", (4, 6))
    with pytest.raises(ValueError, match="there are more than 6 pictures"):
        images_from_zip(zipped(tmp_path, {f"{k}.png": picture() for k in range(7)}))
    monkeypatch.setattr(own_data, "MAX_ALL_PIXELS", 1000)
    with pytest.raises(ValueError, match="take as long to decode as 1,000 pixels and more"):
        images_from_zip(zipped(tmp_path, four()))


def test_a_zip_that_lies_about_a_size_unpacks_no_more_than_it_said(tmp_path):
    path = zipped(tmp_path, four() | {"liar.png": bytes(5_000_000)})
    raw = path.read_bytes().replace(struct.pack("<I", 5_000_000), struct.pack("<I", 1000))
    path.write_bytes(raw)
    data = images_from_zip(path)
    assert len(data) == 4 and "liar.png (" in data.warnings[0]


def test_a_name_that_climbs_out_of_the_zip_writes_nothing_and_names_nothing(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    names = ("../../evil/a.png", "..\\evil\\b.png", "/etc/c.png", "../d.png")
    data = images_from_zip(zipped(inside, dict(zip(names, four().values()))))
    assert data.label_names == ("(top)", "etc", "evil")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inside", "mine.zip"]


def test_what_is_no_zip_and_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(picture())
    with pytest.raises(ValueError, match="cannot use 'a.zip': File is not a zip file; give a .zip of pictures"):
        images_from_zip(tmp_path / "a.zip")
    with pytest.raises(ValueError, match="cannot use 'none.zip'"):
        images_from_zip(tmp_path / "none.zip")
    with pytest.raises(ValueError, match="is no folder; give a folder of pictures"):
        images_from_folder(tmp_path / "a.zip")


def test_links_in_a_folder_are_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "secret.png").write_bytes(picture("white"))
    for name, content in four().items():
        (tmp_path / "mine" / name).write_bytes(content)
    (tmp_path / "mine" / "link.png").symlink_to(tmp_path / "secret.png")
    assert len(images_from_folder(tmp_path / "mine")) == 4


def test_a_broken_file_cannot_fill_the_message_with_its_bytes(tmp_path):
    path = zipped(tmp_path, {"0.png": np.random.default_rng(0).bytes(20_000)})
    raw = bytearray(path.read_bytes())
    raw[26:28] = struct.pack("<H", 15_000)  # the length of the name in the member's own header
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"0 usable pictures; .*0.png \(File name in directory") as caught:
        images_from_zip(path)
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()

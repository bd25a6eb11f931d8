"""What a visitor brings by the page: files and drawings, and what only looks like them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dashboard.sidebar.own import MOST, PREFIX, read_drawing, read_file


def drawn(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return PREFIX + base64.b64encode(file.getvalue()).decode()


def test_points_lie_on_the_ink_of_a_drawing():
    pixels = np.full((160, 160), 255, np.uint8)
    pixels[10:150, 10:30] = pixels[130:150, 10:150] = 0  # an L
    x0 = read_drawing(drawn(pixels)).x0
    assert ((x0[:, 0] < -0.6) | (x0[:, 1] < -0.6)).all() and x0.max() > 0.8


@pytest.mark.parametrize("sent, words", [
    ("", "no drawing yet"), (None, "no drawing yet"), (7, "no drawing yet"),
    ("data:image/svg+xml;base64,AAAA", "no drawing yet"),
    (PREFIX + "A" * MOST, "no drawing yet"), (PREFIX + "%%%", "no PNG"), (PREFIX + "AAAA", "no PNG"),
    (drawn(np.zeros((513, 8), np.uint8)), "513 pixels"), (drawn(np.full((50, 50), 255, np.uint8)), "blank"),
])
def test_what_is_no_drawing_is_refused_in_words(sent, words):
    with pytest.raises(ValueError, match=words):
        read_drawing(sent)


def test_a_file_is_read_by_its_ending_and_others_are_named(tmp_path):
    rows = tmp_path / "p.CSV"
    rows.write_text("\n".join(f"{i},{i * i % 7}" for i in range(20)))
    assert read_file(str(rows), 16).dataset.kind == "points"
    (tmp_path / "a.exe").write_bytes(b"MZ")
    with pytest.raises(ValueError, match="'a.exe' is nothing that can be read; give points as .csv, .tsv or .txt, a"):
        read_file(str(tmp_path / "a.exe"), 16)

"""Tables of every make: each is read as its author meant it, what was understood is said, and doubt is refused."""


import numpy as np
import pytest
import torch

from core.data.readers import points_from_csv
from core.data.tables import read_table

TURN = np.linspace(0, 2 * np.pi, 40, endpoint=False)
RING = np.stack([50 + 10 * np.cos(TURN), 50 + 10 * np.sin(TURN)], -1)  #: 40 to 60 both ways


def lines(form="{:.3f}", mark=",", header="x,y", rows=RING, end="\n") -> str:
    """A table as programs write it: numbers by a format, or by a function."""
    write = form.format if isinstance(form, str) else form
    body = [mark.join(write(value) for value in row) for row in rows]
    return end.join([header, *body] if header is not None else body) + end


def german(value: float) -> str:
    """12,345.6 as 12.345,6."""
    return f"{value:,.3f}".translate(str.maketrans(",.", ".,"))


def numbered(text: str, mark=",", first=0) -> str:
    """With the number of each row before it, below an empty name."""
    head, *body = text.splitlines()
    return "\n".join([f'""{mark}{head}', *(f"{k}{mark}{row}" for k, row in enumerate(body, first))]) + "\n"


BIG = RING * 100  #: 4,000 to 6,000
THREE = np.column_stack([np.arange(40), RING])

TABLES = {
    "decimal commas under sep=;": ("\ufeffsep=;\r\n" + lines(lambda v: f"{v:.3f}".replace(".", ","), ";", "x;y",
                                                              end="\r\n")).encode(),
    "UTF-16 with a mark": lines(mark="\t", header="x\ty", end="\r\n").encode("utf-16"),
    "UTF-16 without one": lines(mark="\t", header="x\ty", end="\r\n").encode("utf-16-le"),
    "Windows-1252": lines(mark=";", header="Höhe x;Höhe y").encode("cp1252"),
    "decimal commas of three digits in quotes": lines(lambda v: f'"{v:.3f}"'.replace(".", ",")).encode(),
    "decimal commas in quotes": lines(lambda v: f'"{v:.4f}"'.replace(".", ",")).encode(),
    "decimal commas between blanks": lines(lambda v: f"{v:.3f}".replace(".", ","), " ", None).encode(),
    "commas between thousands in quotes": lines(lambda v: f'"{v:,.1f}"', rows=BIG).encode(),
    "dots between thousands": lines(german, ";", "x;y", BIG).encode(),
    "blanks between thousands": lines(lambda v: f"{v:,.2f}".replace(",", "\u202f"), ";", "x;y", BIG).encode(),
    "apostrophes between thousands": lines(lambda v: f"{v:,.2f}".replace(",", "’"), ";", "x;y", BIG).encode(),
    "text with commas in quotes": ("name,x,y\n" + "".join(f'"point, no {k}",{x:.3f},{y:.3f}\n'
                                                          for k, (x, y) in enumerate(RING))).encode(),
    "text with line breaks in quotes": ("name,x,y\n" + "".join(f'"point\nno {k}",{x:.3f},{y:.3f}\n'
                                                               for k, (x, y) in enumerate(RING))).encode(),
    "pandas' names of columns": lines("{:.4f}", header="0,1").encode(),
    "pandas' index as well": numbered(lines("{}", header="0,1")).replace('""', "").encode(),
    "whole numbers under pandas' names": lines("{:.0f}", header="0,1", rows=BIG).encode(),
    "years for names": lines("{:.2f}", header="2019,2020").encode(),
    "R's write.csv2": numbered(lines(lambda v: f"{v:.4f}".replace(".", ","), ";", '"x";"y"'), ";", 1).encode(),
    "R's write.table": lines("{:.4f}", " ", '"x" "y"').replace("\n", "\n0 ").replace(
        "\n0 ", "\n{} ").removesuffix("{} ").format(*range(1, 41)).encode(),
    "units below the names": lines(header="x (mm),y (mm)\n(mm),(mm)").encode(),
    "units beside other names": lines(header="pos_x [px],pos_y [px]").encode(),
    "a title above the names": lines(header="Measured in May,\nNo. 5,\n\nx,y").encode(),
    "latitude before longitude": lines(header="latitude,longitude", rows=RING[:, ::-1]).encode(),
    "more columns": ("id,longitude,latitude\n" + "".join(f"{k},{x:.3f},{y:.3f}\n"
                                                          for k, (x, y) in enumerate(RING))).encode(),
    "numbered rows without names": lines("{:.4g}", header=None, rows=THREE).encode(),
    "a mark too many": lines(header=None).replace("\n", ",\n").encode(),
    "a true minus": lines(rows=RING - 50).replace("-", "\u2212").encode(),
    "bars": lines(mark=" | ", header="x | y").encode(),
    "columns set by blanks": lines("{:12.4f}", "", "           x           y").encode(),
    "comments": ("# made by an instrument, with commas, many\n" + lines(mark="\t", header="x\ty")).encode(),
    "powers of ten": lines("{:.5e}").encode(),
}  # fmt: skip


@pytest.mark.parametrize("raw", TABLES.values(), ids=TABLES)
def test_a_table_is_read_as_its_author_meant_it(raw, tmp_path):
    (tmp_path / "a.csv").write_bytes(raw)
    data = points_from_csv(tmp_path / "a.csv")
    torch.testing.assert_close(data.x0, torch.tensor((RING - 50) / 10, dtype=torch.float32), atol=0.003, rtol=0)


def test_what_was_understood_is_said():
    told = dict(read_table(lines(german, ";", "x;y", BIG)).reading)
    assert told == {"cells": "parted by semicolons", "numbers": "with a decimal comma and dots between thousands",
                    "header": "line 1"}  # fmt: skip
    data = points_from_csv(lines(lambda v: f'"{v:,.1f}"', header="when,x,y", rows=THREE * 1000))
    assert dict(data.reading) == {
        "x": "x, 40000 to 60000", "y": "y, 40000 to 60000", "not used": "when", "cells": "parted by commas",
        "numbers": "with commas between thousands", "header": "line 1"}  # fmt: skip


def test_a_decimal_comma_is_told_by_all_numbers_of_the_table():
    rows = [(1.234 + k / 8, 1000 * k) for k in range(10)]  # fractions of three digits beside whole thousands
    x, y = read_table(lines(german, ";", "x;y", rows)).pick()
    np.testing.assert_allclose(x.numbers, [x for x, _ in rows], atol=0.0005)
    np.testing.assert_allclose(y.numbers, [y for _, y in rows])
    text = "x;y\n" + "".join(f"{k},5;{k}.000\n" for k in range(1, 10))  # a thousand where 1,5 is one and a half
    np.testing.assert_allclose(read_table(text).pick()[1].numbers, 1000 * np.arange(1, 10))
    text = "x,y\n" + "".join(f'"{k:,}","{3 * k:,}"\n' for k in range(900, 1100, 20))  # 900 has no comma, 1,000 has
    np.testing.assert_allclose(read_table(text).pick()[0].numbers, range(900, 1100, 20))


def test_a_first_point_of_whole_numbers_is_no_header():
    circle = [(round(np.cos(t), 6), round(np.sin(t), 6)) for t in TURN]
    text = lines("{:g}", header=None, rows=circle)
    assert text.startswith("1,0\n") and len(points_from_csv(text)) == 40
    data = points_from_csv("0,1\n1,0\n" * 10)
    assert len(data) == 20  # as likely one as the other: it is said
    assert data.warnings == ("line 1 (0, 1) is taken for a point; if it names the columns, write x and y there",)
    named = points_from_csv("name,0,1\n" + "".join(f"p{k},{k % 3},{k % 5}\n" for k in range(20)))
    assert len(named) == 20 and ("x", "0, 0 to 2") in named.reading


def test_values_that_are_missing_in_every_spelling_are_left_out_and_named():
    spelled = ["", "NA", "N/A", "#N/A", "nan", "NULL", "None", "-", "–", "#DIV/0!", "inf", "?"]
    text = "x,y\n" + "".join(f"{k},{word}\n" for k, word in enumerate(spelled)) + lines(header=None)
    data = points_from_csv(text)
    assert len(data) == 40 and data.warnings[0].startswith("12 of 52 rows have a missing, NaN or infinite value")
    assert "line 2, 3, 4, 5" in data.warnings[0]


def test_a_column_of_labels_names_the_rows():
    text = "label,y,x\n" + "".join(f"{'even odd'.split()[k % 2]},{y:.3f},{x:.3f}\n" for k, (x, y) in enumerate(RING))
    data = points_from_csv(text)
    assert data.label_names == ("even", "odd") and data.labels.tolist() == [0, 1] * 20
    assert ("labels", "label: even, odd") in data.reading
    chosen = points_from_csv(text.replace("label", "note"), columns=("3", "y", "note"))
    assert chosen.label_names == ("even", "odd") and torch.equal(chosen.x0, data.x0)


def test_columns_are_chosen_by_name_or_number():
    text = lines("{:.3f}", header="a,b,c", rows=np.column_stack([RING, RING[:, 0] ** 2]))
    with pytest.raises(ValueError, match="the columns of numbers are 1 a, 2 b, 3 c: which are x and y"):
        points_from_csv(text)
    by_name, by_number = (points_from_csv(text, columns=wanted) for wanted in (("b", "a"), ("2", "1")))
    assert torch.equal(by_name.x0, by_number.x0)
    torch.testing.assert_close(by_name.x0[:, [1, 0]], points_from_csv(lines()).x0)
    for wanted, message in {
        ("a", "z"): "no column is called 'z'; the columns are 1 a, 2 b, 3 c: give names, or numbers from 1 to 3",
        ("a",): "1 columns are asked for; two are needed", ("a", "4"): "no column is called '4'",
        ("a", "a"): "x and y are both 'a'; take two different columns",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=message):
            points_from_csv(text, columns=wanted)
    with pytest.raises(ValueError, match="'word' holds no numbers; columns of numbers are 1 x, 2 y"):
        points_from_csv(lines().replace("x,y", "x,y,word").replace("\n", ",b\n").replace("word,b", "word"),
                        columns=("x", "word"))  # fmt: skip


@pytest.mark.parametrize(
    "text, message",
    [
        (lines(lambda v: f"{v:.3f}".replace(".", ",")), "line 2 has 4 cells and the header 2: the row does not fit"),
        (lines(lambda v: f"{v:.4g}".replace(".", ",")), "cells and the header 2: the row does not fit"),
        (lines(header=None) + "1,2,3\n", "line 41 has 3 cells and most have 2: the row does not fit"),
        ("name,x,y\n" + "Smith, 3,60,50\n" * 12, "line 2 has 4 cells and the header 3"),
        (lines() + '1,"2\n', "cannot be parted into cells .*: is a quotation mark missing?"),
        ("x;y\n" + "1,5;2\n" * 12 + "2.25;1\n", "line 14: '2.25' is no number"),
        ("day,x\n" + "12.03.2021,5\n" * 12, "no two columns of numbers are there; it begins 'day,x'"),
        ("x,y\n" + "1_000,2_000\n" * 12, "no two columns of numbers are there"),
        (("1," * 300 + "1\n") * 2, "a line has 301 cells; a table has at most 200 columns"),
        ("1,2\n" * 30_000, "the table has 30,000 lines; at most 25,000 are read, so thin it out"),
        (("1," * 99 + "1\n") * 4000, "4,002 lines of 100 cells; at most 300,000 cells are read, so leave out columns"),
        ("x;y\n" + "1,5x;2,5\n" * 12, "no two columns of numbers are there; it begins 'x;y'"),
    ],
)
def test_what_can_be_taken_in_two_ways_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        points_from_csv(text + "\n")


def test_rows_that_are_too_short_are_named():
    text = "x,y,note\n" + lines(header=None).replace("\n", ",a\n") + "50,50\n"
    assert points_from_csv(text).warnings == ("1 rows have fewer than 3 cells: line 42",)

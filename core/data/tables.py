"""Tables that somebody else wrote: pandas parts them into cells, and what a cell means is told by all of them together.

    table = read_table(Path("points.csv"))
    x, y = table.pick(None)                  # or table.pick(("longitude", "latitude")), or by number: ("2", "3")

Nothing is guessed in silence: `Table.reading` says how the file was taken, `Table.warnings` what was left out of it,
and where a table can be taken in two ways that matter it is refused.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..doors.words import one_line, some

MAX_TEXT = 5_000_000  #: bytes of a table
MAX_LINES, MAX_COLUMNS, MAX_CELLS = 25_000, 200, 300_000
MAX_LABELS, MAX_SIGNS = 50, 64  #: different labels of a column; signs of a number
ADVICE = "Give two columns of numbers, x and y, one point a line"

#: How cells can be parted, in the order in which the first is taken where several do as well.
MARKS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars", " ": "blanks"}
#: What stands where a value is missing; spreadsheets, R, pandas and people write these.
MISSING = frozenset("|na|n/a|#n/a|<na>|nan|-nan|nat|null|none|nil|missing|-|--|---|–|—|.|?|#value!|#ref!|#div/0!|#num!"
                    "|#name?|#null!".split("|"))  # fmt: skip
#: Names of columns that belong together, across and up.
PAIRS = (("x", "y"), ("lon", "lat"), ("lng", "lat"), ("long", "lat"), ("longitude", "latitude"),
         ("easting", "northing"))  # fmt: skip
#: Names of columns that count rows.
COUNTERS = frozenset(("", "id", "index", "row", "nr", "no", "n", "i", "unnamed 0"))
#: Names of columns that say of what kind a row is.
KINDS = frozenset(("label", "labels", "class", "category", "group", "cluster", "species", "target", "type", "kind",
                   "dataset", "shape"))  # fmt: skip
TEXTS = frozenset(("name", "title", "note", "text", "comment", "date", "time"))
_BLANKS = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ")
_MINUS = dict.fromkeys(map(ord, "\u2212\u2013\uff0d"), "-")
_SAMPLE = 200  #: lines from which it is told how cells are parted


class Unclear(ValueError):
    """A table in which more than one pair of columns can be meant; the text says between which to choose."""


@dataclass(frozen=True)
class Numbers:
    """A column (N,) as float64, which of its cells are no number, and its decimal mark: "" where none is needed.

    `sure` is False where a mark may as well part thousands, as in 59,877.
    """

    values: np.ndarray
    wrong: np.ndarray
    decimal: str
    sure: bool = True


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    place: int  #: counted from 1, as a reader counts
    name: str  #: as the header has it; "" without one
    cells: np.ndarray = field(repr=False)  #: (N,) str, or None where a row is too short
    read: Numbers | None = field(default=None, repr=False)  #: None where most of what stands there is no number

    @property
    def numbers(self) -> np.ndarray | None:
        """(N,) float64, NaN where a value is missing or is no number; None for a column of words."""
        return self.read and self.read.values

    @property
    def title(self) -> str:
        return one_line(self.name) or f"column {self.place}"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its name in small letters: "X (mm)" is ("x", "mm")."""
        return tuple(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", self.name).lower()))

    @property
    def counts(self) -> bool:
        """Whether it holds 0, 1, 2, … or 1, 2, 3, …: the number of the row, and nothing measured."""
        n = self.numbers
        return n is not None and len(n) > 1 and n[0] in (0, 1) and np.array_equal(n, n[0] + np.arange(len(n)))

    @property
    def marks(self) -> str:
        """What a comma in its numbers was taken for, and a dot beside it, in words; "" where all is plain."""
        if self.numbers is None:
            return ""
        there = "".join(cell for cell, value in zip(self.cells, self.numbers) if cell and not np.isnan(value))
        if self.read.decimal == ",":
            return "with a decimal comma" + (" and dots between thousands" if "." in there else "")
        return "with commas between thousands" if "," in there else ""

    @property
    def span(self) -> str:
        """From where to where its numbers go, in words."""
        finite = self.numbers[np.isfinite(self.numbers)]
        return f"{finite.min():g} to {finite.max():g}" if len(finite) else "no number"


@dataclass(frozen=True)
class Table:
    """N rows under C columns. `lines` (N,) are the lines of the file they begin in; `reading` pairs (what, how it was
    taken), `warnings` what was left out."""

    columns: tuple[Column, ...]
    lines: np.ndarray = field(repr=False)
    reading: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.numbers is not None)

    def column(self, wanted: str) -> Column:
        """The column of that name, or of that number counted from 1. ValueError lists what there is."""
        wanted = str(wanted).strip()
        exact = [column for column in self.columns if wanted and wanted == column.name.strip()]
        if len(exact) == 1:
            return exact[0]
        if wanted.isdecimal() and 1 <= int(wanted) <= len(self.columns):
            return self.columns[int(wanted) - 1]
        raise ValueError(f"{'two columns are' if exact else 'no column is'} called {wanted[:40]!r}; the columns are "
                         f"{self.listing(self.columns)}: give names, or numbers from 1 to {len(self.columns)}")

    def pick(self, wanted: Sequence[str] | None = None) -> tuple[Column, Column]:
        """The columns x and y: those wanted, else those whose names say so, else the only two that measure anything.

        Unclear if that leaves a choice, ValueError if a column that is wanted holds something else than numbers.
        """
        if wanted is not None:
            if len(wanted) != 2:
                raise ValueError(f"{len(wanted)} columns are asked for; two are needed, x and y")
            x, y = (self.column(each) for each in wanted)
            for column in (x, y):
                if column.numbers is None:
                    raise ValueError(f"{column.title!r} holds no numbers; columns of numbers are "
                                     f"{self.listing(self.numeric)}")
            if x is y:
                raise ValueError(f"x and y are both {x.title!r}; take two different columns")
            return x, y
        for across, up in PAIRS:
            for exact in (True, False):  # a plain x goes before an x_start
                named = [(x, y) for x in self.numeric for y in self.numeric if across in x.words and up in y.words
                         and tuple(up if word == across else word for word in x.words) == y.words
                         and (len(x.words) == 1 or not exact)]  # fmt: skip
                if len(named) == 1:
                    return named[0]
        measured = [c for c in self.numeric if not (c.counts and " ".join(c.words) in COUNTERS)]
        if len(measured) == 2:
            return measured[0], measured[1]
        if len(self.numeric) == 2:
            return self.numeric[0], self.numeric[1]
        raise Unclear(f"the columns of numbers are {self.listing(self.numeric)}: which are x and y? Choose two of "
                         "them, or call them x and y in the first line")

    def kinds(self, but: Sequence[Column] = (), most: int = MAX_LABELS) -> Column | None:
        """The column whose name says that it holds labels, if it holds 2 to `most` different ones and misses none."""
        for column in self.columns:
            if column not in but and " ".join(column.words) in KINDS:
                if None not in column.cells and "" not in column.cells and 2 <= len(set(column.cells)) <= most:
                    return column
        return None

    @staticmethod
    def listing(columns: Sequence[Column]) -> str:
        return some([f"{c.place} {one_line(c.name)}" if c.name else str(c.place) for c in columns], most=12) or "none"


def read_table(source: Path | str) -> Table:
    """The table in a file (a `Path`), or in a text (a `str`).

    Cells are parted by semicolons, tabs, commas, bars or blanks, as gives most numbers, or as a first line "sep=;" of
    Excel's says. Text may be UTF-8, UTF-16 or Windows-1252. A decimal comma and marks between thousands are told from
    all numbers of a column. Lines that begin with # are skipped. What stands above the first row of numbers is a
    header, and so is a first row of whole numbers above fractions; columns without anything in them are dropped.
    ValueError says what cannot be read, in which line, and what to do.
    """
    text, coding = _text(source)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = ["" if line.lstrip().startswith("#") else line for line in text.split("\n")]
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if isinstance(source, str) and len(filled) < 2:
        raise ValueError(f"the table has {len(filled)} lines: {one_line(text)!r}. {ADVICE}; for a file give a "
                         "pathlib.Path")
    if not filled:
        raise ValueError(f"{source.name!r} has no lines. {ADVICE}")
    if len(filled) > MAX_LINES:
        raise ValueError(f"the table has {len(filled):,} lines; at most {MAX_LINES:,} are read, so thin it out")
    stated = re.fullmatch(r"\s*\"?sep=(.)\"?\s*", lines[filled[0]], re.IGNORECASE)
    if stated:
        lines[filled.pop(0)] = ""
    first = filled[0] if filled else 0
    mark = stated[1] if stated else _mark(lines[first : first + _SAMPLE])
    cells = _cells(lines, mark)
    rows = np.flatnonzero([any(cell not in (None, "") for cell in row) for row in cells])
    broken = np.array([sum(cell.count("\n") for cell in row if cell) for row in cells])
    starts = 1 + np.arange(len(cells)) + np.cumsum(broken) - broken
    told = [("text", coding)] if coding != "UTF-8" else []
    told.append(("cells", f"parted by {MARKS.get(mark, repr(mark))}"))
    return _understood(cells[rows], starts[rows], mark, told)


def _text(source: Path | str) -> tuple[str, str]:
    """The text, and how it was coded."""
    if isinstance(source, str):
        if len(source) > MAX_TEXT:
            raise ValueError(f"the table has {len(source):,} bytes; at most {MAX_TEXT:,} are allowed")
        return source.removeprefix("\ufeff"), "UTF-8"
    if not source.is_file():
        raise ValueError(f"there is no file {str(source)!r}; give the path of a table")
    if source.stat().st_size > MAX_TEXT:
        raise ValueError(f"the table has {source.stat().st_size:,} bytes; at most {MAX_TEXT:,} are allowed")
    raw = source.read_bytes()
    if (lines := raw.count(b"\n")) > 4 * MAX_LINES:  # most of them may be empty or comments, but not as many
        raise ValueError(f"the table has {lines:,} lines; at most {MAX_LINES:,} are read, so thin it out")
    begins, even, odd = raw[:4], raw[0:1000:2].count(0), raw[1:1000:2].count(0)
    if begins in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        codings = ("UTF-32",)
    elif begins[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codings = ("UTF-16",)
    elif even or odd:  # text of few but Latin letters has its zeros all on one side
        codings = ("UTF-16-LE",) if not even else ("UTF-16-BE",) if not odd else ()
    else:
        codings = ("UTF-8-SIG", "Windows-1252")
    for coding in codings:
        try:
            text = raw.decode(coding)
        except UnicodeDecodeError:
            continue
        if not re.search(r"[\0-\x08\x0e-\x1f\x7f]", text):
            return text, coding.removesuffix("-SIG").removesuffix("-LE").removesuffix("-BE")
    raise ValueError(f"{source.name!r} is no text; save the table as CSV in UTF-8")


def _mark(sample: list[str]) -> str:
    """How cells are parted: so that the largest share of them are numbers, in two columns or more."""
    best, share, why = None, 0.0, None
    filled = [line for line in sample if line.strip()]
    # What stands in every line parts them, whatever commas and blanks may stand in the cells.
    certain = [mark for mark in ";\t|" if all(mark in line for line in filled)]
    for mark in certain or MARKS:
        if not any(mark in line for line in filled):
            continue
        try:
            cells = _cells(sample, mark)
        except ValueError as error:
            why = why or error
            continue
        columns = [numbers for numbers in (_numbers(column, mark) for column in cells.T) if numbers is not None]
        there = sum(cell not in (None, "") for row in cells for cell in row)
        found = sum(np.isfinite(numbers.values).sum() for numbers in columns)
        if len(columns) >= 2 and found / there > share:
            best, share = mark, found / there
    if best is None:
        if why is not None:
            raise why
        line = next((line for line in sample if line.strip()), "")
        raise ValueError(f"no two columns of numbers are there; it begins {one_line(line, 60)!r}. {ADVICE}")
    return best


def _cells(lines: list[str], mark: str) -> np.ndarray:
    """(R, C): a row a line, blank ones too, or one for the lines of a quoted cell; None where a row is too short."""
    import pandas  # takes a second, and most commands read no table

    columns = 1 + max(line.count(mark) for line in lines)
    if mark == " ":
        lines = [" ".join(line.split()) for line in lines]
        columns = 1 + max(line.count(mark) for line in lines)
    if columns > MAX_COLUMNS:
        raise ValueError(f"a line has {columns:,} cells; a table has at most {MAX_COLUMNS} columns")
    if columns * len(lines) > MAX_CELLS:
        raise ValueError(f"the table has {len(lines):,} lines of {columns:,} cells; at most {MAX_CELLS:,} cells are "
                         "read, so leave out columns or lines")
    try:
        frame = pandas.read_csv(io.StringIO("\n".join(lines)), sep=mark, skipinitialspace=True, engine="python",
                                header=None, names=range(columns), index_col=False, dtype=object, na_filter=False,
                                skip_blank_lines=False)
    except pandas.errors.EmptyDataError:
        return np.empty((0, columns), object)
    except pandas.errors.ParserError as error:
        raise ValueError(f"the table cannot be parted into cells ({one_line(str(error), 80)}): is a quotation mark "
                         "missing?") from error
    read = frame.to_numpy()
    return np.array([[cell.strip().strip("'") if isinstance(cell, str) else None for cell in row] for row in read],
                    dtype=object).reshape(read.shape)


def _numbers(cells: np.ndarray, mark: str, decimal: str = "") -> Numbers | None:
    """The numbers of a column, None if most of it is none. `decimal` is taken where the column leaves its mark open."""
    import pandas

    told = np.array([cell is not None and cell.lower() not in MISSING for cell in cells], bool)
    if not told.any():
        return None
    # What has more signs than any number is a word; looking for marks between thousands in it would take long.
    short = [cell if cell and len(cell) <= MAX_SIGNS else "a word" for cell in cells]
    text = pandas.Series(np.where(told, short, ""), dtype=object)
    values = pandas.to_numeric(text, errors="coerce").to_numpy(float)
    used, sure = "", True
    dotted = text[text.str.contains(".", regex=False)]
    if len(dotted):
        used, sure = ".", not dotted.str.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}").all()
    if (told & np.isnan(values)).any() or not sure and decimal == ",":
        values, used, sure = _with_marks(text, mark, decimal)
    wrong = told & np.isnan(values)
    return None if 2 * wrong.sum() >= told.sum() else Numbers(values, wrong, used, sure)


def _with_marks(cells, mark: str, decimal: str) -> tuple[np.ndarray, str, bool]:
    """(values, decimal mark, sure) of numbers with a decimal comma or marks between thousands."""
    import pandas

    cells = cells.str.translate(_BLANKS | _MINUS)
    blank = " " if mark in ";\t|" else ""  # where commas or blanks part the cells, a blank between digits is doubtful
    reads, values = {}, {}
    for point, groups in ((".", ",'’" + blank), (",", ".'’" + blank)):
        whole = "|".join(rf"[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+" for group in groups)
        number = rf"[+-]?(?:(?:{whole}|\d+)(?:{re.escape(point)}\d*)?|{re.escape(point)}\d+)(?:[eE][+-]?\d+)?"
        bare = cells.str.replace(f"[{re.escape(groups)}]", "", regex=True).str.replace(point, ".", regex=False)
        reads[point] = cells.str.fullmatch(number).to_numpy(bool)
        values[point] = np.where(reads[point], pandas.to_numeric(bare, errors="coerce"), np.nan)
        values[point][cells.str.fullmatch(r"[+-]?(inf|infinity|∞)", case=False).to_numpy(bool)] = np.inf
    only = {point: int((reads[point] & ~reads[other]).sum()) for point, other in ((".", ","), (",", "."))}
    if only["."] or only[","]:
        used = "." if only["."] >= only[","] else ","
        return values[used], used, True
    if not (reads["."] & (values["."] != values[","])).any():
        return values["."], "", True
    # 59,877 under 60,000: as thousands, some number would be below 1,000 and without a comma; as decimals, none is.
    usual = "," if cells[reads[","]].str.contains(",", regex=False).all() else "."
    used = decimal or usual
    return values[used], used, False


def _all_numbers(cells: np.ndarray, mark: str) -> list[Numbers | None]:
    """Every column's numbers; where one leaves its decimal mark open it is that of the others."""
    found = [_numbers(column, mark) for column in cells.T]
    marks = {each.decimal for each in found if each is not None and each.sure and each.decimal}
    unsure = {each.decimal for each in found if each is not None and not each.sure}
    decimal = marks.pop() if len(marks) == 1 else "." if "." in unsure else ","
    return [_numbers(column, mark, decimal) if each is not None and not each.sure and each.decimal != decimal else each
            for column, each in zip(cells.T, found)]


def _understood(cells: np.ndarray, lines: np.ndarray, mark: str, told: list[tuple[str, str]]) -> Table:
    """The table in cells (R, C) that begin in these lines, with names, numbers, and what is to be said of it."""
    numbers = _all_numbers(cells, mark)
    begin, header = _head(cells, numbers)
    if header is None and begin == 0 and _is_numeric_header(cells, numbers):
        begin, header = 1, 0
    numbers = _all_numbers(cells[begin:], mark)
    names = [""] * cells.shape[1] if header is None else [cell or "" for cell in cells[header]]
    names = _fitted(names, cells[begin:], lines[begin:], header is not None)
    body = cells[begin:]
    kept = [k for k in range(body.shape[1]) if any(cell not in (None, "") for cell in body[:, k])]
    columns = tuple(Column(place, names[k], body[:, k], numbers[k]) for place, k in enumerate(kept, 1))
    if sum(column.numbers is not None for column in columns) < 2:
        raise ValueError(f"the table has fewer than two columns of numbers; its columns are {Table.listing(columns)}. "
                         + ADVICE)
    told += [("numbers", marks) for marks in sorted({column.marks for column in columns}) if marks]
    if header is not None:
        told.append(("header", f"line {lines[header]}"))
    left = [f"line {lines[row]} ({one_line(', '.join(cell for cell in cells[row] if cell), 60)})"
            for row in range(begin) if row != header]
    warnings = (f"left out, as it stands above the numbers: {some(left)}",) if left else ()
    if header is None and [cell for cell in body[0] if cell][:2] == ["0", "1"]:
        warnings += (f"line {lines[begin]} (0, 1) is taken for a point; if it names the columns, write x and y there",)
    short = [int(line) for row, line in zip(body, lines[begin:]) if any(row[k] is None for k in kept)]
    if short:
        warnings += (f"{len(short)} rows have fewer than {len(kept)} cells: line {some(short)}",)
    return Table(columns, lines[begin:], tuple(told), warnings)


def _head(cells: np.ndarray, numbers: list[Numbers | None]) -> tuple[int, int | None]:
    """(first row of data, row of the header): what stands above the numbers, and which of it names the columns."""
    numeric = [each for each in numbers if each is not None]
    header = None
    for row in range(len(cells)):
        words = sum(bool(each.wrong[row]) for each in numeric)
        there = any(not np.isnan(each.values[row]) for each in numeric)
        if there and (not words or header is not None) or not words and header is not None:
            return row, header
        if header is None and not there and words >= min(2, len(numeric)):
            header = row  # units may stand below it
    return 0, None


def _is_numeric_header(cells: np.ndarray, numbers: list[Numbers | None]) -> bool:
    """Whether the first row, whole numbers all, is a header: of columns 0, 1, … or years, above fractions alone."""
    numeric = [k for k, each in enumerate(numbers) if each is not None]
    while numeric and not cells[0, numeric[0]]:
        numeric = numeric[1:]
    first = [cells[0, k] for k in numeric]
    if len(cells) < 3 or len(first) < 2 or not all(cell and cell.isdecimal() for cell in first):
        return False
    beside = [str(cell or "").lower() for k, cell in enumerate(cells[0]) if numbers[k] is None]
    counted = first == [str(k) for k in range(len(first))]
    if counted and any(word in KINDS | COUNTERS | TEXTS for word in beside if word):
        return True
    rest = [cell for k in numeric for cell in cells[1:, k] if cell and cell.lower() not in MISSING]
    if counted:
        values = [numbers[k].values for k in numeric]
        return all(re.search(r"[.,eE]", cell) for cell in rest) or any(_is_far(each[0], each[1:]) for each in values)
    places = {len(found[1]) if (found := re.search(r"[.,](\d+)$", cell)) else 0 for cell in rest}
    return len(set(first)) == len(first) and len(places) == 1 and 0 not in places


def _is_far(value: float, others: np.ndarray) -> bool:
    """Whether a value lies outside others by more than all they span."""
    low, high = np.nanmin(others), np.nanmax(others)
    return not low - (high - low) <= value <= high + (high - low)


def _fitted(names: list[str], body: np.ndarray, lines: np.ndarray, has_header: bool) -> list[str]:
    """The names, which the rows fit. ValueError where a row has cells that no name stands over."""
    used = np.array([max((k + 1 for k, cell in enumerate(row) if cell), default=0) for row in body])
    wide = max(k + 1 for k, name in enumerate(names) if name) if has_header else int(np.median(used))
    over = used > wide
    if has_header and over.any() and (used == wide + 1).all() and _are_row_names(body[:, 0]):
        return ["", *names[:-1]]  # R's write.table gives the names of rows none of their own
    if over.any():
        those = f"the header {wide}" if has_header else f"most have {wide}"
        raise ValueError(f"line {lines[over.argmax()]} has {used[over.argmax()]} cells and {those}: the row does not "
                         "fit. Put text and decimal commas into quotes, or part the cells by semicolons")
    return names


def _are_row_names(cells: np.ndarray) -> bool:
    counted = any(list(cells) == [str(k) for k in range(begin, begin + len(cells))] for begin in (0, 1))
    named = len(set(cells)) == len(cells) and not any(re.fullmatch(r"[+-]?[\d.,]+", cell or "") for cell in cells)
    return counted or named

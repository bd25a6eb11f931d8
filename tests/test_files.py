"""Files that are whole or not there at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.drawing.export import FORMATS, export
from core.files import NotWritten, atomic_write, leftovers
from core.scene import Panel, Scene

ROOT = Path(__file__).parents[1]


def test_a_file_appears_when_it_is_complete_in_folders_that_were_missing(tmp_path):
    path = tmp_path / "runs" / "card.json"
    with atomic_write(path) as part:
        part.write_text("{}")
        assert not path.exists() and part.parent == path.parent and part.suffix == ".json"
    assert path.read_text() == "{}" and os.listdir(path.parent) == ["card.json"]


def test_what_breaks_on_the_way_leaves_what_was_there_before(tmp_path):
    path = tmp_path / "card.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["card.json"]


def test_a_file_can_be_read_by_whom_the_umask_says_even_if_its_writer_hid_it(tmp_path):
    path, plain = tmp_path / "hidden.bin", tmp_path / "plain.bin"
    plain.touch()
    with atomic_write(path) as part:
        part.unlink()
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
    assert path.stat().st_mode == plain.stat().st_mode


def test_an_encoder_that_goes_by_the_suffix_can_be_given_another(tmp_path):
    with atomic_write(tmp_path / "film.of_mine", ".gif") as part:
        assert part.suffix == ".gif"
    assert os.listdir(tmp_path) == ["film.of_mine"]


def test_what_a_killed_process_was_writing_is_found(tmp_path):
    script = ("import os, signal, sys; from core.files import atomic_write\n"
              "with atomic_write(sys.argv[1]) as part:\n"
              "    part.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)")
    (tmp_path / "kept.json").touch()
    killed = subprocess.run([sys.executable, "-c", script, tmp_path / "card.json"], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert [path.read_text() for path in leftovers(tmp_path)] == ["half"]
    assert not (tmp_path / "card.json").exists()


# --- a disk that takes nothing ---------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """name → a path at which every byte that is written fails as on a full disk."""
    monkeypatch.setattr("core.files.secrets.token_hex", lambda size: "0" * 2 * size)

    def path(name):
        path = tmp_path / name
        path.with_name(f".{path.stem}.00000000.part{path.suffix}").symlink_to("/dev/full")
        return path

    return path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_said_whatever_is_written_and_what_was_there_stays(full_disk, capfd, kind):
    panel = Panel("x", "x", "", "images", np.zeros((3, 1, 8, 8, 1), np.float32), (0.0, 1.0))
    scene = Scene((panel,), {"t": np.linspace(1, 0, 3)})
    path = full_disk(f"film.{kind}")
    path.write_bytes(b"old")
    with pytest.raises(NotWritten, match="film.*: the disk is full, so nothing was written") as told:
        export(scene, path, size=32)
    assert str(path) not in told.value.why and os.listdir(path.parent) == [path.name] and path.read_bytes() == b"old"


@pytest.mark.parametrize(
    "error, why",
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "the disk is read-only"),
        (PermissionError(errno.EACCES, "Permission denied"), "the folder may not be written to"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "the disk is full"),
    ],
)
def test_why_nothing_is_written_is_said_in_words(tmp_path, error, why):
    with pytest.raises(NotWritten, match=f"x.json: {why}") as told, atomic_write(tmp_path / "x.json"):
        raise error
    assert told.value.errno and isinstance(told.value, OSError) and not os.listdir(tmp_path)


def test_another_error_is_left_as_it_is(tmp_path):
    for error in (FileNotFoundError(errno.ENOENT, "no"), ValueError("(os error 2)"), KeyError("x")):
        with pytest.raises(type(error)) as told, atomic_write(tmp_path / "x.json"):
            raise error
        assert told.value is error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_the_command_line_says_in_one_line_that_the_disk_is_full(full_disk, capsys):
    from core.cli.parser import main

    path = full_disk("sheet.png")
    assert main(["sample", "--model", "trex", "--steps", "2", "--n", "4", "--out", str(path)]) == 1
    said = capsys.readouterr().err
    assert f"{path}: the disk is full, so nothing was written" in said and "Traceback" not in said


def test_what_killed_processes_left_of_a_file_goes_when_it_is_written_again(tmp_path):
    def left(name, age):
        path = tmp_path / name
        path.write_text("half")
        os.utime(path, (time.time() - age,) * 2)
        return path

    old, young = left(".a.0123abcd.part.gif", 4000), left(".a.4567abcd.part.gif", 10)
    other, foreign = left(".ab.0123abcd.part.gif", 4000), left(".a.notes.part.gif", 4000)
    with atomic_write(tmp_path / "a.gif") as part:
        part.write_text("whole")
    assert not old.exists() and young.exists() and other.exists() and foreign.exists()

"""Files that are whole or not there at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.files import atomic_write, leftovers

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

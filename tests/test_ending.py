"""A server ends in order whoever asks it to, its files are gone then, and those of a killed one at the next start."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from dashboard.server.jobs import Pool
from dashboard.server.storage import LOCK, PREFIX, Storage
from tests.sweep import few

ROOT = Path(__file__).parents[1]
#: A process that is up as the app is, without what takes long to start.
LIGHT = """
import atexit, os, sys, time
import app
atexit.register(os.abort)  # as the end of the interpreter does to a process with a thread in a library's code
from dashboard.server.jobs import Pool
from dashboard.server.storage import Storage
app.PATIENCE = 0.2
app.end_when_asked()
with Storage(sys.argv[1]) as storage:
    (storage.folder / "frames.bin").write_bytes(b"x")
    print(storage.folder, flush=True)
    try:
        time.sleep(600)
    finally:
        while "stuck" in sys.argv:  # as a step that cannot be broken up
            time.sleep(1)
"""


@pytest.fixture
def started():
    """command → a process of this project, which does not outlive the test."""
    processes = []

    def start(*command, **environment):
        processes.append(subprocess.Popen([sys.executable, *command], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE, env=os.environ | environment))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", few(["SIGINT", "SIGTERM", "SIGHUP", "SIGINT stuck", "SIGTERM stuck", "SIGHUP stuck"],
                                    "SIGINT", "SIGTERM", "SIGHUP", "SIGTERM stuck"))
def test_who_asks_it_to_end_has_it_end_with_0_and_its_files_gone(started, tmp_path, how):
    name, *stuck = how.split()
    process = started("-c", LIGHT, str(tmp_path), *stuck)
    assert Path(process.stdout.readline().strip(), "frames.bin").exists()
    process.send_signal(getattr(signal, name))
    assert process.wait(600) == 0, process.stderr.read()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_server_left_goes_at_the_next_start_and_what_a_living_one_has_stays(started, tmp_path):
    killed, living = (started("-c", LIGHT, str(tmp_path)) for _ in range(2))
    left, kept = (Path(process.stdout.readline().strip()) for process in (killed, living))
    killed.kill()
    killed.wait(600)
    assert (left / "frames.bin").exists()
    (tmp_path / f"{PREFIX}of-another-kind").mkdir()
    with Storage(tmp_path) as storage:
        assert not left.exists() and (kept / "frames.bin").exists() and storage.folder.exists()
        assert (tmp_path / f"{PREFIX}of-another-kind").exists()


def test_where_a_thread_has_crashed_the_app_ends_with_1_and_says_so(monkeypatch):
    import app
    from dashboard.server import serve

    @contextmanager
    def served(**_):
        with Pool(workers=1) as pool:
            yield serve.Address("http://127.0.0.1:1/", lambda: pool.lives)

    monkeypatch.setattr(app, "end_when_asked", lambda: None)  # the signals are pytest's
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(Pool, "turn", lambda self, block: 1 / 0)
    monkeypatch.setattr(serve, "serve", served)
    with pytest.raises(SystemExit) as ended:
        app.main([])
    assert "a thread of the server has ended by itself" in ended.value.code  # Python prints it, and ends with 1


def test_a_port_that_is_taken_is_told_and_leaves_nothing_behind(tmp_path, monkeypatch):
    from dashboard.server.serve import serve

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="Cannot find empty port"), serve(port=taken.getsockname()[1]):
            pytest.fail("two servers on one port")
    assert not list(tmp_path.glob(f"{PREFIX}*")) and os.environ["GRADIO_TEMP_DIR"] == str(tmp_path)


# --- storage ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path):
    with Storage(tmp_path, keep_for=3600, most_bytes=1000) as storage:
        yield storage


def write(storage, name, age, size=100):
    path = storage.folder / name / "frames.bin"
    path.parent.mkdir()
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age,) * 2)
    os.utime(path.parent, (time.time() - age,) * 2)
    return path


def test_old_files_go_with_their_folders_and_those_that_pages_need_stay(storage):
    old, kept, new = write(storage, "old", 4000), write(storage, "kept", 4000), write(storage, "new", 10)
    storage.keep([kept])
    assert storage.sweep() == 1
    assert not old.exists() and kept.exists() and new.exists() and (storage.folder / LOCK).exists()
    storage.sweep(time.time() + 61)
    assert not old.parent.exists()


def test_beyond_its_bytes_the_oldest_go_but_none_of_the_last_minute(storage):
    files = [write(storage, str(age), age, 400) for age in (500, 400, 300, 20, 10)]
    assert storage.sweep() == 3
    assert [file.exists() for file in files] == [False, False, False, True, True]


def test_while_it_lasts_gradio_writes_there(storage):
    from dashboard.stage.stage import cached

    assert Path(cached("frames.bin", b"x")).is_relative_to(storage.folder)

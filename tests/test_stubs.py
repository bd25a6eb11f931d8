"""Gradio writes nothing beside our sources."""

import importlib.util
import sys

import dashboard  # noqa: F401
from dashboard.server.blocks import Page

MINE = "import gradio as gr\nclass Mine(gr.HTML):\n    EVENTS = ['press']\n"


def test_a_new_kind_of_component_gets_no_file_beside_its_own(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    spec = importlib.util.spec_from_file_location("mine", tmp_path / "mine.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mine", module)
    spec.loader.exec_module(module)
    with Page():
        assert module.Mine().press(lambda: None), "its events are there all the same"
    assert not [*tmp_path.glob("*.pyi")]

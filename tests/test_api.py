"""What programs ask a running server for: shares that nobody can exceed, and answers in words whatever is sent."""

import errno
import json
import re
import secrets
import threading
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import httpx
import pytest

from core.files import NotWritten
from dashboard.server.door import Limits
from dashboard.ui import COMING
from tests.sweep import SWEEP
from tests.test_debug_showing import told

#: Words of an error's insides, which no visitor is ever to read.
INSIDES = ("Error:", "Traceback", " object at 0x", "attribute", "unhashable", "NoneType", "truth value", "Errno",
           "not iterable", "subscriptable", "recursion", "operand", "something went wrong")


@pytest.fixture(scope="module")
def url():
    from dashboard.server.serve import serve

    with serve(host="127.0.0.1", limits=Limits(address_calls=3, patience=2)) as address:
        yield address


@cache
def functions_of(url: str) -> dict[str, dict]:
    """What can be asked for, by its name; the description of the page is long to write and to read."""
    return {d["api_name"]: d for d in httpx.get(f"{url}config", timeout=600, verify=False).json()["dependencies"]}


class Caller:
    """A program, or with a heartbeat a page, that speaks plain HTTP."""

    def __init__(self, url, heartbeat=False):
        # (To read certificates, of which there are none here, takes as long as some calls.)
        self.client = httpx.Client(base_url=url, timeout=600, verify=False)
        self.functions = functions_of(url)
        self.session = secrets.token_hex(8)
        self.beating = threading.Event()
        if heartbeat:
            threading.Thread(target=self._beat, daemon=True).start()
            assert self.beating.wait(600)

    def _beat(self):
        url = f"{self.client.base_url}gradio_api/heartbeat/{self.session}"
        with httpx.stream("GET", url, timeout=600, verify=False) as reply:
            for _ in reply.iter_raw():
                self.beating.set()
                if self.client.is_closed:
                    return

    def send(self, name, *values, session=None, **more):
        function = self.functions[name]
        body = {"data": list(values), "fn_index": function["id"], "session_hash": session or self.session, **more}
        return self.client.post("gradio_api/queue/join", content=json.dumps(body),
                                headers={"content-type": "application/json"})

    def heard(self, session=None):
        """The messages of what a session has sent, as they come, until all of it is answered."""
        query = {"session_hash": session or self.session}
        with self.client.stream("GET", "gradio_api/queue/data", params=query) as reply:
            for line in reply.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def answers(self, session=None):
        """What comes of what a session has sent: (success, output) of each."""
        return [(message["success"], message["output"]) for message in self.heard(session)
                if message["msg"] == "process_completed"]

    def ask(self, name, *values, **more):
        """(success, answer or the words of the error) of one call in a session of its own."""
        session = secrets.token_hex(8)
        sent = self.send(name, *values, session=session, **more)
        if sent.status_code != 200:
            return False, str(sent.json().get("detail"))
        ((success, output),) = self.answers(session)
        return success, output["data"][0] if success else output["error"]


@pytest.fixture
def caller(url):
    caller = Caller(url)
    yield caller
    caller.client.close()


def until(true, what):
    ends = time.monotonic() + 600
    while not true():
        assert time.monotonic() < ends, f"never came: {what}"
        time.sleep(0.2)


def test_one_address_has_its_share_of_calls_and_the_page_is_open_all_the_while(url, caller):
    with ExitStack() as listening:  # while somebody does, none of the three is stopped
        for session in [secrets.token_hex(8) for _ in range(3)]:
            assert caller.send("train", "train_steps=200000", session=session).status_code == 200
            listening.enter_context(
                caller.client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}))
        success, words = caller.ask("datasets")
        assert not success and "3 requests from your address are under way or wait" in words and "try again" in words
        page = Caller(url, heartbeat=True)
        page.send("arrive", None)
        ((success, output),) = page.answers()
        assert success and isinstance(output["data"][0], str)
        page.client.close()
    until(lambda: caller.ask("datasets")[0], "room, when calls that nobody listens to have been stopped")


def test_without_a_page_whatever_is_asked_for_counts_as_a_call(caller):
    sent = [caller.send("arrive", None, session=secrets.token_hex(8)) for _ in range(8)]
    assert all(reply.status_code == 200 for reply in sent)
    until(lambda: caller.ask("datasets")[0], "room, when the forged arrivals have been answered")


def test_a_training_is_answered_with_weights_and_their_card(caller):
    answers = []

    def answered() -> bool:
        answers.append(caller.ask("train", "data=gaussians8&train_steps=3"))
        return answers[-1][0]

    until(answered, "room for a training, when those that nobody listens to have been stopped")
    files = answers[-1][1]
    assert [file["orig_name"] for file in files] == ["model.safetensors", "model.json"]


HOSTILE = (None, -1, 1e308, ["x"], {"a": 1}, "x" * 5000, "data=%00&model=\u202e",
           *((7, True, [], {}, "", [[[[]]]], "NaN") if SWEEP else ()))
PLACES = [*((name, 1, 0) for name in ("diagnose", "noise_lens", "trace", "train")), *(("gif", 7, k) for k in range(7))]


@pytest.mark.parametrize("name, count, place", PLACES)
def test_whatever_is_sent_is_answered_in_words(caller, name, count, place):
    given = ["data=gaussians8&steps=2&train_steps=1&samples=4", "x_t", "denoise", "png", 64, 20, 1][:count]
    for value in HOSTILE:
        values = [*given]
        values[place] = value
        if not isinstance(value, str) or place:  # an empty query is the whole T-Rex: right, and long
            success, words = caller.ask(name, *values)
            assert success or not [inside for inside in INSIDES if inside in words.lower() or inside in words], words


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_the_calls_that_are_told_are_those_that_there_are(caller, name):
    there = {name for name, function in caller.functions.items() if function["api_visibility"] == "public"}
    text = (Path(__file__).parents[1] / name).read_text("utf-8")
    assert there and set(re.findall(r"`/(\w+)`", text)) == there


def uploaded(caller, path) -> dict:
    with path.open("rb") as file:
        (stored,) = caller.client.post("gradio_api/upload", files={"files": (path.name, file)}).json()
    return {"path": stored, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


def test_an_uploaded_trace_is_diagnosed_and_what_is_none_is_refused_in_words(caller, tmp_path):
    trace = uploaded(caller, told(std=lambda beta: beta).save(tmp_path / "run.trace"))
    success, report = caller.ask("diagnose", trace)
    assert success and [cause["place"] for cause in report["causes"]] == ["step_noise"], report
    (tmp_path / "song.trace").write_bytes(b"no trace at all" * 9)
    success, words = caller.ask("diagnose", uploaded(caller, tmp_path / "song.trace"))
    assert not success and words.startswith("song.trace is no whole safetensors file")
    success, words = caller.ask("diagnose", trace | {"path": __file__})  # a file of the server's that nobody uploaded
    assert not success and not any(inside in words for inside in INSIDES)
    success, words = caller.ask("diagnose", {"path": trace["path"]})
    assert not success and 'it can be an uploaded file, in gradio_client handle_file("run.trace")' in words


@pytest.mark.parametrize(
    "name, values, words",
    [
        ("trace", ["model=memorization&data=digits8&samples=4&steps=2"], "model=memorization walks with many networks"),
        ("noise_lens", [5], "recipe is 5; it can be a link's query"),
        ("noise_lens", [], "0 values came for 1 inputs"),
        ("gif", ["steps=2", "x_t,x_t", "denoise", "png", 64, 20, 1], "none of them twice"),
        ("gif", ["steps=2", "x_t", ["denoise"], "png", 64, 20, 1], "film is .*it can be denoise, lens"),
        ("gif", ["steps=2", "nope", "denoise", "png", 64, 20, 1], "no panel 'nope' here; there are"),
        ("trace", ["data=nope"], "data = nope in the link is none of trex, .*[^d]$"),
    ],
)
def test_what_cannot_be_is_refused_by_name(caller, name, values, words):
    success, said = caller.ask(name, *values)
    assert not success
    assert re.search(words, said), said


def test_a_full_disk_is_said_and_where_files_lie_is_not(caller, monkeypatch):
    def full(scene, path, **options):
        raise NotWritten(errno.ENOSPC, path)

    monkeypatch.setattr("dashboard.api.export", full)
    success, words = caller.ask("gif", "steps=2&samples=4", "x_t", "denoise", "png", 64, 20, 1)
    assert not success
    assert words == "The disk is full, so nothing was written. What you had is still there; try again in a while."


def test_a_forged_event_is_answered_in_words(url):
    page = Caller(url, heartbeat=True)
    page.send("arrive", None)
    page.answers()
    for event in (None, [], {"key": {}}, {"frame": "x"}, *((3, {"key": None}, {"name": None}) if SWEEP else ())):
        for name in ("want", "want_1", "halt", "act_3", "act_5"):
            inputs = [None] * len(page.functions[name]["inputs"])
            page.send(name, *inputs, event_data=event)
            ((success, output),) = page.answers()
            assert success or not [inside for inside in INSIDES if inside in str(output["error"])], (event, output)
    page.client.close()


def test_a_page_hears_answers_in_the_order_of_its_changes_and_nothing_at_the_end_of_one(url):
    page = Caller(url, heartbeat=True)
    components = {part["id"]: part["props"] for part in page.client.get("config").json()["components"]}
    change = page.functions["on_change"]
    told = [components[key].get("elem_id") for key in change["outputs"]].index("told")

    def turned(number, **fields):
        fields = {f"field-{name}": value for name, value in fields.items()}
        _, *values = (fields.get(props.get("elem_id"), props.get("value"))
                      for props in map(components.get, change["inputs"]))
        assert page.send("on_change", [number, 0], *values).status_code == 200

    for number in (1, 2, 3):
        turned(number, seed=number, steps=10, samples=20)
    first, last, ends, every = {}, None, [], ""
    for message in page.heard():
        every += json.dumps(message, ensure_ascii=False)
        if message["msg"] == "process_generating":
            said = message["output"]["data"][told]
            first.setdefault(message["event_id"], said)
            if "seed=" in json.dumps(said):
                last = message["event_id"]
        if message["msg"] == "process_completed":
            assert message["success"]
            ends += message["output"]["data"]
    page.client.close()
    assert [said["number"] for said in first.values()] == [1, 2, 3] and last == [*first][-1]
    assert -1 < every.find(COMING) < every.find('"chunks"')  # a stage that is empty yet says that it will not be
    assert len(ends) == 3 * len(change["outputs"]) and all(end in (None, {"__type__": "update"}) for end in ends)


def test_train_pressed_at_once_trains_what_the_page_has_just_gone_over_to(url):
    page = Caller(url, heartbeat=True)
    components = {part["id"]: part["props"] for part in page.client.get("config").json()["components"]}
    number, *values = (components[key].get("value") for key in page.functions["on_restore"]["inputs"])
    page.send("on_restore", [1, 0], *values, event_data={"query": "tab=train&data=gaussians8&train_steps=3"})
    page.send("start", [1, 0], *values)  # the sidebar stands as before: the answer has not come yet
    said = json.dumps([*page.heard()])
    page.client.close()
    assert "Eight Gaussians: step <b>3</b> of 3" in said and "T-Rex: step" not in said


def test_what_is_no_function_and_what_is_no_json_are_refused(caller):
    assert caller.client.post("gradio_api/queue/join", json={"data": [], "fn_index": 10**9, "session_hash": "x"}
                              ).status_code == 400
    reply = caller.send("js_fn", *[None] * len(caller.functions["js_fn"]["inputs"]))  # one of the page's scripts alone
    assert reply.status_code == 400 and "there is no function" in reply.text
    assert caller.client.post("gradio_api/queue/join", content=b"{", headers={"content-type": "application/json"}
                              ).status_code == 422
    deep = b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    reply = caller.client.post("gradio_api/queue/join", content=deep, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422) and "Traceback" not in reply.text

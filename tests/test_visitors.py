"""Visitors: everybody sees their own things, nothing outlives them, and nobody can fill the server."""

import ctypes
import dataclasses
import gc
import os
import threading
import weakref

import pytest
import torch

from core.data.datasets import load
from dashboard.server import heap
from dashboard.server import visitors as registry
from dashboard.server.heap import release
from dashboard.server.jobs import RUNNING, STOPPED, Pool
from dashboard.server.visitors import MB, Busy, Gone, Visitors, size_of


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class View:
    """A trace as the registry sees one: something that holds bytes."""

    def __init__(self, megabytes):
        self.nbytes = megabytes * MB


class Job:
    """Training as the registry sees it."""

    def __init__(self, state=RUNNING):
        self.state, self.error = state, ""

    def stop(self, why=""):
        self.state, self.error = STOPPED, why


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def visitors(clock):
    return Visitors(most=3, most_bytes=300 * MB, bytes_each=100 * MB, clock=clock)


def freed(*things):
    """Weak references, to be asked once the things are out of scope."""
    return [weakref.ref(thing) for thing in things]


def come(visitors, token=None):
    """A page opens: the token of its visitor."""
    token = visitors.enter(token)
    visitors.open_page(token)
    return token


def here(visitors, token) -> bool:
    """Whether the visitor of that token is here, who has thereby been heard of."""
    try:
        return visitors.of(token).token == token
    except Gone:
        return False


def test_two_visitors_never_see_each_others_things(visitors):
    ada, ben = (visitors.of(come(visitors)) for _ in range(2))
    ada.keep("denoise", View(1))
    ada.denoiser, ada.data = torch.nn.Linear(2, 2), torch.zeros(3)
    ada.take_job(Job())
    assert ben.trace("denoise") is None and ben.traces == ()
    assert ben.denoiser is ben.data is ben.card is ben.job is None
    ben.keep("denoise", theirs := View(2))
    assert ada.trace("denoise").nbytes == 1 * MB and ben.trace("denoise") is theirs
    ben.free()
    assert ada.traces == ("denoise",) and ada.job.state == RUNNING


def test_tokens_are_long_random_and_never_given_twice(visitors):
    tokens = {come(Visitors()) for _ in range(100)}
    assert len(tokens) == 100 and all(len(token) >= 43 for token in tokens)


@pytest.mark.parametrize("token", [None, "", "x" * 10**6, "../../etc", 7, ["list"], {"a": 1}, b"bytes", "ünïcode\x00"])
def test_a_token_that_is_unknown_or_no_token_gets_a_new_one(visitors, token):
    new = come(visitors, token)
    assert new != token and visitors.of(new).token == new and len(visitors) == 1
    assert not here(visitors, token)
    visitors.leave(token)
    with pytest.raises(Gone, match="reload"):
        visitors.of(token)


def test_a_reload_finds_its_things_again(visitors, clock):
    token = come(visitors)
    job = Job()
    visitors.of(token).take_job(job)
    visitors.leave(token)
    clock.now += visitors.grace - 1
    assert visitors.reap() == [] and come(visitors, token) == token
    clock.now += 100
    assert visitors.reap() == [] and visitors.of(token).job is job and job.state == RUNNING


def test_the_new_page_of_a_reload_may_come_before_the_old_one_goes(visitors, clock):
    token = come(visitors)
    come(visitors, token)
    visitors.leave(token)
    clock.now += 100
    assert visitors.reap() == [] and visitors.of(token).pages == 1


def test_things_stay_until_the_last_of_several_pages_is_closed(visitors, clock):
    token = come(visitors)
    assert come(visitors, token) == token
    visitors.leave(token)
    clock.now += 60
    assert visitors.reap() == []
    visitors.leave(token)
    visitors.leave(token)  # a page that says goodbye twice takes nobody else's place
    clock.now += visitors.grace + 1
    assert visitors.reap() == [token] and len(visitors) == 0


def test_everything_of_a_visitor_who_left_is_freed(visitors, clock):
    token = come(visitors)
    visitor, film, model, data, job = visitors.of(token), View(1), torch.nn.Linear(2, 2), torch.zeros(9), Job()
    visitor.denoiser, visitor.card, visitor.data = model, {"steps": 1}, data
    visitor.keep("denoise", film)
    visitor.take_job(job)
    references = freed(visitor, film, model, data)
    visitors.leave(token)
    clock.now += visitors.grace + 1
    visitors.reap()
    assert job.state == STOPPED
    del visitor, film, model, data
    gc.collect()
    assert [reference() for reference in references] == [None] * 4


def test_what_a_handler_still_holds_of_a_gone_visitor_is_empty_and_takes_nothing(visitors, clock):
    token = come(visitors)
    visitor = visitors.of(token)
    visitor.keep("denoise", View(1))
    clock.now += 10_000
    visitors.reap()
    assert visitor.traces == () and visitor.nbytes == 0
    late = Job()
    with pytest.raises(Gone, match="reload"):
        visitor.take_job(late)
    assert late.state == STOPPED and visitor.job is None
    with pytest.raises(Gone):
        visitor.keep("late", View(1))


def test_the_reaper_stops_the_job_of_a_silent_visitor(visitors, clock):
    silent, awake = come(visitors), come(visitors)
    with Pool(workers=1) as pool:
        jobs = {token: pool.submit(lambda: iter(int, 1)) for token in (silent, awake)}
        for token, job in jobs.items():
            visitors.of(token).take_job(job)
        clock.now += visitors.silent_after + 1
        assert here(visitors, awake)
        visitors.start(every=0.005)
        assert jobs[silent].wait(600) and jobs[silent].state == STOPPED
        assert not jobs[awake].over and len(visitors) == 1
        visitors.stop()
        assert jobs[awake].wait(600), "with the registry, everybody's work ends"
    assert len(visitors) == 0
    assert not any(thread.name == "reaper" for thread in threading.enumerate())


def test_how_long_silence_may_last_can_be_said(visitors, clock):
    token = come(visitors)
    clock.now += 31
    assert visitors.reap(older_than=60) == [] and visitors.reap(older_than=30) == [token]


def test_whoever_is_asked_for_has_been_heard_of(visitors, clock):
    token = come(visitors)
    for _ in range(5):
        clock.now += visitors.silent_after * 0.9
        visitors.of(token)
        assert visitors.reap() == []


def test_a_new_training_stops_the_one_before(visitors):
    visitor = visitors.of(come(visitors))
    first, second = Job(), Job()
    visitor.take_job(first)
    visitor.take_job(first)
    assert first.state == RUNNING and visitor.is_working
    visitor.take_job(second)
    assert (first.state, second.state) == (STOPPED, RUNNING) and "Another page of yours" in first.error
    visitor.take_job(None)
    assert second.state == STOPPED and second.error == "" and visitor.job is None and not visitor.is_working


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_the_oldest_traces_of_a_visitor_go_where_bytes_run_out(visitors):
    visitor = visitors.of(come(visitors))
    for i in range(5):
        visitor.keep(f"film {i}", View(40))
    assert visitor.traces == ("film 3", "film 4") and visitor.nbytes == 80 * MB
    visitor.keep("film 3", View(50))
    assert visitor.traces == ("film 4", "film 3"), "what is made again is new again"


def test_a_trace_that_grows_is_measured_when_it_is_kept_again(visitors):
    visitor, film = visitors.of(come(visitors)), View(1)
    visitor.keep("old", View(60))
    visitor.keep("growing", film)
    film.nbytes = 60 * MB
    visitor.keep("growing", film)
    assert visitor.traces == ("growing",)


def test_a_trace_larger_than_all_that_a_visitor_may_keep_is_refused_and_the_others_stay(visitors):
    visitor = visitors.of(come(visitors))
    visitor.keep("small", View(1))
    with pytest.raises(ValueError, match="takes 101 MB and a visitor may keep 100 MB; take fewer"):
        visitor.keep("large", View(101))
    assert visitor.traces == ("small",)


def test_a_newcomer_takes_the_place_of_the_one_who_is_idle_for_longest(visitors, clock):
    tokens = []
    for _ in range(3):
        tokens.append(come(visitors))
        clock.now += 1
    visitors.of(tokens[1]).take_job(job := Job())
    here(visitors, tokens[0])
    clock.now += visitors.idle_after + 1
    come(visitors)
    assert not here(visitors, tokens[2]), "silent for longest of those without work"
    assert here(visitors, tokens[0]) and here(visitors, tokens[1]) and job.state == RUNNING


def test_a_closed_page_makes_room_before_an_open_one(visitors, clock):
    first, second, third = (come(visitors) for _ in range(3))
    clock.now += 1
    here(visitors, second)
    visitors.leave(second)
    come(visitors)
    assert not here(visitors, second) and here(visitors, first) and here(visitors, third)


def test_where_everybody_is_at_work_a_newcomer_is_told_so_and_a_reload_still_comes_in(visitors, clock):
    tokens = [come(visitors) for _ in range(3)]
    for token in tokens:
        visitors.of(token).take_job(Job())
    clock.now += visitors.idle_after + 1
    with pytest.raises(Busy, match="all 3 places are taken.*try again when one of their"):
        come(visitors)
    assert come(visitors, tokens[0]) == tokens[0] and len(visitors) == 3
    assert all(visitors.of(token).job.state == RUNNING for token in tokens)


def test_who_comes_without_a_page_has_no_place_that_another_needs(visitors, clock):
    here = come(visitors)
    forged = [visitors.enter() for _ in range(2)]
    with pytest.raises(Busy, match="all 3 places are taken and everybody is at work; try again in 3 seconds"):
        visitors.enter()
    clock.now += visitors.arrival
    newcomer = come(visitors)
    assert newcomer in visitors and here in visitors and forged[0] not in visitors
    clock.now += visitors.grace + 1
    assert visitors.reap() == forged[1:] and here in visitors


def test_one_address_has_its_share_of_the_places_and_no_more(clock):
    visitors = Visitors(most=9, most_each=2, clock=clock)
    others = visitors.enter(address="10.0.0.2")
    for _ in range(2):
        visitors.open_page(visitors.enter(address="10.0.0.1"))
    with pytest.raises(Busy, match="2 visitors are here from your address.*try again in 2 minutes"):
        visitors.enter(address="10.0.0.1")
    clock.now += visitors.idle_after - 30
    with pytest.raises(Busy, match="try again in 30 seconds"):
        visitors.enter(address="10.0.0.1")
    clock.now += 31
    assert visitors.enter(address="10.0.0.1") and others in visitors, "the place of an idle one of their own"
    assert len(visitors) == 3


def test_memory_is_taken_from_idle_visitors_first_and_then_from_oneself(clock):
    visitors = Visitors(most=9, most_bytes=150 * MB, bytes_each=100 * MB, clock=clock)
    empty, idle = come(visitors), come(visitors)
    visitors.of(idle).keep("film", View(90))
    clock.now += visitors.idle_after + 1
    busy, me = (visitors.of(come(visitors)) for _ in range(2))
    busy.keep("film", View(90))
    assert not here(visitors, idle) and here(visitors, empty), "who holds nothing makes no room by going"
    me.keep("one", View(40))
    me.keep("two", View(30))
    assert me.traces == ("two",) and busy.traces == ("film",) and visitors.nbytes == 120 * MB


def test_nobody_sends_themselves_away_by_keeping_a_trace(clock):
    visitors = Visitors(most_bytes=50 * MB, bytes_each=100 * MB, clock=clock)
    token = come(visitors)
    me = visitors.of(token)
    visitors.leave(token)
    me.keep("film", View(60))
    assert visitors.of(token) is me and me.traces == ("film",)


def test_no_newcomer_is_let_in_while_the_memory_is_used_up(clock):
    visitors = Visitors(most_bytes=150 * MB, bytes_each=100 * MB, clock=clock)
    first, second = come(visitors), come(visitors)
    for token in (first, second):
        visitors.of(token).keep("film", View(90))
    with pytest.raises(Busy, match="150 MB for visitors are in use.*try again"):
        come(visitors)
    assert come(visitors, first) == first
    clock.now += visitors.idle_after + 1
    here(visitors, second)
    assert come(visitors) and not here(visitors, first)


def test_the_size_of_data_counts_what_was_worked_out_of_them_and_is_kept():
    data = load("digits8").first(10)
    before = size_of(data)
    centred = data.centred
    assert data.centred is centred and size_of(data) == before + (10 + 1) * 64 * 8
    del centred
    assert size_of(data) == before


def test_the_size_of_things_counts_their_arrays():
    @dataclasses.dataclass
    class Panel:
        data: torch.Tensor
        title: str = "x"

    net = torch.nn.Linear(3, 5)
    assert size_of(net) == (15 + 5) * 4
    assert size_of(torch.zeros(7, dtype=torch.float64)) == 56
    assert size_of({"a": (Panel(torch.zeros(2)), b"123"), "b": None}) == 8 + 3
    assert size_of("text") == size_of(None) == size_of(3) == 0


def test_many_threads_at_once_neither_deadlock_nor_lose_count():
    visitors = Visitors(most=200, most_bytes=100 * MB, bytes_each=10 * MB, grace=0)
    visitors.start(every=0.001)
    wrong, left = [], []

    def be_a_visitor():
        for _ in range(6):
            try:
                token = come(visitors)
                visitor = visitors.of(token)
                with visitor.lock:
                    for i in range(4):
                        visitor.keep(f"{i}", View(3))
                visitor.take_job(Job())
                visitors.leave(token)
                left.append(token)
            except Gone:  # no grace at all: the reaper may come between arrival and page
                pass
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=be_a_visitor, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and wrong == [] and left
    visitors.stop()
    assert len(visitors) == 0 and visitors.nbytes == 0


def test_memory_is_given_back_when_somebody_has_gone_and_once_more_when_all_of_theirs_has_ended(
        visitors, clock, monkeypatch):
    given, again = [], threading.Event()
    monkeypatch.setattr(registry, "release", lambda: (given.append(len(visitors)), again.set()))
    tokens = [visitors.enter() for _ in range(3)]
    for token in tokens:
        visitors.open_page(token)
        visitors.leave(token)
    clock.now += visitors.grace + 1
    visitors.start(every=0.005, tidy_every=10.0)

    def look() -> list[int]:
        """What was given back by the time that the reaper has looked once more, from beginning to end."""
        looked = [threading.Event(), threading.Event()]
        monkeypatch.setattr(visitors, "reap", lambda: looked[looked[0].is_set()].set() or [])
        assert looked[1].wait(600)
        return [*given]

    assert again.wait(600)
    assert look() == [0], "once for all who had gone, and not again at once"
    clock.now += 11
    assert look() == [0, 0]
    clock.now += 11
    assert look() == [0, 0], "and not again while nobody goes"
    visitors.stop()


def test_what_a_film_worked_with_is_given_back_though_nobody_goes(visitors, monkeypatch):
    given = threading.Event()
    monkeypatch.setattr(registry, "release", given.set)
    token = come(visitors)
    visitors.start(every=0.005, tidy_every=0.0)
    visitors.of(token).keep("denoise", View(1))
    assert given.wait(600)
    visitors.stop()


def test_a_server_that_has_started_collects_before_it_says_that_what_is_there_stays(monkeypatch):
    done = []
    for name in ("collect", "freeze", "enable"):
        monkeypatch.setattr(heap.gc, name, lambda name=name: done.append(name))
    heap.settle()
    assert done == ["collect", "freeze", "enable"]


def test_free_memory_goes_back_where_the_c_library_can_be_asked():
    has = hasattr(ctypes.CDLL(None), "malloc_trim") if os.name == "posix" else False
    assert release() is has

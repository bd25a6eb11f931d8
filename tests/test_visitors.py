"""Visitors: everybody sees their own things, nothing outlives them, and nobody can fill the server."""

import dataclasses
import gc
import threading
import weakref

import pytest
import torch

from core.data.datasets import load
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
        self.state = state

    def stop(self):
        self.state = STOPPED


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def visitors(clock):
    return Visitors(most=3, most_bytes=300 * MB, bytes_each=100 * MB, clock=clock)


def freed(*things):
    """Weak references, to be asked once the things are out of scope."""
    return [weakref.ref(thing) for thing in things]


def test_two_visitors_never_see_each_others_things(visitors):
    ada, ben = (visitors.of(visitors.enter()) for _ in range(2))
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
    tokens = {Visitors().enter() for _ in range(100)}
    assert len(tokens) == 100 and all(len(token) >= 43 for token in tokens)


@pytest.mark.parametrize("token", [None, "", "x" * 10**6, "../../etc", 7, ["list"], {"a": 1}, b"bytes", "ünïcode\x00"])
def test_a_token_that_is_unknown_or_no_token_gets_a_new_one(visitors, token):
    new = visitors.enter(token)
    assert new != token and visitors.of(new).token == new and len(visitors) == 1
    assert not visitors.touch(token)
    visitors.leave(token)
    with pytest.raises(Gone, match="reload"):
        visitors.of(token)


def test_a_reload_finds_its_things_again(visitors, clock):
    token = visitors.enter()
    job = Job()
    visitors.of(token).take_job(job)
    visitors.leave(token)
    clock.now += 19
    assert visitors.reap() == [] and visitors.enter(token) == token
    clock.now += 100
    assert visitors.reap() == [] and visitors.of(token).job is job and job.state == RUNNING


def test_the_new_page_of_a_reload_may_come_before_the_old_one_goes(visitors, clock):
    token = visitors.enter()
    visitors.enter(token)
    visitors.leave(token)
    clock.now += 100
    assert visitors.reap() == [] and visitors.of(token).pages == 1


def test_things_stay_until_the_last_of_several_pages_is_closed(visitors, clock):
    token = visitors.enter()
    assert visitors.enter(token) == token
    visitors.leave(token)
    clock.now += 60
    assert visitors.reap() == []
    visitors.leave(token)
    visitors.leave(token)  # a page that says goodbye twice takes nobody else's place
    clock.now += 21
    assert visitors.reap() == [token] and len(visitors) == 0


def test_everything_of_a_visitor_who_left_is_freed(visitors, clock):
    token = visitors.enter()
    visitor, film, model, data, job = visitors.of(token), View(1), torch.nn.Linear(2, 2), torch.zeros(9), Job()
    visitor.denoiser, visitor.card, visitor.data = model, {"steps": 1}, data
    visitor.keep("denoise", film)
    visitor.take_job(job)
    references = freed(visitor, film, model, data)
    visitors.leave(token)
    clock.now += 21
    visitors.reap()
    assert job.state == STOPPED
    del visitor, film, model, data
    gc.collect()
    assert [reference() for reference in references] == [None] * 4


def test_what_a_handler_still_holds_of_a_gone_visitor_is_empty_and_takes_nothing(visitors, clock):
    token = visitors.enter()
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
    silent, awake = visitors.enter(), visitors.enter()
    with Pool(workers=1) as pool:
        jobs = {token: pool.submit(lambda: iter(int, 1)) for token in (silent, awake)}
        for token, job in jobs.items():
            visitors.of(token).take_job(job)
        clock.now += visitors.silent_after + 1
        assert visitors.touch(awake)
        visitors.start(every=0.005)
        assert jobs[silent].wait(20) and jobs[silent].state == STOPPED
        assert not jobs[awake].over and len(visitors) == 1
        visitors.stop()
        assert jobs[awake].wait(20), "with the registry, everybody's work ends"
    assert len(visitors) == 0
    assert not any(thread.name == "reaper" for thread in threading.enumerate())


def test_how_long_silence_may_last_can_be_said(visitors, clock):
    token = visitors.enter()
    clock.now += 31
    assert visitors.reap(older_than=60) == [] and visitors.reap(older_than=30) == [token]


def test_whoever_is_asked_for_has_been_heard_of(visitors, clock):
    token = visitors.enter()
    for _ in range(5):
        clock.now += visitors.silent_after * 0.9
        visitors.of(token)
        assert visitors.reap() == []


def test_a_new_training_stops_the_one_before(visitors):
    visitor = visitors.of(visitors.enter())
    first, second = Job(), Job()
    visitor.take_job(first)
    visitor.take_job(first)
    assert first.state == RUNNING and visitor.is_working
    visitor.take_job(second)
    assert (first.state, second.state) == (STOPPED, RUNNING)
    visitor.take_job(None)
    assert second.state == STOPPED and visitor.job is None and not visitor.is_working


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_the_oldest_traces_of_a_visitor_go_where_bytes_run_out(visitors):
    visitor = visitors.of(visitors.enter())
    for i in range(5):
        visitor.keep(f"film {i}", View(40))
    assert visitor.traces == ("film 3", "film 4") and visitor.nbytes == 80 * MB
    visitor.keep("film 3", View(50))
    assert visitor.traces == ("film 4", "film 3"), "what is made again is new again"


def test_a_trace_that_grows_is_measured_when_it_is_kept_again(visitors):
    visitor, film = visitors.of(visitors.enter()), View(1)
    visitor.keep("old", View(60))
    visitor.keep("growing", film)
    film.nbytes = 60 * MB
    visitor.keep("growing", film)
    assert visitor.traces == ("growing",)


def test_a_trace_larger_than_all_that_a_visitor_may_keep_is_refused_and_the_others_stay(visitors):
    visitor = visitors.of(visitors.enter())
    visitor.keep("small", View(1))
    with pytest.raises(ValueError, match="takes 101 MB and a visitor may keep 100 MB; take fewer"):
        visitor.keep("large", View(101))
    assert visitor.traces == ("small",)


def test_a_newcomer_takes_the_place_of_the_one_who_is_idle_for_longest(visitors, clock):
    tokens = []
    for _ in range(3):
        tokens.append(visitors.enter())
        clock.now += 1
    visitors.of(tokens[1]).take_job(job := Job())
    visitors.touch(tokens[0])
    clock.now += visitors.idle_after + 1
    visitors.enter()
    assert not visitors.touch(tokens[2]), "silent for longest of those without work"
    assert visitors.touch(tokens[0]) and visitors.touch(tokens[1]) and job.state == RUNNING


def test_a_closed_page_makes_room_before_an_open_one(visitors, clock):
    first, second, third = (visitors.enter() for _ in range(3))
    clock.now += 1
    visitors.touch(second)
    visitors.leave(second)
    visitors.enter()
    assert not visitors.touch(second) and visitors.touch(first) and visitors.touch(third)


def test_where_everybody_is_at_work_a_newcomer_is_told_so_and_a_reload_still_comes_in(visitors, clock):
    tokens = [visitors.enter() for _ in range(3)]
    for token in tokens:
        visitors.of(token).take_job(Job())
    clock.now += visitors.idle_after + 1
    with pytest.raises(Busy, match="all 3 places are taken.*try again in a few minutes"):
        visitors.enter()
    assert visitors.enter(tokens[0]) == tokens[0] and len(visitors) == 3
    assert all(visitors.of(token).job.state == RUNNING for token in tokens)


def test_memory_is_taken_from_idle_visitors_first_and_then_from_oneself(clock):
    visitors = Visitors(most=9, most_bytes=150 * MB, bytes_each=100 * MB, clock=clock)
    empty, idle = visitors.enter(), visitors.enter()
    visitors.of(idle).keep("film", View(90))
    clock.now += visitors.idle_after + 1
    busy, me = (visitors.of(visitors.enter()) for _ in range(2))
    busy.keep("film", View(90))
    assert not visitors.touch(idle) and visitors.touch(empty), "who holds nothing makes no room by going"
    me.keep("one", View(40))
    me.keep("two", View(30))
    assert me.traces == ("two",) and busy.traces == ("film",) and visitors.nbytes == 120 * MB


def test_nobody_sends_themselves_away_by_keeping_a_trace(clock):
    visitors = Visitors(most_bytes=50 * MB, bytes_each=100 * MB, clock=clock)
    token = visitors.enter()
    me = visitors.of(token)
    visitors.leave(token)
    me.keep("film", View(60))
    assert visitors.of(token) is me and me.traces == ("film",)


def test_no_newcomer_is_let_in_while_the_memory_is_used_up(clock):
    visitors = Visitors(most_bytes=150 * MB, bytes_each=100 * MB, clock=clock)
    first, second = visitors.enter(), visitors.enter()
    for token in (first, second):
        visitors.of(token).keep("film", View(90))
    with pytest.raises(Busy, match="150 MB for visitors are in use.*try again"):
        visitors.enter()
    assert visitors.enter(first) == first
    clock.now += visitors.idle_after + 1
    visitors.touch(second)
    assert visitors.enter() and not visitors.touch(first)


def test_the_size_of_data_counts_what_was_worked_out_of_them_and_is_kept():
    data = load("digits8").first(10)
    before = size_of(data)
    assert data.centred and size_of(data) == before + (10 + 1) * 64 * 8


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
    wrong = []

    def be_a_visitor():
        try:
            for _ in range(30):
                token = visitors.enter()
                visitor = visitors.of(token)
                with visitor.lock:
                    for i in range(4):
                        visitor.keep(f"{i}", View(3))
                visitor.take_job(Job())
                visitors.leave(token)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=be_a_visitor, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and wrong == []
    visitors.stop()
    assert len(visitors) == 0 and visitors.nbytes == 0

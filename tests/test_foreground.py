"""What is waited for goes first: short work before long work, trainings last, and nobody is shut out for ever."""

import threading
import time

import pytest

from dashboard.server.foreground import BACKGROUND, LEVELS, PROMOTED, Ended, Foreground
from dashboard.server.jobs import Pool


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def foreground(clock):
    return Foreground(slots=1, clock=clock, worked=clock)


def begin(foreground, work, order, name):
    """A thread that takes its stretch and writes its name down; started, and seen to wait."""
    def take():
        with work:
            order.append(name)

    waiting = len(foreground._waiting)
    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    while len(foreground._waiting) == waiting:
        time.sleep(0.001)
    return thread


def test_whoever_has_had_less_goes_first_and_equals_as_they_came(foreground):
    order, works = [], [foreground.work() for _ in range(4)]
    works[0].spent, works[1].spent, works[2].spent = LEVELS[1], LEVELS[0], 0.0
    with foreground.work():
        threads = [begin(foreground, work, order, k) for k, work in enumerate(works)]
    for thread in threads:
        thread.join(60)
    assert order == [2, 3, 1, 0]


def test_a_long_piece_lets_a_short_one_pass_where_it_breathes(foreground, clock):
    order, long = [], foreground.work()
    with long:
        clock.now += LEVELS[0]
        thread = begin(foreground, foreground.work(), order, "short")
        long.breathe()
        thread.join(60)
        order.append("long")
    assert order == ["short", "long"]
    assert long.spent == LEVELS[0]


def test_long_work_that_has_waited_goes_before_what_comes_later(foreground, clock):
    order, long = [], foreground.work()
    long.spent = LEVELS[0]
    with foreground.work():
        threads = [begin(foreground, long, order, "long")]
        clock.now += PROMOTED
        threads.append(begin(foreground, foreground.work(), order, "short"))
    for thread in threads:
        thread.join(60)
    assert order == ["long", "short"]


def test_a_stretch_that_does_not_end_holds_up_the_others_no_longer_than_it_may(foreground, clock):
    order = []
    with foreground.work():
        clock.now += foreground.overdue
        with foreground.work():  # would wait for ever if the first still counted
            order.append("second")
    assert order == ["second"] and not foreground.busy


def test_steps_are_made_in_a_slot_and_none_is_held_between_them(foreground):
    ended = []

    def steps():
        try:
            for k in range(5):
                assert foreground.busy
                yield k
        finally:
            ended.append(True)

    seen = []
    for k in foreground.each(steps()):
        assert not foreground.busy
        seen.append(k)
        if k == 2:
            break
    assert seen == [0, 1, 2] and ended and not foreground.busy


def test_work_that_fails_leaves_its_slot(foreground):
    with pytest.raises(ZeroDivisionError):
        foreground.run(lambda: 1 / 0)
    assert not foreground.busy and foreground.run(lambda: 7) == 7


def test_trainings_have_their_share_by_how_long_the_foremost_has_worked(foreground, clock):
    foreground.background_had(10.0)
    assert foreground.background_waits() == 0.0  # nobody waits
    work = foreground.work()
    for level, share in enumerate(BACKGROUND):
        work.spent = ([0.0, *LEVELS])[level]
        with work:
            foreground.background_had(1.0)
            assert 1.0 / (1.0 + foreground.background_waits()) == pytest.approx(share)
        assert foreground.background_waits() == 0.0


def test_a_training_lets_go_after_the_step_under_way(foreground):
    def steps():
        while True:
            yield

    with Pool(workers=0, slice_seconds=1.0, yields_to=foreground, clock=Clock()) as pool:
        job = pool.submit(steps)
        with foreground.work():
            for _ in range(3):
                pool.turn()
        assert job.steps_done == 3


def test_a_training_goes_on_while_somebody_works_for_long():
    foreground = Foreground(slots=1)
    with Pool(workers=1, yields_to=foreground) as pool, foreground.work():
        job = pool.submit(lambda: iter(range(200)))
        assert job.wait(600) and job.steps_done == 200


def test_at_its_end_nobody_waits_any_more_nothing_begins_and_what_is_under_way_is_waited_for(foreground):
    told, held = [], foreground.work()

    def wait(work):
        try:
            with work:
                told.append("worked")
        except Ended as error:
            told.append(str(error))

    with held:
        waiting = threading.Thread(target=wait, args=[foreground.work()], daemon=True)
        waiting.start()
        while not foreground._waiting:
            time.sleep(0.001)
        ending = threading.Thread(target=foreground.end, daemon=True)
        ending.start()
        waiting.join(600)
        assert told == ["The server is ending. Try again when it is back."] and ending.is_alive()
    ending.join(600)
    assert not ending.is_alive() and not foreground.busy
    with pytest.raises(Ended):
        next(foreground.each([1]))


def test_a_long_piece_ends_where_it_would_let_others_pass(foreground):
    with pytest.raises(Ended), foreground.work() as work:
        ending = threading.Thread(target=foreground.end, daemon=True)
        ending.start()
        while True:
            work.breathe()
    ending.join(600)
    assert not ending.is_alive()

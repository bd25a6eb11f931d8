"""Jobs: turns are fair, pause and stop mean it, watchers see the newest, and nothing is left behind.

Most of these have no threads: a pool without workers takes its turns when told to, by a clock that only the steps move.
"""

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.server.jobs import FAILED, FINISHED, PAUSED, RUNNING, STOPPED, WAITING, Full, Pool, watch


def run_async(work):
    """What a coroutine gives, on a thread of its own: the main one may have an event loop already (Playwright's)."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class Clock:
    """Time that only the steps move, in 1/1024 s: powers of two, so that no rounding decides a test."""

    def __init__(self):
        self.ms = 0

    def __call__(self):
        return self.ms / 1024


class Weight:
    """Stands for a model: something that can be seen to be freed."""


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pool(clock):
    with Pool(workers=0, slice_seconds=16 / 1024, show_seconds=0.16, clock=clock) as pool:
        yield pool


def steps(clock, ms=4, n=10**9):
    def make():
        for i in range(n):
            clock.ms += ms
            yield i

    return make


def turns(pool, n=10**6):
    """Take up to n turns; how many there were."""
    for i in range(n):
        if not pool.turn():
            return i
    return n


def collect(job, seen):
    async def look():
        async for view in watch(job):
            seen.append(view)

    return look()


# --- turns -----------------------------------------------------------------------------------------------------------


def test_three_jobs_with_unlike_steps_get_the_same_number_of_turns(pool, clock):
    jobs = [pool.submit(steps(clock, ms)) for ms in (1, 4, 10)]
    for _ in range(100):
        turns(pool, 7)
        had = [job.turns for job in jobs]
        assert max(had) - min(had) <= 1


def test_jobs_with_equal_steps_differ_by_one_slice_at_most(pool, clock):
    jobs = [pool.submit(steps(clock, 4)) for _ in range(3)]
    turns(pool, 100)
    done = [job.steps_done for job in jobs]
    assert max(done) - min(done) <= 4 and min(done) == 33 * 4


def test_a_job_with_steps_longer_than_a_slice_pays_for_them_with_later_turns(pool, clock):
    slow, quick = pool.submit(steps(clock, 320)), pool.submit(steps(clock, 1))
    turns(pool, 2000)
    assert abs(slow.seconds - quick.seconds) <= (320 + 16) / 1024
    assert slow.steps_done >= 40


def test_the_price_of_one_endless_step_is_bounded(pool, clock):
    def hiccup():
        clock.ms += 60_000
        yield
        yield from steps(clock, 4)()

    late, other = pool.submit(hiccup), pool.submit(steps(clock, 4))
    turns(pool, 200)
    assert late.steps_done > 100 and other.steps_done > 300


def test_snapshots_are_paid_for_by_the_job_that_is_watched(pool, clock):
    def slow_snapshot(job):
        clock.ms += 96

    watched, other = pool.submit(steps(clock, 4), slow_snapshot), pool.submit(steps(clock, 4))
    watched._bells.add(lambda: None)
    turns(pool, 2000)
    assert watched.version > 10
    spent = watched.seconds + watched.version * 96 / 1024
    assert abs(spent - other.seconds) <= (96 + 16) / 1024


def test_a_newcomer_has_its_turn_after_everyone_has_had_one(pool, clock):
    jobs = [pool.submit(steps(clock)) for _ in range(3)]
    turns(pool, 30)
    newcomer = pool.submit(steps(clock))
    turns(pool, 4)
    assert newcomer.turns == 1 and [job.turns for job in jobs] == [11, 11, 11]


def test_a_job_is_built_on_the_thread_that_works():
    built_on, go = [], threading.Event()

    def make():
        built_on.append(threading.current_thread())
        yield from range(3)

    with Pool(workers=1) as pool:
        job = pool.submit(lambda: go.wait(600) and make())
        assert job.state == WAITING and job.steps_done == 0
        go.set()
        assert job.wait(600) and job.state == FINISHED and job.steps_done == 3
    assert built_on[0] is not threading.main_thread()


# --- what a job says -------------------------------------------------------------------------------------------------


def test_a_job_tells_its_steps_its_own_time_and_the_time_left(pool, clock):
    job, other = pool.submit(steps(clock, 4), total=1000), pool.submit(steps(clock, 4))
    assert job.state == WAITING and job.rate == 0 and job.eta is None
    turns(pool, 100)
    assert job.state == RUNNING
    assert job.steps_done == 200 and job.seconds == 800 / 1024
    assert job.rate == pytest.approx(128, rel=0.1), "half of the wall's time is the other's"
    assert job.eta == pytest.approx(800 / job.rate)
    assert other.eta is None, "it did not say how many steps it has"
    assert job.last == 199


def test_a_finished_job_has_made_all_its_steps_and_frees_its_place(pool, clock):
    job = pool.submit(steps(clock, 4, n=7), lambda job: (job.steps_done, job.last, job.state))
    assert len(pool) == 1
    turns(pool)
    assert job.state == FINISHED and job.over and job.wait(0) and len(pool) == 0
    assert job.newest == (7, 6, FINISHED), "without a watcher too: whoever comes later sees how it ended"
    assert job.rate == 0 and job.last is None


def test_a_job_that_runs_too_long_is_stopped_and_says_why(pool, clock):
    job = pool.submit(steps(clock, 4), lambda job: job.steps_done, cap_seconds=60)
    turns(pool)
    assert job.state == STOPPED and job.over and "1 minutes" in job.error
    assert job.steps_done == job.newest == 60 * 256


def test_time_in_a_pause_does_not_count_towards_the_cap(pool, clock):
    job = pool.submit(steps(clock, 4), cap_seconds=1)
    turns(pool, 10)
    job.pause()
    turns(pool)
    clock.ms += 3_600_000
    job.resume()
    turns(pool, 10)
    assert job.state == RUNNING
    turns(pool)
    assert job.state == STOPPED and job.steps_done == 256


def test_a_full_pool_says_so_and_has_room_when_a_job_ends(clock):
    with Pool(workers=0, most=2, clock=clock) as pool:
        first, _ = pool.submit(steps(clock)), pool.submit(steps(clock))
        first.pause()
        turns(pool, 5)
        with pytest.raises(Full, match="2 trainings are under way.*try again when one of them ends, in 15 minutes"):
            pool.submit(steps(clock))
        first.stop()
        turns(pool, 5)
        assert pool.submit(steps(clock)).state == WAITING


# --- pause, resume, stop ---------------------------------------------------------------------------------------------


def test_a_paused_job_takes_no_step_until_it_is_resumed(pool, clock):
    job, other = pool.submit(steps(clock), lambda job: (job.steps_done, job.state)), pool.submit(steps(clock))
    turns(pool, 10)
    job.pause()
    before = job.steps_done
    turns(pool, 20)
    assert job.state == PAUSED and job.steps_done == before and other.steps_done > 2 * before
    assert job.newest == (before, PAUSED), "what is seen is the state in which it stands"
    assert job.rate == 0 and job.eta is None
    job.resume()
    turns(pool, 2)
    assert job.state == RUNNING and job.steps_done > before


def test_a_pause_in_the_middle_of_a_slice_ends_it(pool, clock):
    def make():
        for i in range(100):
            if i == 2:
                job.pause()
            clock.ms += 1
            yield i

    job = pool.submit(make)
    assert turns(pool) == 1 and job.steps_done == 3
    job.resume()
    turns(pool)
    assert job.state == FINISHED and job.steps_done == 100


def test_a_pause_during_a_snapshot_is_followed_by_one_of_the_pause(pool, clock):
    def snapshot(job):
        if job.version == 0:
            job.pause()
        return job.steps_done, job.version

    job = pool.submit(steps(clock), snapshot)
    job._bells.add(lambda: None)
    turns(pool)
    assert job.state == PAUSED and job.newest == (4, 1) and turns(pool) == 0


def test_a_job_paused_before_its_first_turn_is_not_built(pool, clock):
    job = pool.submit(steps(clock, n=3), lambda job: job.steps_done)
    job.pause()
    assert turns(pool) == 1 and job.newest is None and job._iterator is None
    job.resume()
    assert job.state == WAITING
    turns(pool)
    assert job.state == FINISHED and job.newest == 3


def test_pausing_and_resuming_many_times_queues_a_job_once(pool, clock):
    job, other = pool.submit(steps(clock)), pool.submit(steps(clock))
    for _ in range(10):
        job.pause()
        job.resume()
    turns(pool, 20)
    assert job.turns == other.turns == 10


def test_a_job_that_ended_stays_as_it_ended(pool, clock):
    job = pool.submit(steps(clock, n=1))
    turns(pool)
    for steer in (job.pause, job.resume, job.stop):
        steer()
    assert turns(pool) == 0 and job.state == FINISHED and job.error == ""


@pytest.fixture(scope="module")
def nothing_else_to_collect():
    """What other tests left behind is looked through once, and never again."""
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("end", ["stop", "stop while paused", "stop before the first turn", "finish", "fail"])
def test_the_memory_of_a_job_that_ended_is_freed_though_its_handle_is_kept(pool, clock, nothing_else_to_collect, end):
    weight = Weight()
    freed, closed = weakref.ref(weight), []

    def make(weight=weight):
        try:
            for i in range(20):
                clock.ms += 4
                if end == "fail" and i == 7:
                    raise RuntimeError("boom")
                yield weight
        finally:
            closed.append(True)

    job = pool.submit(make, snapshot=lambda job, weight=weight: job.steps_done)
    del weight, make
    if end != "stop before the first turn":
        turns(pool, 1)
        assert job.last is freed()
    if end == "stop while paused":
        job.pause()
        turns(pool)
    if end.startswith("stop"):
        job.stop()
    turns(pool)
    gc.collect()
    assert job.over and freed() is None and len(pool) == 0
    assert closed == ([] if end == "stop before the first turn" else [True])


def test_a_job_stops_before_its_next_step(pool, clock):
    job = pool.submit(steps(clock), lambda job: job.steps_done)
    turns(pool, 3)
    before = job.steps_done
    job.stop("you said so")
    turns(pool)
    assert job.state == STOPPED and job.steps_done == before and job.error == "you said so"
    assert job.newest is None, "nobody watched, so nothing was drawn of what was thrown away"


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_step_that_fails_ends_its_job_alone_and_says_why(pool, clock):
    def make():
        yield 1
        raise ZeroDivisionError("the loss is 0/0 at step 2")

    bad, good = pool.submit(make), pool.submit(steps(clock))
    turns(pool, 20)
    assert bad.state == FAILED and bad.over and bad.error == "ZeroDivisionError: the loss is 0/0 at step 2"
    assert isinstance(bad.exception, ZeroDivisionError) and bad.steps_done == 1
    assert good.state == RUNNING and good.steps_done > 50


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit])
def test_no_error_takes_a_worker_thread_with_it(error):
    def make():
        raise error

    with Pool(workers=1) as pool:
        bad, good = pool.submit(make), pool.submit(lambda: range(5))
        assert bad.wait(600) and bad.state == FAILED and bad.error == error.__name__
        assert good.wait(600) and good.state == FINISHED


def test_a_snapshot_that_fails_fails_the_job(pool, clock):
    job = pool.submit(steps(clock, n=3), lambda job: 1 / 0)
    turns(pool)
    assert job.state == FAILED and "ZeroDivisionError" in job.error and job.over


# --- watching --------------------------------------------------------------------------------------------------------


def test_no_snapshots_are_made_while_nobody_watches(pool, clock):
    made = []
    pool.submit(steps(clock), lambda job: made.append(job.steps_done))
    turns(pool, 500)
    assert made == []


def test_a_watched_job_makes_a_snapshot_about_six_times_a_second(pool, clock):
    made = []
    job = pool.submit(steps(clock), lambda job: made.append(clock.ms))
    job._bells.add(lambda: None)
    turns(pool, 1000)
    gaps = [b - a for a, b in zip(made, made[1:])]
    assert 80 <= len(made) <= 107 and min(gaps) >= 150 and max(gaps) <= 250


def test_a_watcher_sees_the_newest_snapshot_and_never_an_old_one(pool, clock):
    job = pool.submit(steps(clock, 4, n=200), lambda job: job.steps_done)

    async def look():
        seen = []
        async for view in watch(job):
            seen.append(view)
            turns(pool, 25)  # 100 steps: two snapshots are made meanwhile, and the older is passed over
            await asyncio.sleep(0)
        return seen

    async def both():
        task = asyncio.create_task(look())
        await asyncio.sleep(0)
        turns(pool, 1)
        return await task

    seen = run_async(both())
    assert seen == sorted(set(seen)) and seen[-1] == 200 and len(seen) <= 4
    assert not job.watched


def test_two_watchers_of_one_job_see_its_end_and_work_is_not_done_twice():
    made, go = [], threading.Event()

    def make():
        go.wait(600)
        yield from range(50)

    def snapshot(job):
        made.append(job.steps_done)
        return job.steps_done

    async def both(job):
        first, second = [], []
        tasks = [asyncio.create_task(collect(job, seen)) for seen in (first, second)]
        await asyncio.sleep(0)
        assert len(job._bells) == 2
        go.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)
        return first, second

    with Pool(workers=1, show_seconds=0) as pool:
        job = pool.submit(make, snapshot)
        first, second = run_async(both(job))
    assert first[-1] == second[-1] == 50 and not job.watched
    assert len(made) == job.version, "each snapshot was made once, for both"
    assert set(first) <= set(made) and set(second) <= set(made)


def test_a_watcher_sleeps_while_there_is_nothing_new(pool, clock):
    job, seen = pool.submit(steps(clock), lambda job: job.steps_done), []

    async def look():
        task = asyncio.create_task(collect(job, seen))
        await asyncio.sleep(0)
        turns(pool, 1)
        for _ in range(5):  # would never come back from a watcher that spins
            await asyncio.sleep(0)
        waiting = not task.done()
        task.cancel()
        return waiting

    assert run_async(look()) and seen == [4]


def test_who_comes_late_sees_how_it_ended(pool, clock):
    job = pool.submit(steps(clock, n=5), lambda job: job.steps_done)
    turns(pool)
    seen = []
    run_async(collect(job, seen))
    assert seen == [5]


def test_who_comes_during_a_pause_sees_where_it_stands_and_then_goes_on(pool, clock):
    job = pool.submit(steps(clock, n=20), lambda job: (job.steps_done, job.state))
    turns(pool, 2)
    job.pause()
    turns(pool)

    async def look():
        seen = []
        async for view in watch(job):
            seen.append(view)
            job.resume()
            turns(pool)
        return seen

    assert run_async(look()) == [(8, PAUSED), (20, FINISHED)]


def test_watching_a_job_that_fails_ends(pool, clock):
    def make():
        yield 1
        raise ValueError("no")

    job, seen = pool.submit(make, lambda job: job.steps_done), []

    async def both():
        task = asyncio.create_task(collect(job, seen))
        await asyncio.sleep(0)
        turns(pool)
        await asyncio.wait_for(task, 10)

    run_async(both())
    assert job.state == FAILED and not job.watched


def test_a_watcher_that_is_cancelled_is_forgotten(pool, clock):
    job = pool.submit(steps(clock), lambda job: job.steps_done)

    async def cancel():
        task = asyncio.create_task(collect(job, []))
        await asyncio.sleep(0)
        assert job.watched
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_async(cancel())
    assert not job.watched


def test_a_watcher_whose_event_loop_is_gone_does_no_harm(pool, clock):
    job = pool.submit(steps(clock), lambda job: job.steps_done)
    loop = asyncio.new_event_loop()

    def look_and_go():
        first = loop.create_task(anext(watch(job)))
        loop.run_until_complete(asyncio.sleep(0))
        assert job.watched
        first._log_destroy_pending = False
        loop.close()

    with ThreadPoolExecutor(1) as thread:  # see run_async
        thread.submit(look_and_go).result()
    turns(pool, 50)
    assert job.state == RUNNING and not job.watched


# --- threads ---------------------------------------------------------------------------------------------------------


def test_two_workers_never_step_one_job_at_the_same_time():
    inside, together = [0] * 4, []

    def make(i):
        for _ in range(300):
            inside[i] += 1
            together.append(inside[i])
            inside[i] -= 1
            yield

    with Pool(workers=2, slice_seconds=1e-4) as pool:
        jobs = [pool.submit(lambda i=i: make(i)) for i in range(4)]
        assert all(job.wait(600) for job in jobs)
    assert set(together) == {1} and [job.steps_done for job in jobs] == [300] * 4


def test_shutdown_joins_the_threads_and_ends_every_job():
    closed, started = [], threading.Event()

    def make():
        try:
            while True:
                started.set()
                yield
        finally:
            closed.append(True)

    pool = Pool(workers=2)
    jobs = [pool.submit(make) for _ in range(3)]
    jobs[0].pause()
    assert started.wait(600)
    pool.shutdown()
    pool.shutdown()
    assert not any(thread.is_alive() for thread in pool._workers)
    assert all(job.over and job.state == STOPPED for job in jobs) and 1 <= len(closed) <= 3 and len(pool) == 0
    with pytest.raises(Full, match="shutting down"):
        pool.submit(make)


def test_shutdown_ends_those_who_watch():
    async def look():
        pool = Pool(workers=1)
        job = pool.submit(lambda: iter(int, 1), lambda job: job.steps_done)
        task = asyncio.create_task(collect(job, []))
        await asyncio.sleep(0)
        await asyncio.to_thread(pool.shutdown)
        await asyncio.wait_for(task, 10)
        return job

    assert run_async(look()).state == STOPPED


# --- shares ----------------------------------------------------------------------------------------------------------


def test_one_owner_has_a_share_of_the_pool_and_one_that_was_stopped_takes_none_of_it(clock):
    with Pool(workers=0, most=9, most_each=2, clock=clock) as pool:
        first, _ = (pool.submit(steps(clock), owner="10.0.0.1") for _ in range(2))
        with pytest.raises(Full, match="2 trainings are under way from your address.*in 15 minutes at the latest"):
            pool.submit(steps(clock), owner="10.0.0.1")
        with pytest.raises(Full, match="its share of this server"):
            pool.submit(steps(clock), owner="10.0.0.1", most_each=1)
        pool.submit(steps(clock), owner="10.0.0.2")
        for _ in range(3):
            pool.submit(steps(clock))  # nobody's in particular
        first.stop()
        assert pool.submit(steps(clock), owner="10.0.0.1").state == WAITING


def test_where_many_are_watched_they_make_no_more_snapshots_together_than_two_do(clock):
    made = []
    for count in (1, 2, 8):
        with Pool(workers=0, slice_seconds=16 / 1024, show_seconds=0.16, clock=clock) as pool:
            jobs = [pool.submit(steps(clock), lambda job: None) for _ in range(count)]
            for job in jobs:
                job._bells.add(lambda: None)
            turns(pool, 1000)
            made.append(sum(job.version for job in jobs))
    assert made[1] > 1.8 * made[0] and made[2] <= 1.1 * made[1]


# Changes between two steps


def test_what_is_wished_between_two_steps_is_done_before_the_next_one_and_gives_what_it_gives(pool, clock):
    seen, level = [], [1]

    def make():
        while True:
            seen.append(level[0])
            clock.ms += 4
            yield

    job = pool.submit(make)
    pool.turn()
    before = len(seen)
    wish = job.between(lambda: level.__setitem__(0, 2) or "done")
    assert not wish.done()
    pool.turn()
    assert wish.result(0) == "done" and seen[:before] == [1] * before and set(seen[before:]) == {2}


def test_a_wish_of_a_paused_job_is_done_at_once_and_seen_and_it_stays_paused(pool, clock):
    level = [1]
    job = pool.submit(steps(clock), lambda job: level[0])
    pool.turn()
    job.pause()
    turns(pool)
    done, shown = job.steps_done, job.version
    wish = job.between(lambda: level.__setitem__(0, 2))
    assert turns(pool) == 1 and wish.done()
    assert (job.state, job.steps_done, job.newest) == (PAUSED, done, 2) and job.version == shown + 1


def test_a_wish_that_fails_is_told_to_who_wished_and_does_nothing_to_the_job(pool, clock):
    job = pool.submit(steps(clock))
    wish = job.between(lambda: 1 / 0)
    pool.turn()
    assert isinstance(wish.exception(0), ZeroDivisionError) and job.state == RUNNING and job.steps_done


def test_a_wish_of_a_job_that_ends_first_is_cancelled(pool, clock):
    job = pool.submit(steps(clock))
    pool.turn()
    wish = job.between(lambda: None)
    job.stop()
    turns(pool)
    assert wish.cancelled() and job.between(lambda: None).cancelled()

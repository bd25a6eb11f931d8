"""Memory beside the heap: what is lent is nobody else's meanwhile, what is kept stays, and both go back."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import re
import threading
from pathlib import Path

import pytest
import torch

from core import buffers
from core.buffers import BLOCK, LEAST, Shelf, own_pages, scratch, shapes_alone
from core.data.datasets import load
from core.denoisers.exact import Exact
from core.denoisers.mlp import MLP
from core.denoisers.unet import UNet
from core.reverse import start_noise, walk
from core.samplers import ddim
from core.schedules import make_schedule
from core.trace import Trace

BIG = LEAST // 8  #: float64 that are lent pages


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch):
    monkeypatch.setattr(buffers, "_lent", buffers._Lent())


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (7,), (2, 3, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bool, torch.int64])
def test_pages_of_ones_own_are_zeros_of_the_shape_asked_for(shape, dtype):
    assert torch.equal(own_pages(shape, dtype), torch.zeros(shape, dtype=dtype))


def test_two_lent_at_a_time_have_nothing_in_common_and_the_next_has_the_same_pages_again():
    with scratch(BIG) as one, scratch(2, BIG) as other:
        one.fill_(1.0)
        other.fill_(2.0)
        assert (one == 1).all() and other.shape == (2, BIG)
        at = one.data_ptr()
    with scratch(BIG) as again:
        assert again.data_ptr() == at


def test_what_was_lent_comes_back_also_from_a_block_that_broke_off():
    with pytest.raises(KeyError), scratch(BIG) as lent:
        at = lent.data_ptr()
        raise KeyError
    with scratch(BIG) as again:
        assert again.data_ptr() == at


def test_no_more_waits_to_be_lent_than_is_said(monkeypatch):
    monkeypatch.setattr(buffers, "KEPT", 4 * LEAST)
    with scratch(BIG), scratch(BIG), scratch(BIG), scratch(8 * BIG):
        pass
    assert sum(map(len, buffers._lent._waiting)) <= 4 * LEAST


def test_threads_that_work_at_once_never_share_what_they_are_lent():
    wrong = []

    def work(k):
        for _ in range(200):
            with scratch(BIG) as lent:
                lent.fill_(k)
                if not (lent == k).all():
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8, torch.bfloat16])
def test_a_shelf_keeps_what_was_put_on_it(dtype, generator):
    shelf, shapes = Shelf(), [(), (3,), (0,), (17, 5), (BLOCK // 4, 3), (2, 2)]
    given = [(100 * torch.rand(shape, generator=generator)).to(dtype) for shape in shapes * 3]
    kept = [shelf.put(x) for x in given]
    for x in given:
        x.add_(1)
    assert all(torch.equal(k + 1, x) and k.dtype == dtype for k, x in zip(kept, given))


def test_a_shelf_keeps_the_values_alone_and_no_way_back():
    x = torch.ones(3, requires_grad=True)
    kept = Shelf().put(2 * x)
    assert not kept.requires_grad and kept.tolist() == [2, 2, 2]


def most_and_now() -> tuple[int, int]:
    """(the most memory that this process had, what it has now), in bytes, as Linux counts."""
    status = Path("/proc/self/status").read_text()
    most, now = (1024 * int(re.search(rf"{of}:\s+(\d+)", status)[1]) for of in ("VmHWM", "VmRSS"))
    return most, now


def measure(told) -> None:
    """Memory of a walk of the exact denoiser, then of many rows asked at once: what was lent has gone back by then."""
    gc.disable()  # else what others left would be given back on the way
    schedule, generator = make_schedule("cosine"), torch.Generator().manual_seed(0)
    denoiser = Exact.of(load("moons"), schedule)

    def film(steps):
        times = schedule.times(steps)
        x = start_noise(schedule, (1000, 2), times[0], generator)
        return Trace.record(walk(denoiser, ddim(schedule), x, times, generator))

    film(2)  # what is made at first use
    _, base = most_and_now()
    trace = film(30)
    peak, size = most_and_now()[0], trace.nbytes
    del trace
    _, after = most_and_now()
    images = Exact(torch.rand(10_000, 1, 28, 28), schedule)
    images(torch.randn(100, 1, 28, 28), torch.tensor(0.5))
    # Weights of 6,000 questions at once would be 480 MB a copy, whatever the dimensions.
    points = Exact(torch.rand(10_000, 2), schedule)
    points(torch.randn(6000, 2), torch.tensor(0.5))
    told.send((base, peak, size, after, most_and_now()[0]))


@pytest.fixture(scope="module")
def measured() -> tuple[int, ...]:
    """Of a copy of this process: the most that it ever had begins anew there, and nothing need be loaded.

    What lies free in the heap goes back before the copy is made: it would hide what is taken, or be most of the most.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("asks Linux how much memory a process has")
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=measure, args=(there,))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    child.start()
    there.close()
    found = here.recv()
    child.join()
    return found


def test_a_walk_of_the_exact_denoiser_costs_its_trace_and_little_more(measured):
    """Weights of all samples at once, or what is kept lying between them, and the heap grows by 75 to 5,000 MB."""
    base, peak, size, after, _ = measured
    assert size == 30 * 5 * 1000 * 2 * 4
    assert peak - base < size + 25e6, f"{(peak - base) / 1e6:.0f} MB for a trace of {size / 1e6:.0f} MB"
    assert after - base < 25e6, f"{(after - base) / 1e6:.0f} MB stayed when the trace was gone"


def test_ten_thousand_images_of_28_by_28_and_six_thousand_questions_take_less_than_one_copy_of_their_weights(measured):
    _, before, _, _, grown = measured
    assert 60e6 < grown - before < 450e6, f"peak grew by {(grown - before) / 1e6:.0f} MB"


def test_a_network_of_shapes_alone_is_as_the_real_one_and_holds_no_numbers():
    for make in (lambda: UNet(labels=10), lambda: MLP(2, labels=(3, 2))):
        with shapes_alone():
            outline = make()
        real = make()
        assert {name: w.shape for name, w in outline.state_dict().items()} == \
            {name: w.shape for name, w in real.state_dict().items()}
        assert all(w.is_meta for w in outline.parameters()) and not any(w.is_meta for w in real.parameters())

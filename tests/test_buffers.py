"""Memory beside the heap: what is lent is nobody else's meanwhile, what is kept stays, and both go back."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from core import buffers
from core.buffers import BLOCK, LEAST, Shelf, own_pages, scratch, shapes_alone
from core.denoisers.mlp import MLP
from core.denoisers.unet import UNet

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


#: Memory of a walk of the exact denoiser, then of many rows asked at once: what was lent before has gone back by then.
#: Last, what was loaded of torch's compiler by all that needs none of it.
MEASURE = """
import re, pathlib, torch
torch.set_num_threads(1)
from core.data.datasets import load
from core.denoisers.exact import Exact
from core.samplers import ddim
from core.schedules import make_schedule
from core.trace import Trace
from core.reverse import start_noise, walk

def memory(of):
    return 1024 * int(re.search(of + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

schedule, generator = make_schedule("cosine"), torch.Generator().manual_seed(0)

def film(steps):
    times = schedule.times(steps)
    x = start_noise(schedule, (1000, 2), times[0], generator)
    return Trace.record(walk(Exact.of(load("moons"), schedule), ddim(schedule), x, times, generator))

film(2).nbytes  # what torch loads at first use
base = memory("VmRSS")
trace = film(60)
peak, size = memory("VmHWM"), trace.nbytes
del trace
after = memory("VmRSS")
images = Exact(torch.rand(10_000, 1, 28, 28), schedule)
images(torch.randn(100, 1, 28, 28), torch.tensor(0.5))
# Weights of 6,000 questions at once would be 480 MB a copy, whatever the dimensions.
points = Exact(torch.rand(10_000, 2), schedule)
points(torch.randn(6000, 2), torch.tensor(0.5))
most = memory("VmHWM")

import sys
from core.checkpoints.models import load_pretrained
from core.guidance.classifier import slope
from core.training.classifier import ClassifierConfig, ClassifierTrainer
from core.training.presets import TrainingConfig
from core.training.trainer import Trainer
load_pretrained("moons")
load_pretrained("digits8")
data, training = load("moons"), dict(steps=1, batch=8)
next(Trainer(data, TrainingConfig("mlp", **training)).run())
trainer = ClassifierTrainer(data, ClassifierConfig(**training))
next(trainer.run())
slope(trainer.classifier, data.x0[:3], torch.tensor(0.5), torch.tensor([1]))
print(base, peak, size, after, most, len({"torch._dynamo", "torch._inductor", "sympy"} & {*sys.modules}))
"""


@pytest.fixture(scope="module")
def measured() -> list[int]:
    if not Path("/proc/self/status").exists():
        pytest.skip("asks Linux how much memory a process has")
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    return [*map(int, done.stdout.split())]


def test_a_walk_of_the_exact_denoiser_costs_its_trace_and_little_more(measured):
    """Weights of all samples at once, or what is kept lying between them, and the heap grows by 75 to 5,000 MB."""
    base, peak, size, after, *_ = measured
    assert size == 60 * 5 * 1000 * 2 * 4
    assert peak - base < size + base / 10, f"{(peak - base) / 1e6:.0f} MB for a trace of {size / 1e6:.0f} MB"
    assert after - base < base / 10, f"{(after - base) / 1e6:.0f} MB stayed when the trace was gone"


def test_ten_thousand_images_of_28_by_28_and_six_thousand_questions_take_less_than_one_copy_of_their_weights(measured):
    _, before, _, _, grown, _ = measured
    assert 60e6 < grown - before < 450e6, f"peak grew by {(grown - before) / 1e6:.0f} MB"


def test_nothing_that_a_visitor_does_loads_torchs_compiler_which_takes_seconds_and_75_mb_for_good(measured):
    assert measured[-1] == 0


def test_a_network_of_shapes_alone_is_as_the_real_one_and_holds_no_numbers():
    for make in (lambda: UNet(labels=10), lambda: MLP(2, labels=(3, 2))):
        with shapes_alone():
            outline = make()
        real = make()
        assert {name: w.shape for name, w in outline.state_dict().items()} == \
            {name: w.shape for name, w in real.state_dict().items()}
        assert all(w.is_meta for w in outline.parameters()) and not any(w.is_meta for w in real.parameters())

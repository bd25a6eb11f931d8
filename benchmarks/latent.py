"""Digits of 28×28 by a diffusion in a latent of 3×7×7, beside one of pixels: time, memory, and what comes out.

Both sides are ours: the fast recipe, U-Nets of one width, batches of 64 with labels, in bf16 where the processor has
instructions for it. The autoencoder is trained once, for all that is done in its latent, and counted in the last row.
"""

from __future__ import annotations

from statistics import median

import torch

from benchmarks.measure import Row, cpu, paired
from core.checkpoints.models import load_pretrained
from core.data.datasets import load
from core.data.latents import load_autoencoder
from core.metrics.distances import draw_samples, sliced_wasserstein
from core.training.presets import preset
from core.training.trainer import Trainer

LATENT, PIXELS, BATCH, SAMPLES = "latent_mnist28", "mnist28", 64, 256


def trainer_of(name: str, steps: int, **changes) -> Trainer:
    data = load(name)
    return Trainer(data, preset("fast", data, "unet", batch=BATCH, steps=steps, labels=True, **changes))


def kept(trainer: Trainer) -> int:
    """Bytes that a training step keeps from its way forward for its way back, beside the weights: its memory's peak."""
    weights = {weight.untyped_storage().data_ptr() for weight in trainer.denoiser.parameters()}
    sizes = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        next(trainer.run())
    return sum(size for place, size in sizes.items() if place not in weights)


def run(quick: bool = False) -> list[Row]:
    rounds = 2 if quick else 8
    ours, peer, plain = (trainer_of(name, 4 * rounds + 20, **changes)
                         for name, changes in ((LATENT, {}), (PIXELS, {}), (PIXELS, {"patch": 1})))
    memory = [kept(trainer) / 2**20 for trainer in (ours, peer, plain)]
    step = {trainer: lambda trainer=trainer: next(trainer.run()) for trainer in (ours, peer, plain)}
    training, unfolded = (paired(step[ours], step[other], rounds) for other in (peer, plain))

    models = [load_pretrained(name)[0] for name in (LATENT, PIXELS)]
    states = [torch.randn(BATCH, *load(name).shape) for name in (LATENT, PIXELS)]
    half = torch.tensor(0.5)
    with torch.no_grad():
        sampling = paired(*(lambda model=model, x=x: model(x, half) for model, x in zip(models, states)), rounds)
        decoding = median(cpu(lambda: load(LATENT).decode(states[0])) for _ in range(rounds))

    latent, pixels = load(LATENT), load(PIXELS)
    count = 64 if quick else SAMPLES
    cond = pixels.labels[:count]
    drawn = [draw_samples(model, load(name).shape, count, cond=cond) for model, name in zip(models, (LATENT, PIXELS))]
    drawn[0] = latent.decode(drawn[0])
    unseen = pixels.held_out[:count]
    rebuilt = latent.decode(latent.held_out[:count])
    away = [sliced_wasserstein(x, unseen) for x in (*drawn, rebuilt, pixels.x0[:count])]

    ms = [1000 * median(side) for side in (training.ours, training.peer, unfolded.peer, sampling.ours, sampling.peer)]
    seconds, whole = (load_pretrained(name)[1]["cpu_seconds"] for name in (LATENT, PIXELS))
    once = load_autoencoder(LATENT).card["cpu_seconds"]
    what = f"28 × 28 in a latent of 3 × 7 × 7, batch {BATCH}"
    return [
        Row(f"{what}: a training step", f"{ms[0]:.0f} ms", f"{ms[1]:.0f} ms, in pixels folded 2 × 2", str(training)),
        Row(f"{what}: a training step", f"{ms[0]:.0f} ms", f"{ms[2]:.0f} ms, in plain pixels", str(unfolded)),
        Row(f"{what}: memory kept for the way back", f"{memory[0]:.1f} MiB",
            f"{memory[1]:.1f} MiB in pixels folded 2 × 2, {memory[2]:.1f} in plain ones",
            f"{memory[1] / memory[0]:.3g}×, {memory[2] / memory[0]:.3g}×"),
        Row(f"{what}: one evaluation in sampling", f"{ms[3]:.1f} ms, and {1000 * decoding:.0f} ms to decode at the end",
            f"{ms[4]:.1f} ms, in pixels folded 2 × 2", str(sampling)),
        Row(f"shipped models of 28 × 28: sliced Wasserstein of {count} digits from unseen ones, in pixels",
            f"{away[0]:.3f} after {seconds:.0f} s of training, and {once:.0f} s of the autoencoder's, by their cards",
            f"{away[1]:.3f} in pixels, after {whole:.0f} s; unseen digits decoded from their latents {away[2]:.3f}, "
            f"training digits {away[3]:.3f}", f"{whole / (seconds + once):.2g}× in all that training took"),
    ]

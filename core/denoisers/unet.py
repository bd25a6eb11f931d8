"""The network for images: a compact U-Net with a sinusoidal time embedding."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, silu

from .embeddings import LabelEmbedding, Labels, sinusoidal
from .networks import network


class Block(nn.Module):
    """x ← skip(x) + conv(silu((1 + scale)·conv(silu(norm(x))) + shift)), scale and shift told by the embedding.

    One normalisation instead of the usual two: on a CPU an operation that only moves memory costs as much as a small
    convolution. The last convolution starts at 0, so that a new block changes nothing.
    """

    def __init__(self, inputs: int, outputs: int, embedding: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        for weight in self.conv2.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv1(silu(self.norm(x)))
        h = torch.addcmul(shift, h, 1 + scale)
        return self.skip(x) + self.conv2(silu(h))


@network("unet", "U-Net", "images",
         lambda config, data: {"channels": data.channels, "levels": config.depth, "patch": config.patch},
         deepest=4, groups=8)
class UNet(nn.Module):
    """network(x, t, noise_level, cond) → output of x's shape, for images x of shape (B, channels, H, W), 8×8 to 32×32.

    Each level halves the resolution; what a level saw is handed to its mirror image on the way up (Ronneberger et al.
    2015). `patch` pixels a side are folded into channels first: at 16×16 and more, a step costs a quarter. Any size
    works: the image is padded to a whole number of the coarsest cells and cropped again.

    width    channels of the finest level; the others have twice as many
    levels   resolutions, at least 1
    patch    1 or 2
    labels   how many classes cond can name, 0 for none; several numbers where cond names several, (B, K)
    """

    def __init__(self, channels: int = 1, width: int = 48, levels: int = 2, patch: int = 1, labels: Labels = 0):
        super().__init__()
        labels = tuple(labels) if isinstance(labels, list) else labels  # as JSON has it
        self.architecture = {"network": "unet", "channels": channels, "width": width, "levels": levels, "patch": patch,
                             "labels": labels}
        self.width, self.patch, self.cell = width, patch, patch * 2 ** (levels - 1)
        widths = [width] + [2 * width] * (levels - 1)
        embedding = 4 * width
        self.time = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label = LabelEmbedding(labels, embedding) if labels else None
        self.enter = nn.Conv2d(channels * patch**2, width, 3, padding=1)
        self.down = nn.ModuleList(Block(w, w, embedding) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(w, v, 3, stride=2, padding=1) for w, v in zip(widths, widths[1:]))
        self.middle = Block(widths[-1], widths[-1], embedding)
        self.up = nn.ModuleList(Block(2 * w, w, embedding) for w in widths)
        self.grow = nn.ModuleList(nn.Conv2d(v, w, 3, padding=1) for w, v in zip(widths, widths[1:]))
        self.norm = nn.GroupNorm(8, width)
        self.leave = nn.Conv2d(width, channels * patch**2, 3, padding=1)
        for weight in self.leave.parameters():
            nn.init.zeros_(weight)

    def embed(self, t: Tensor, cond: Tensor | None) -> Tensor:
        """Time and label as one vector a sample, (B, 4·width)."""
        embedding = self.time(sinusoidal(t, self.width))
        if self.label is not None:
            embedding = embedding + self.label(cond)
        return silu(embedding)

    def forward(self, x: Tensor, t: Tensor, noise_level: Tensor, cond: Tensor | None = None) -> Tensor:
        height, width = x.shape[-2:]
        x = pad(x, (0, -width % self.cell, 0, -height % self.cell))
        h = self.enter(rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=self.patch, q=self.patch))
        embedding = self.embed(t, cond)
        seen = []
        for level, block in enumerate(self.down):
            h = block(h, embedding)
            seen.append(h)
            if level < len(self.shrink):
                h = self.shrink[level](h)
        h = self.middle(h, embedding)
        for level in reversed(range(len(self.up))):
            h = self.up[level](torch.cat([h, seen[level]], 1), embedding)
            if level:
                h = self.grow[level - 1](interpolate(h, scale_factor=2.0))
        h = self.leave(silu(self.norm(h)))
        h = rearrange(h, "b (c p q) h w -> b c (h p) (w q)", p=self.patch, q=self.patch)
        return h[..., :height, :width]

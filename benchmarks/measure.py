"""Two ways of doing the same, measured in turns; and a row of the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


def cpu(work: Callable[[], object]) -> float:
    """Seconds of processor time that this process spends on `work`; what other processes do is not counted."""
    began = time.process_time()
    work()
    return time.process_time() - began


@dataclass(frozen=True)
class Paired:
    """Seconds of both sides, round by round; `ratio` says how many times as much the peer needs."""

    ours: list[float]
    peer: list[float]

    @property
    def ratios(self) -> list[float]:
        return [peer / ours for ours, peer in zip(self.ours, self.peer)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    def __str__(self) -> str:
        return f"{self.ratio:.3g}× ({min(self.ratios):.3g} to {max(self.ratios):.3g})"


def paired(ours: Callable[[], object], peer: Callable[[], object], rounds: int, warm_up: bool = True) -> Paired:
    """Both sides `rounds` times in turns, each going first every other time, so that a drift hits both alike."""
    if warm_up:
        ours(), peer()
    seconds: dict[Callable, list[float]] = {ours: [], peer: []}
    for k in range(rounds):
        for side in (ours, peer) if k % 2 else (peer, ours):
            seconds[side].append(cpu(side))
    return Paired(seconds[ours], seconds[peer])


@dataclass(frozen=True)
class Row:
    """One line of the table. `reached` is None where no goal was set."""

    what: str
    ours: str
    peer: str
    ratio: str
    goal: str = ""
    reached: bool | None = None

    @property
    def verdict(self) -> str:
        return {True: "reached", False: "**missed**", None: ""}[self.reached]


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | Noisescope | peer | ratio (of rounds) | goal | |", "|---|---|---|---|---|---|"]
    lines += [f"| {row.what} | {row.ours} | {row.peer} | {row.ratio} | {row.goal} | {row.verdict} |" for row in rows]
    return "\n".join(lines)

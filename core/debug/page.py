"""A report as one HTML file: the verdicts, and where the steps land as drawings. It asks for nothing else."""

from __future__ import annotations

import html
import os
from pathlib import Path

from ..files import atomic_write
from .report import Report

WIDTH, HEIGHT, MARGIN = 560, 180, 34

STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em }
svg { max-width: 100%; height: auto } svg text { font: 11px ui-monospace, monospace; fill: currentColor }
pre, td { white-space: pre-wrap }
.axis { stroke: currentColor; opacity: .3 } .paper { stroke: currentColor; fill: none }
.seen { fill: #0f766e } .bad { fill: #c2410c }
"""


def write(report: Report, path: str | os.PathLike) -> Path:
    """Write a report to `path`, .html; returns it. ValueError for another ending."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path} cannot be written; let it end in .html")
    steps = [s for s in report.identified.get("steps", ()) if s["alpha_s"] == s["alpha_s"]]
    plots = ""
    if len(steps) > 1:
        plots = "<h2>Where each step lands</h2><p>Line: the noise level of training. Dots: what the step leads to; " \
                "orange where it misses.</p>"
        plots += plot("part of x0 (alpha)", steps, lambda s: s["A"], lambda s: s["alpha_s"])
        noise = lambda s: (s["E"] ** 2 + s["c"] ** 2) ** 0.5  # noqa: E731
        plots += plot("noise in all (sigma)", steps, noise, lambda s: s["sigma_s"])
    told = "".join(f"<li>{html.escape(line)}</li>" for line in report.identified.get("sentences", ()))
    text = (f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>Diagnosis</title><style>{STYLE}</style><body><h1>Diagnosis</h1>{report._repr_html_()}"
            f"<h2>Identified</h2><ul>{told}</ul>{plots}</body></html>\n")
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def plot(title: str, steps: list[dict], seen, paper) -> str:
    """One drawing over the steps: dots of what was seen on the line of what the schedule has."""
    lines = [paper(s) for s in steps]
    low, high = min(lines), max(lines)
    room = 0.25 * (high - low) or 1.0
    low, high = low - room, high + room

    def x(k: int) -> float:
        return MARGIN + (WIDTH - MARGIN - 8) * k / (len(steps) - 1)

    def y(value: float) -> float:
        value = min(max(value, low), high)
        return HEIGHT - MARGIN - (HEIGHT - MARGIN - 18) * (value - low) / (high - low)

    path = " ".join(f"{x(k):.1f},{y(v):.1f}" for k, v in enumerate(lines))
    every = max(1, len(steps) // 200)
    dots = "".join(f"<circle class={'seen' if s['good'] else 'bad'} cx={x(k):.1f} cy={y(seen(s)):.1f} r=2.2 />"
                   for k, s in enumerate(steps) if k % every == 0 or not s["good"])
    ticks = "".join(f"<text x=2 y={y(v) + 4:.1f}>{v:.3g}</text>" for v in (min(lines), max(lines)))
    first, last = steps[0]["t"], steps[-1]["t"]
    return (f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' width={WIDTH} role=img aria-label='{html.escape(title)}'>"
            f"<text x={MARGIN} y=12>{html.escape(title)}</text>{ticks}"
            f"<line class=axis x1={MARGIN} x2={WIDTH - 8} y1={HEIGHT - MARGIN} y2={HEIGHT - MARGIN} />"
            f"<text x={MARGIN} y={HEIGHT - 14}>t = {first:.4g}</text>"
            f"<text x={WIDTH - 8} y={HEIGHT - 14} text-anchor=end>t = {last:.4g}</text>"
            f"<polyline class=paper points='{path}' />{dots}</svg>")

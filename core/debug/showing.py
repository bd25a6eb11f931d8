"""What is shown of a run: its walk as a film, and beside every line of the two algorithms what was measured there."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from ..scene import Chart, Scene
from ..views.watched import WatchedView
from .line_charts import place_charts
from .places import LOOK_FOR, Place
from .record import Run
from .report import Report
from .seen import OTHER, Seen

#: The two parts of a program, as Ho et al. 2020 call them.
ALGORITHMS = (("Algorithm 1: training", "training"), ("Algorithm 2: sampling", "sampling"))


def show(run: Run, report: Report | None = None, *, other: Run | None = None, other_title: str = "before",
         about: dict | None = None) -> WatchedView:
    """A run's walk as a film, with `findings` beside it. ValueError if no walk was seen that could be shown.

    other: a second run, whose states stand in a panel beside, and whose verdicts beside those of this one.
    """
    report = report or run.diagnose()
    seen = Seen(run)
    beside = seen.beside()
    if other is not None and (states := Seen(other).states) is not None:
        beside[OTHER] = (other_title, f"the states of the other run ({other_title})", states)
    view = WatchedView(seen.watched, beside, seen.charts(), seen.sentence, seen.figures, seen.data_range, about)
    if OTHER in view.offers:
        first, *rest = view.default
        view.default = (first, OTHER, *rest)
        view.offers = {key: view.offers[key] for key in dict.fromkeys((first, OTHER, *view.offers))}
    view.findings, view.finding_charts = findings(run, report, seen)
    if other is not None:
        told = other.diagnose()
        view.findings["other"] = {"title": other_title, "headline": headline(told),
                                  "places": {str(p): told.verdict(p) for p in Place}}
    return view


def headline(report: Report) -> str:
    """The result in one sentence."""
    if report.causes:
        more = len(report.causes) - 1
        return report.causes[0].says + (f" ({more} more cause{'s' * (more > 1)} below)" if more else "")
    return str(report).splitlines()[0]


def film_of(run: Run, report: Report | None = None) -> tuple[Scene, tuple[str, ...]]:
    """All that can be shown of a run: its walk with every panel there is, and what the Doctor says; and the panels to
    begin with, which are the walk beside its oracles. Of a run without a walk what the Doctor says alone."""
    report = report or run.diagnose()
    try:
        view = show(run, report)
    except ValueError:  # no walk was seen
        told, charts = findings(run, report, Seen(run))
        return Scene((), {"t": np.zeros(0)}, findings=told, finding_charts=charts), ()
    oracles = tuple(key for key in view.beside if key in view.offers)
    return view.scene(tuple(view.offers)), (*view.default[:2], *oracles) if oracles else view.default


def findings(run: Run, report: Report, seen: Seen) -> tuple[dict, tuple[Chart, ...]]:
    """All that is said of a run beside its film, as plain JSON, and the charts that it refers to by their number."""
    told, charts = report.to_dict(), place_charts(seen)
    places: dict[str, list[int]] = {}
    for i, (place, _) in enumerate(charts):
        places.setdefault(place, []).append(i)
    return {
        "charts": places,
        "verdict": "unseen" if not report.seen else "wrong" if report.causes else "healthy",
        "headline": headline(report),
        "algorithm": [{"title": title, "lines": told["algorithm"][part]} for title, part in ALGORITHMS],
        "places": told["places"],
        "look_for": {str(place): text for place, text in LOOK_FOR.items()},
        "causes": [asdict(c) for c in report.causes],
        "consequences": [asdict(c) for c in report.consequences],
        "unusual": [asdict(c) for c in report.unusual],
        "unknown": report.unknown + [{"what": what, "how": why} for what, why in seen.missing],
        "identified": report.identified.get("sentences", []),
        "checked": f"{len(report.checked)} of {len(Place)} lines checked",
        "chance": (f"{report.tests} tests of samples; a healthy run is called ill by one of them with probability "
                   f"below {report.false_alarm:.0e}") if report.tests else "",
        "halves": seen.halves(),
    }, tuple(chart for _, chart in charts)

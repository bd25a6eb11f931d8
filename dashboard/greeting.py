"""What a page says to somebody who has never been here: one sentence, and the ways in."""

from __future__ import annotations

from core.lessons.lesson import lessons

#: Each way in is a link, so that it can be opened beside, or a press of what stands on the page: what is pressed, the
#: query of the link or "" for none, its name, and what comes of it.
WAYS = (
    ("watch", "", "Watch", "noise become data"),
    ("go", f"lesson={next(iter(lessons()))}&step=1", "Learn", "by guessing first"),
    ("go", "tab=debug&bug=surprise&seed=1", "Debug", "a model that is sick"),
    ("draw", "", "Draw", "your own shape"),
)
SENTENCE = ("A microscope for <b>diffusion models</b>, which make pictures out of noise: stop one at any step, and see "
            "what it sees.")


def greeting() -> str:
    """The greeting as HTML; `dashboard/page/greeting.js` says when it is seen and what its buttons do."""
    ways = "".join(_way(*way) for way in WAYS)
    return (f'<section class="ns-greeting" aria-label="welcome"><p>{SENTENCE}</p><div class="ns-ways">{ways}</div>'
            '<button type="button" data-ns="greeted" class="ns-greeted" aria-label="close the welcome">×</button>'
            "</section>")


def _way(does: str, query: str, name: str, what: str) -> str:
    inside = f"<b>{name}</b> <span>{what}</span>"
    if query:
        return f'<a class="ns-way" data-ns="{does}" href="?{query.replace("&", "&amp;")}">{inside}</a>'
    return f'<button type="button" class="ns-way" data-ns="{does}">{inside}</button>'

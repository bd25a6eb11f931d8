"""The glossary explains whatever symbol stands on the page."""

from __future__ import annotations

import re
import unicodedata

import pytest

from core.glossary import glossary
from core.recipe.recipe import Recipe
from core.runs.walks import denoise, forward_film
from core.samplers import SAMPLERS
from core.views.training import LOSSES

#: Words that an equation may hold between its symbols.
WORDS = r"\b(mean|the running means of|and|its square|rate|log)\b"


def left(text: str, equation: bool) -> str:
    """What of a text is neither explained nor a word, a number or a sign of arithmetic."""
    text = re.sub(WORDS, " ", text) if equation else text
    spellings = [s for term in glossary().values() for s in (*term.spelled, *(term.inner if equation else ()))]
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, " ")
    if not equation:
        text = re.sub(r"(?<![^\W\d_])[a-z]{2,}", " ", text)
    return "".join(c for c in text if c.isalpha() or unicodedata.combining(c))


def test_every_entry_is_one_sentence_and_no_two_terms_are_written_alike():
    terms = glossary().values()
    for term in terms:
        assert term.sentence.endswith(".") and term.sentence.count(". ") == 0 and len(term.sentence) < 170, term.name
        assert term.name and term.symbol and (term.spelled or term.inner)
    assert len({term.name for term in terms}) == len(terms)
    spelled = [s for term in terms for s in term.spelled]
    assert len(set(spelled)) == len(spelled)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_symbol_in_the_equation_of_a_sampler_is_explained(name):
    assert left(SAMPLERS[name].equation.formula, equation=True) == ""


@pytest.mark.parametrize("target", LOSSES)
def test_every_symbol_in_a_loss_is_explained(target):
    assert left(LOSSES[target], equation=True) == ""


@pytest.mark.parametrize("data", ["trex", "digits8"])
def test_a_panel_says_what_is_seen_in_words_before_any_symbol_and_each_symbol_is_explained(data):
    recipe = Recipe(data=data, steps=2, samples=2)
    *_, walk = denoise(recipe, None)
    for view in (walk, forward_film(recipe, None)):
        for offer in view.offers.values():
            assert re.match(r"[a-z]{3}", offer.title), offer.title
            assert left(offer.title, equation=False) == "", offer.title
        assert left(view.shell(0, view.frames).formula, equation=True) == ""

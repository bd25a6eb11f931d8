"""The models of the recipe: what their cards call them, what people read, and how those for few steps are walked."""

from __future__ import annotations

from typing import Any

#: The recipe's name of a shipped model → the role on its card.
SHIPPED = {"pretrained": "diffusion", "flow": "flow", "reflow": "reflow", "consistency": "consistency"}
#: Models that are solved from the data here and now, so from just the rows that the recipe says.
SOLVED = ("linear", "wiener", "exact")
#: One network trained on more and more rows: a film of its own, whose playhead runs over their number.
MEMORY = "memorization"
#: All of them; "mine" is what the visitor trained.
MODELS = (*SHIPPED, *SOLVED, "mine", MEMORY)
WORDS = {"pretrained": "pretrained", "flow": "rectified flow", "reflow": "reflow", "consistency": "one step",
         "linear": "linear", "wiener": "Wiener filter", "exact": "exact", "mine": "my training",
         MEMORY: "from few rows"}
#: How a model is walked that was made for few steps.
MODEL_SETS: dict[str, dict[str, Any]] = {
    "flow": {"schedule": "flow", "sampler": "ddim", "steps": 20},
    "reflow": {"schedule": "flow", "sampler": "ddim", "steps": 2},
    "consistency": {"schedule": "cosine", "sampler": "multistep_consistency", "steps": 1},
}
USUAL = {"schedule": "cosine", "sampler": "ddim", "steps": 100}


def walked_as(model: str, schedule: str, sampler: str, steps: int) -> dict[str, Any]:
    """Schedule, sampler and steps once this model has been picked, where they were these.

    A model for few steps brings its own; leaving it takes them back, unless they were changed meanwhile.
    """
    now = {"schedule": schedule, "sampler": sampler, "steps": steps}
    return MODEL_SETS.get(model) or (USUAL if now in MODEL_SETS.values() else now)

"""What a stage offers to become, for its menu: the formats of a film, and the record of a walk."""

from __future__ import annotations

from core.drawing.export import FORMATS

OFFERED = [{"name": name, "label": format.label, "settings": format.settings, "expects": format.expects}
           for name, format in FORMATS.items()]
OFFERED += [{"name": "trace", "label": "trace", "settings": (), "expects": "everything, to open again"}]

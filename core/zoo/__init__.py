"""The models that are shipped: what kinds there are, how each is measured and shown, and whether its card is true.

    python -m core zoo            checks every card against its file
    python -m core zoo --full     samples again, too: the figures and the sheet must come out as they are on the card
    python -m core zoo --renew    measures and draws anew, and writes the gallery in pretrained/README.md

A kind of model is a `Role`, one entry of `ROLES`: everything here goes through it.
"""

from .checks import Entry, check, strangers
from .gallery import write_gallery
from .roles import ROLES, Role, figures, role_for
from .sheets import draw_sheet, read_sheet, save_sheet

__all__ = ["ROLES", "Entry", "Role", "check", "draw_sheet", "figures", "read_sheet", "role_for", "save_sheet",
           "strangers", "write_gallery"]

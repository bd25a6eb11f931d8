"""A film in a notebook: the stage in a frame of its own, and for who may not run it, a picture that moves."""

from __future__ import annotations

import base64
import html


def framed(page: str, picture: bytes | None, words: str) -> str:
    """HTML for a cell's output. Where scripts may run, the frame takes the picture's place; where they may not, as in a
    notebook that is not trusted, what is left of it is the picture.

    page      an HTML file, see `core.drawing.stage.page`
    picture   a GIF; None if there is none
    words     what is seen, for those who cannot see it
    """
    alternative = html.escape(words)
    still = base64.b64encode(picture).decode() if picture else ""
    image = f'<img alt="{alternative}" src="data:image/gif;base64,{still}">' if picture else f"<p>{alternative}</p>"
    return (f'<div>{image}<iframe data-fits title="{alternative}" onload="this.previousElementSibling.remove()" '
            f'style="width: 100%; height: 560px; border: 0" srcdoc="{html.escape(page)}"></iframe></div>')

"""ES modules → one classic script, which can stand in a page: no requests, no build step, in order before all else.

    link(Path("main.js"), "Noisescope")     # var Noisescope = {what main.js exports}

Each module becomes a function that is called once, after those it imports, and returns its exports. That is what a
module is, as long as nothing that is exported changes its value later and no two modules import each other; both are
refused here, and so is any other form of import and export than these, each beginning a line:

    import './a.js';                                     import { b, c as d } from './a.js';
    import e from './e.json' with { type: 'json' };      export { f, g };
    export const h = …, export function, export async function, export class

Comments that have lines of their own stay behind.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

_IMPORT = re.compile(
    r"^import\s+(?:\{([^}]*)\}\s*from\s*|(\w+)\s+from\s*)?'([^']+)'(?:\s+with\s*\{[^}]*\})?;[ ]*$", re.M)
_AS = re.compile(r"([\w$]+)\s+as\s+([\w$]+)")
_LIST = re.compile(r"^export\s*\{([^}]*)\};[ ]*$", re.M)
_DECLARED = re.compile(r"^export\s+((?:async\s+function\*?|function\*?|class|const)\s+([\w$]+))", re.M)
_COMMENT = re.compile(r"^[ ]*(?://.*|/\*\*(?:(?!\*/)[\s\S])*\*/[ ]*)\n", re.M)
_LEFT = re.compile(r"^(?:import|export)\b.*$|\bimport\s*\(|\bimport\.meta\b", re.M)


def link(entry: Path, name: str) -> str:
    """The script that `entry` and all that it imports make, as `var name`. ValueError for what cannot be linked."""
    modules: dict[Path, str] = {}
    _add(entry.resolve(), modules, ())
    *parts, last = modules.items()
    script = "".join(f"const {_label(modules, path)} = {code};\n" for path, code in parts)
    script = f"var {name} = (() => {{\n'use strict';\n{script}return {last[1]};\n}})();\n"
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _label(modules: dict[Path, str], path: Path) -> str:
    return f"module{list(modules).index(path)}"


def _add(path: Path, modules: dict[Path, str], above: tuple[Path, ...]) -> None:
    """Put a module behind those that it imports."""
    if path in above:
        circle = " → ".join(p.name for p in (*above[above.index(path):], path))
        raise ValueError(f"modules that import each other cannot be linked: {circle}")
    if path in modules:
        return
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        modules[path] = json.dumps(json.loads(text), separators=(",", ":"))
        return
    text = _COMMENT.sub("", text)
    for _, _, where in _IMPORT.findall(text):
        _add((path.parent / where).resolve(), modules, (*above, path))

    def imported(found: re.Match) -> str:
        names, whole, where = found.groups()
        label = _label(modules, (path.parent / where).resolve())
        if whole:
            return f"const {whole} = {label};"
        renamed = _AS.sub(r"\1: \2", names or "")
        return f"const {{{renamed}}} = {label};" if names else ""

    exports = [name for _, name in _DECLARED.findall(text)]
    for names in _LIST.findall(text):
        exports += [_AS.sub(r"\2: \1", name.strip()) for name in names.split(",")]
    text = _DECLARED.sub(r"\1", _LIST.sub("", _IMPORT.sub(imported, text)))
    if left := _LEFT.search(text):
        raise ValueError(f"{path.name} has a form of import or export that is not linked: {left[0].strip()}")
    modules[path] = f"(() => {{\n{text.strip()}\nreturn {{ {', '.join(filter(None, exports))} }};\n}})()"

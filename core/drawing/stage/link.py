"""ES modules → one classic script, which can stand in a page: no requests, no build step, in order before all else.

    link(Path("main.js"), "Noisescope")     # var Noisescope = {what main.js exports}

Each module becomes a function that is called once, after those it imports, and returns its exports. That is what a
module is, as long as nothing that is exported changes its value later and no two modules import each other; both are
refused here, and so is any other form of import and export than these, each beginning a line, but `import(url)` of
what is none of ours, whose address is known to the browser alone:

    import './a.js';                                     import { b, c as d } from './a.js';
    import e from './e.json' with { type: 'json' };      export { f, g };
    export const h = …, export function, export async function, export class

Comments that have lines of their own stay behind.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

_IMPORT = re.compile(
    r"^import\s+(?:\{([^}]*)\}\s*from\s*|(\w+)\s+from\s*)?'([^']+)'(?:\s+with\s*\{[^}]*\})?;[ ]*$", re.M)
_LIST = re.compile(r"^export\s*\{([^}]*)\};[ ]*$", re.M)
_DECLARED = re.compile(r"^export\s+((?:async\s+function\*?|function\*?|class|const)\s+([\w$]+))", re.M)
_COMMENT = re.compile(r"^[ ]*(?://.*|/\*\*(?:(?!\*/)[\s\S])*\*/[ ]*)\n", re.M)
_LEFT = re.compile(r"^(?:import|export)\b.*$|\bimport\s*\(\s*[^\s\w]|\bimport\.meta\b", re.M)


@dataclass(frozen=True)
class _Module:
    label: str
    code: str
    exports: frozenset[str]


def link(entry: Path, name: str) -> str:
    """The script that `entry` and all that it imports make, as `var name`. ValueError for what cannot be linked."""
    modules: dict[Path, _Module] = {}
    last = _add(entry.resolve(), modules, ())
    script = "".join(f"const {module.label} = {module.code};\n" for module in modules.values() if module is not last)
    script = f"var {name} = (() => {{\n'use strict';\n{script}return {last.code};\n}})();\n"
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _add(path: Path, modules: dict[Path, _Module], above: tuple[Path, ...]) -> _Module:
    """The module of a file, put behind those that it imports."""
    if path in above:
        circle = " → ".join(p.name for p in (*above[above.index(path):], path))
        raise ValueError(f"modules that import each other cannot be linked: {circle}")
    if path not in modules:
        text = path.read_text("utf-8")
        code, exports = _data(text) if path.suffix == ".json" else _function(path, text, modules, (*above, path))
        modules[path] = _Module(f"module{len(modules)}", code, frozenset(exports))
    return modules[path]


def _data(text: str) -> tuple[str, list[str]]:
    return json.dumps(json.loads(text), separators=(",", ":")), []


def _function(path: Path, text: str, modules: dict[Path, _Module],
              above: tuple[Path, ...]) -> tuple[str, list[str]]:  # fmt: skip
    """(a module as a function that is called, what it exports)."""

    def imported(found: re.Match) -> str:
        names, whole, where = found.groups()
        module = _add((path.parent / where).resolve(), modules, above)
        if whole:
            return f"const {whole} = {module.label};"
        pairs = _pairs(names)
        if lacks := {theirs for theirs, _ in pairs} - module.exports:
            raise ValueError(f"{path.name} imports {', '.join(sorted(lacks))}, which {where} does not export")
        return f"const {{ {', '.join(f'{theirs}: {ours}' for theirs, ours in pairs)} }} = {module.label};"

    text = _IMPORT.sub(imported, _COMMENT.sub("", text))
    exports = {name: name for _, name in _DECLARED.findall(text)}
    exports |= {theirs: ours for names in _LIST.findall(text) for ours, theirs in _pairs(names)}
    text = _DECLARED.sub(r"\1", _LIST.sub("", text))
    if left := _LEFT.search(text):
        raise ValueError(f"{path.name} has a form of import or export that is not linked: {left[0].strip()}")
    returned = ", ".join(f"{theirs}: {ours}" for theirs, ours in exports.items())
    return f"(() => {{\n{text.strip()}\nreturn {{ {returned} }};\n}})()", [*exports]


def _pairs(names: str | None) -> list[tuple[str, str]]:
    """From "a, b as c": [("a", "a"), ("b", "c")]"""
    words = [name.split() for name in (names or "").split(",") if name.strip()]
    return [(word[0], word[-1]) for word in words]

"""The page's scripts: linked they do what they do as modules; their own tests and linters pass where the tools are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from core.drawing.stage import link
from dashboard.head import head, scripts

ROOT = Path(__file__).parents[1]
#: What can run modules that import JSON.
NODE, OLDEST = shutil.which("node"), (20, 10)
TOOLS = ROOT / "node_modules" / ".bin"
#: What `make lint` runs. It remembers what it has looked at, so only what has changed takes long.
LINT = json.loads((ROOT / "package.json").read_text("utf-8"))["scripts"]["lint"].split(" && ")


def without(what: str) -> None:
    if os.environ.get("NOISESCOPE_NODE") == "required":
        pytest.fail(f"the tests of the scripts need {what}")
    pytest.skip(f"tests of the scripts: there is no {what}")


def ran(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def modules(folder: Path, **texts: str) -> Path:
    """Files NAME.js in a folder; gives the one called main."""
    for name, text in texts.items():
        (folder / f"{name}.js").write_text(text, "utf-8")
    return folder / "main.js"


def answer(script: str) -> str:
    return subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(NODE is None, reason="node runs what was linked")
def test_linked_modules_do_what_they_do_as_modules(tmp_path):
    (tmp_path / "numbers.json").write_text('{"seven": 7}')
    main = modules(
        tmp_path,
        a="export const order = ['a'];\nexport function twice(x) {\n  return 2 * x;\n}\n"
          "function own() { return 'a'; }\nown();\n",
        b="// a comment: import x from 'y'\nimport { order, twice as double } from './a.js';\norder.push('b');\n"
          "function own() { return 'b'; }\nexport class Four { value = double(2); name = own(); }\n",
        main="import './b.js';\nimport numbers from './numbers.json' with { type: 'json' };\n"
             "import { order, twice } from './a.js';\nimport { Four } from './b.js';\norder.push('main');\n"
             "const told = [order.join(), new Four().value, new Four().name, twice(numbers.seven)].join(' ');\n"
             "export const far = url => import(url);\nexport { told, order as kept };\n")
    show = ("N.far('data:text/javascript,export const seven = 7')"
            ".then(({ seven }) => console.log(N.told, N.kept.length, seven))")
    assert answer(link(main, "N") + show) == "a,b,main 4 b 14 3 7"
    (tmp_path / "package.json").write_text('{"type": "module"}')
    assert answer(f"import('{main.as_uri()}').then(N => {show})") == "a,b,main 4 b 14 3 7"


@pytest.mark.parametrize(("text", "says"), [
    ("import { main } from './main.js';\nexport const a = 1;", "import each other.*main.js → a.js → main.js"),
    ("export let count = 0;", "not linked: export let"), ("export default 1;", "not linked: export default"),
    ("export * from './main.js';", "not linked: export"),
    ("import { second } from './two.js';", "a.js imports second, which ./two.js does not export"),
    ("const late = () => import('./b.js');", r"not linked: import\("),
])  # fmt: skip
def test_what_cannot_be_linked_is_refused_in_words(tmp_path, text, says):
    two = "export const first = 1, second = 2;"
    main = modules(tmp_path, main="import './a.js';\nexport const main = 1;\n", a=text, two=two)
    with pytest.raises(ValueError, match=says):
        link(main, "N")


def test_a_script_cannot_end_the_element_that_it_stands_in(tmp_path):
    linked = link(modules(tmp_path, main="export const words = '</script><!--';\n"), "N")
    assert "</script" not in linked and "<!--" not in linked
    evil = head({"a": "</script><script>alert(1)</script>"})
    assert evil.count("<script") == evil.count("</script>") == 1


def test_every_script_of_the_page_is_reached_from_its_beginning_and_stands_in_it_once():
    linked, found = scripts(), [*ROOT.glob("core/drawing/stage/*.js"), *ROOT.glob("dashboard/**/*.js")]
    alone = {"player.js", "slides.js"}  # begin pages of their own
    for path in found:
        named = re.findall(r"^(?:export )?(?:async )?(?:function|class) \w+", path.read_text("utf-8"), re.M)
        if path.name not in alone and named:
            assert linked.count(named[0].removeprefix("export ")) >= 1, path


def test_the_scripts_pass_their_own_tests():
    if NODE is None or tuple(map(int, answer("console.log(process.versions.node)").split(".")))[:2] < OLDEST:
        without("node {}.{} or newer".format(*OLDEST))
    files = sorted((ROOT / "tests" / "scripts").glob("*.test.mjs"))
    # In one process, which ends with 1 if one of them fails; `--test` would begin one for each.
    ran(NODE, "--input-type=module", "--eval", "".join(f"import {json.dumps(file.as_uri())};" for file in files))


@pytest.mark.parametrize("words", LINT, ids=["linter", "types"])
def test_the_scripts_pass(words):
    if not TOOLS.is_dir():
        without("node_modules (make lint)")
    tool, *options = words.split()
    ran(TOOLS / tool, *options)

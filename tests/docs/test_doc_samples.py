"""Every Python sample in the documentation runs.

The samples of one page share their names and run from top to bottom, as a reader would type them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if not {"_build", "_generated"} & set(path.parts)),
]

#: What a fence may hold. A Python sample under another name would not be run.
LANGUAGES = {"apache", "javascript", "json", "jsx", "nginx", "python", "sh", "text", "yaml"}
DIRECTIVES = {"{index}", "{toctree}", "{eval-rst}", "{literalinclude}", "{image}", "{include}", "{note}", "{warning}"}


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.filterwarnings("ignore:jsonschema:DeprecationWarning")  # of connexion
@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_samples_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sample")
    module.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "sample", module)
    # A reader has the example's file in the folder of the project.
    monkeypatch.syspath_prepend(str(DOCS / "examples"))
    document = Sybil(parsers=[PythonCodeBlockParser()], path=str(DOCS)).parse(page)
    document.namespace["__name__"] = "sample"
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_fences_are_of_known_languages(page: Path) -> None:
    fences = re.findall(r"^[`:]{3,}(\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(fences) <= LANGUAGES | DIRECTIVES

"""The directive ``test-inventory``: every test module, its first sentence and its number of test functions.

It reads the source of the tests when the book is built, so the page cannot fall behind them.
"""

from __future__ import annotations

import ast
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def describe(path: Path) -> tuple[str, int]:
    """Return the first sentence of a test module and its number of test functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sentence = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    count = sum(
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
        for node in ast.walk(tree)
    )
    return sentence, count


def _row(*cells: nodes.Node) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def table(folder: Path, modules: list[Path]) -> nodes.table:
    """Return one table: module, what it shows, number of test functions."""
    group = nodes.tgroup(cols=3)
    group.extend(nodes.colspec(colwidth=width) for width in (38, 52, 10))
    group += nodes.thead("", _row(*map(nodes.Text, ("module", "what it shows", "test functions"))))
    body = nodes.tbody()
    for path in modules:
        name = path.relative_to(folder).as_posix()
        sentence, count = describe(path)
        body += _row(nodes.literal(name, name), nodes.Text(sentence), nodes.Text(str(count)))
    group += body
    return nodes.table("", group)


class TestInventory(SphinxDirective):
    """One table for each folder below ``tests`` that holds tests."""

    def run(self) -> list[nodes.Node]:
        tests = Path(self.env.srcdir) / "tests"
        result: list[nodes.Node] = []
        for folder in sorted(path for path in tests.iterdir() if path.is_dir()):
            modules = sorted(folder.rglob("test_*.py"))
            if modules:
                result += [nodes.rubric("", f"tests/{folder.name}"), table(folder, modules)]
            for path in modules:
                self.env.note_dependency(str(path))
        if not result:
            raise self.error(f"no tests below {tests.name}/")
        return result


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("test-inventory", TestInventory)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

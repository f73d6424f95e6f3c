"""Drop the live-code script that the book theme declares on every page: it is not used and names a server."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def _names_a_server(script: Any) -> bool:
    text = f"{getattr(script, 'filename', '')} {getattr(script, 'attributes', {})}"
    return "thebe" in text or "://" in text


def _drop(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    context["script_files"] = [item for item in context.get("script_files", []) if not _names_a_server(item)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _drop, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

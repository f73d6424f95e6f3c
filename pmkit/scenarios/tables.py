"""Parameter tables: TOML files that ship with this room, or files of the caller in the same layout."""

from __future__ import annotations

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pmkit.core.errors import DataGapError, ParameterError

__all__ = ["check_keys", "read_table"]


def read_table(
    source: str | os.PathLike[str], what: str, folder: str = ""
) -> tuple[dict[str, Any], bytes, str]:
    """Return the parsed TOML of a shipped table or a file, its bytes, and its name for messages.

    Parameters
    ----------
    source : str or path
        Id of a shipped table, or a path that ends in ``.toml``.
    what : str
        What the table holds, for messages.
    folder : str
        Below ``params``; its top where empty.

    Raises
    ------
    DataGapError
        No shipped table of that name, or no such file.
    ParameterError
        The file is not TOML.
    """
    text = os.fspath(source)
    if text.endswith(".toml"):
        path = Path(text)
        if not path.is_file():
            raise DataGapError(f"no file {path.name}", f"a TOML file of a {what}", "correct the path")
        content, where = path.read_bytes(), path.name
    else:
        shipped = resources.files("pmkit.scenarios").joinpath("params", *([folder] if folder else []))
        known = sorted(f.name.removesuffix(".toml") for f in shipped.iterdir() if f.name.endswith(".toml"))
        if text not in known:
            raise DataGapError(
                f"no {what} {text!r}",
                f"one of {', '.join(known)}",
                "correct the id, or give a .toml file",
            )
        content, where = shipped.joinpath(f"{text}.toml").read_bytes(), f"{text}.toml"
    try:
        return tomllib.loads(content.decode("utf-8")), content, where
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ParameterError(f"{problem}", "a TOML file", "correct the syntax", file=where) from None


def check_keys(found: Any, wanted: tuple[str, ...], where: str, part: str = "the file") -> None:
    """Raise ParameterError where a table lacks a key or has one that nobody reads."""
    if not isinstance(found, dict):
        raise ParameterError(f"{part} is {found!r}", "a table", "restore the section", file=where)
    absent, unknown = [k for k in wanted if k not in found], [k for k in found if k not in wanted]
    if absent or unknown:
        raise ParameterError(
            f"{part} lacks {', '.join(absent) or 'nothing'} and has unknown "
            f"{', '.join(unknown) or 'nothing'}",
            f"the keys {', '.join(wanted)}",
            "complete the file",
            file=where,
        )

"""Files that ship with the package, and writes that either happen whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pmkit.core.errors import DataGapError

__all__ = ["data_dir", "write_atomic"]

_PACKAGE = Path(__file__).resolve().parent.parent


def data_dir() -> Path:
    """Return the folder of the shipped data: inside the installed package, else beside it in a checkout.

    Raises
    ------
    DataGapError
        Neither place holds a manifest.

    Examples
    --------
    >>> (data_dir() / "manifest.json").exists()
    True
    """
    for folder in (_PACKAGE / "_data", _PACKAGE.parent / "data"):
        if (folder / "manifest.json").is_file():
            return folder
    raise DataGapError(
        "the shipped data folder with its manifest.json is absent",
        "data/ beside the package or pmkit/_data inside it",
        "reinstall pmkit, or restore the data folder of the checkout",
    )


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write ``content`` to ``path`` through a temporary file in the same folder, then rename.

    A reader never sees half a file, and a failure leaves what was there before. Folders are made as needed.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomic(pathlib.Path(folder) / "a.txt", "hello").read_text()
    'hello'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return target

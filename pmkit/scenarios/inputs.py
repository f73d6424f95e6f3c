"""Arguments of the wrong kind: refused by name before anything is computed from them."""

from __future__ import annotations

from typing import Any

from pmkit.core.errors import ConventionError

__all__ = ["check_kind"]


def check_kind(what: str, value: Any, kind: type, remedy: str) -> None:
    """Raise ConventionError where ``value`` is not of the class that an argument calls for.

    Parameters
    ----------
    what : str
        Name of the argument, for the message.
    value : object
    kind : type
    remedy : str
        Where such an object comes from.

    Examples
    --------
    >>> check_kind("horizon", 2, int, "write a number of days")
    """
    if not isinstance(value, kind):
        raise ConventionError(
            f"{what} is {_with_article(type(value).__name__)}", _with_article(kind.__name__), remedy
        )


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'AEIOUaeiou' else 'a'} {word}"

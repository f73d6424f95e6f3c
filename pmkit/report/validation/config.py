"""What is validated: a model, its challenger, the books, the dates and the thresholds, from a TOML file."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from pmkit.backtest import ConstantBook, forecast_models
from pmkit.backtest.walk.varied import varied_parameters
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.provenance import fingerprint

__all__ = ["ValidationConfig", "load_validation_config"]

Product = Literal["otc", "listed", "client"]
"""Over the counter; listed; listed, client accounts held gross and margined within the day."""
Apc = Literal["none", "buffer", "stress-weight"]
"""Tool against procyclicality that the margin under test uses, with the quarter of EMIR article 28."""


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """What :func:`validate` runs and against what it judges.

    Attributes
    ----------
    title, purpose, scope : str
        Words for the head of the report.
    history : str
        Data set or CSV file of daily closes.
    books : tuple of ConstantBook
        Portfolios under test, each with a name of its own.
    model, challenger : str
        Model under test, and the one that it is compared with: names of
        :func:`pmkit.backtest.forecast_models`.
    start, end : str or None
        First and last date of the forecasts; as far as the data reach where None.
    horizon, window, refit_every, n_paths, seed : int
        As in :func:`pmkit.backtest.walk_forward`.
    level, es_level, alpha : float
        Level of the margin, of ES, and of the decisions.
    product : {"otc", "listed", "client"}
        Selects confidence and liquidation period of the regulation.
    apc : {"none", "buffer", "stress-weight"}
        Tool against procyclicality that is part of the model.
    rise_5d, peak_to_trough : float
        Thresholds of this validation: largest relative rise in five days, and ratio of extremes.
    sensitivity : mapping of str to sequence of float
        Values of each parameter to vary: of the walk, of the model, and ``stress_weight``, ``floor`` and
        ``buffer`` of tools against procyclicality.
    assumptions, limits : tuple of str
        Statements of the model's owner, added to those that the run finds.

    Raises
    ------
    ParameterError, ConventionError
        A value outside its domain; books without or with equal names.
    """

    title: str
    purpose: str
    scope: str
    history: str
    books: tuple[ConstantBook, ...]
    model: str = "fhs"
    challenger: str = "hs"
    start: str | None = None
    end: str | None = None
    horizon: int = 1
    window: int = 365
    refit_every: int = 20
    level: float = 0.99
    es_level: float = 0.975
    n_paths: int = 2000
    seed: int = 20260801
    alpha: float = 0.05
    product: Product = "listed"
    apc: Apc = "none"
    rise_5d: float = 0.5
    peak_to_trough: float = 5.0
    sensitivity: Mapping[str, Sequence[float]] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("title", "purpose", "scope", "history"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ParameterError(f"{name} is {value!r}", "words", f"fill in {name}")
        names = [book.name for book in self.books]
        if not names or len(set(names)) < len(names):
            raise ParameterError(
                f"books {names}", "one or more, each with a name of its own", "correct the list"
            )
        models = tuple(forecast_models())
        for name, value, choices in (
            ("model", self.model, models),
            ("challenger", self.challenger, models),
            ("product", self.product, get_args(Product)),
            ("apc", self.apc, get_args(Apc)),
        ):
            if value not in choices:
                raise ParameterError(f"{name} is {value!r}", f"one of {', '.join(choices)}", "name one")
        if self.model == self.challenger:
            raise ConventionError(
                f"model and challenger are both {self.model!r}", "two models", "name another challenger"
            )
        for name in ("rise_5d", "peak_to_trough"):
            value = getattr(self, name)
            if isinstance(value, (bool, str)) or not 0.0 < value < math.inf:
                raise ParameterError(f"threshold {name} is {value!r}", "a positive number", "correct it")
        if isinstance(self.alpha, (bool, str)) or not 0.0 < self.alpha < 0.5:
            raise ParameterError(
                f"alpha is {self.alpha!r}", "a level in (0, 0.5), such as 0.05", "correct it"
            )
        known = varied_parameters(self.model)
        for name in self.sensitivity:
            if name not in known:
                raise ParameterError(
                    f"sensitivity to {name!r} under {self.model}",
                    f"one of {', '.join(known)}",
                    "name one of them",
                )

    @property
    def p(self) -> float:
        """Tail probability of the margin, 1 - level as a decimal."""
        return round(1.0 - self.level, 12)

    @property
    def walk_settings(self) -> dict[str, Any]:
        """Arguments of :func:`pmkit.backtest.walk_forward` that the model and its challenger share."""
        names = ("horizon", "window", "refit_every", "level", "es_level", "n_paths", "seed")
        return {name: getattr(self, name) for name in names}

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every field."""
        return fingerprint({**asdict(self), "books": [book.fingerprint for book in self.books]})


def load_validation_config(path: str | os.PathLike[str] | None = None) -> ValidationConfig:
    """Return the configuration of a TOML file, or the one that ships with the package.

    Parameters
    ----------
    path : path, optional
        File with the fields of :class:`ValidationConfig`. ``books`` holds names of presets; tables
        ``[[book]]`` hold ``name``, ``legs`` and optionally ``delta_hedged`` and ``numeraire``; tables
        ``[thresholds]`` and ``[sensitivity]`` hold numbers. What is absent takes the value of the shipped
        file, but ``books``, ``title``, ``purpose`` and ``scope`` must be given.

    Returns
    -------
    ValidationConfig

    Raises
    ------
    SchemaError
        Not TOML, an unknown field, or a missing one; the message names file and field.
    ParameterError
        A value outside its domain, or a file that cannot be read.

    Examples
    --------
    >>> config = load_validation_config()
    >>> config.model, config.challenger, len(config.books)
    ('fhs', 'hs', 4)
    """
    shipped = files("pmkit.report.validation").joinpath("default.toml").read_text(encoding="utf-8")
    default = _read(shipped, "default.toml")
    if path is None:
        return _config(default, "default.toml")
    name = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ParameterError(
            f"the configuration {name} cannot be read ({reason})", "a TOML file", "name another file"
        ) from None
    record = _read(text, name)
    absent = [key for key in ("title", "purpose", "scope") if key not in record]
    if absent or not ("books" in record or "book" in record):
        raise SchemaError(
            f"{name} has no {absent[0] if absent else 'books'}",
            "title, purpose, scope, and books or [[book]]",
            "add it: a report without it says nothing to a reviewer",
        )
    kept = {key: value for key, value in default.items() if key not in ("books", "start")}
    return _config({**kept, **record}, name)


def _read(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{name} is not TOML: {error}", "a TOML file", "correct that line") from None


def _config(record: dict[str, Any], name: str) -> ValidationConfig:
    """Return the checked configuration of a parsed file."""
    record = dict(record)
    presets, own = record.pop("books", []), record.pop("book", [])
    if not isinstance(presets, list) or not isinstance(own, list):
        raise SchemaError(f"books of {name} are no list", "a list of names, tables [[book]]", "correct it")
    made = [ConstantBook.preset(str(one)) for one in presets] + [_book(one, name) for one in own]
    thresholds = record.pop("thresholds", {})
    known = {item.name for item in fields(ValidationConfig)} - {"books", "rise_5d", "peak_to_trough"}
    for key in record:
        if key not in known:
            raise SchemaError(f"{name} has an unknown field {key!r}", ", ".join(sorted(known)), "take it out")
    for key in thresholds:
        if key not in ("rise_5d", "peak_to_trough"):
            raise SchemaError(
                f"[thresholds] of {name} has {key!r}", "rise_5d and peak_to_trough", "take it out"
            )
    for key in ("assumptions", "limits"):
        if key in record:
            record[key] = tuple(map(str, record[key]))
    for key in ("start", "end"):
        if record.get(key) is not None:
            record[key] = str(record[key])
    return ValidationConfig(**record, **thresholds, books=tuple(made))


def _book(record: Any, name: str) -> ConstantBook:
    """Return the book of one table ``[[book]]``."""
    allowed = {"name", "legs", "delta_hedged", "numeraire"}
    if not isinstance(record, dict) or not {"name", "legs"} <= set(record) <= allowed:
        found = ", ".join(record) if isinstance(record, dict) else repr(record)
        raise SchemaError(
            f"a [[book]] of {name} has {found}",
            "name and legs, and optionally delta_hedged and numeraire",
            "correct it",
        )
    return ConstantBook.from_legs(**record)

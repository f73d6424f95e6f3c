"""The validation report: sections with traffic lights, one page that opens offline, the tables as CSV."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

import pmkit
from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.io import write_atomic
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result, jsonable
from pmkit.market import PriceHistory, load_history
from pmkit.report.validation import findings, foundations
from pmkit.report.validation.config import ValidationConfig
from pmkit.report.validation.parts import LIGHTS, Light, ReportTable, Section, worst
from pmkit.report.validation.runs import run_validation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ValidationReport", "validate"]

_WORDS = {"red": "Objections", "yellow": "Questions"}
_COLORS = {"green": "#1a7f4b", "yellow": "#c98a00", "red": "#c0392b", "grey": "#8a8a8a"}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ValidationReport(Result):
    """Sections of a validation in the order in which a reviewer reads them, each with a traffic light.

    Attributes
    ----------
    title : str
    sections : tuple of Section
        Without the conclusion, which follows from them.
    provenance : Provenance
    """

    title: str
    sections: tuple[Section, ...]
    provenance: Provenance
    references: tuple[str, ...] = (
        "kupiec1995", "christoffersen1998", "benjamini2001", "fissler2016", "murphy2014", "emir2013",
        "cpmi2012",
    )  # fmt: skip

    @property
    def light(self) -> Light:
        """The most severe light of all sections."""
        return worst(section.light for section in self.sections)

    @property
    def conclusion(self) -> str:
        """Which sections object, and in which questions remain."""
        named = {
            light: ", ".join(s.title.lower() for s in self.sections if s.light == light)
            for light in ("red", "yellow")
        }
        words = [f"{what}: {named[light]}." for light, what in _WORDS.items() if named[light]]
        return " ".join(words) or "No objection in any section that was judged."

    def section(self, key: str) -> Section:
        """Return a section by its key.

        Raises
        ------
        ParameterError
            Unknown key; the message lists the keys.
        """
        for section in self.sections:
            if section.key == key:
                return section
        raise ParameterError(
            f"no section {key!r}", f"one of {', '.join(s.key for s in self.sections)}", "name one of them"
        )

    @property
    def tables(self) -> dict[str, ReportTable]:
        """Every table by the name of its CSV file, the conclusion first."""
        own = ReportTable(name="conclusion", title="Conclusion", frame=self.summary())
        return {table.name: table for table in (own, *(t for s in self.sections for t in s.tables))}

    def summary(self) -> pd.DataFrame:
        """Return one row a section: light, and verdict in one sentence."""
        rows = [(section.title, section.light, section.verdict) for section in self.sections]
        return pd.DataFrame(rows, columns=["section", "light", "verdict"]).set_index("section")

    def to_dict(self) -> dict[str, Any]:
        """Return title, conclusion, sections with their tables, and provenance, JSON-ready."""
        plain: dict[str, Any] = jsonable(
            {
                "title": self.title,
                "light": self.light,
                "conclusion": self.conclusion,
                "sections": [
                    {
                        "key": section.key,
                        "title": section.title,
                        "light": section.light,
                        "verdict": section.verdict,
                        "tables": {t.name: t.flat.to_dict(orient="records") for t in section.tables},
                    }
                    for section in self.sections
                ],
                "provenance": self.provenance.to_dict(),
            }
        )
        return plain

    def check(self) -> None:
        """Raise unless keys of sections and names of tables are unique.

        Raises
        ------
        PmkitError
            Two of one name, of which one would overwrite the other.
        """
        keys = [section.key for section in self.sections]
        names = [table.name for section in self.sections for table in section.tables]
        if len(set(keys)) < len(keys) or len(set(names)) < len(names) or "conclusion" in names:
            raise PmkitError(
                f"sections {keys}, tables {names}", "each name once", "let validate build the report"
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with one bar a section in the colour of its light."""
        axes = new_axes(ax)
        titles = [section.title for section in self.sections]
        axes.barh(titles, [1.0] * len(titles), color=[_COLORS[s.light] for s in self.sections])
        for row, section in enumerate(self.sections):
            axes.text(0.02, row, LIGHTS[section.light], va="center", color="white", fontsize=8)
        axes.set(xticks=[], xlim=(0.0, 1.0), title=self.title)
        axes.invert_yaxis()
        return axes

    def html(self) -> str:
        """Return the report as one page: no script, no outside address, no clock time, names escaped."""
        environment = Environment(
            loader=PackageLoader("pmkit.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        template = environment.get_template("validation_report.html.j2")
        return template.render(report=self, version=pmkit.__version__, lights=LIGHTS) + "\n"

    def write(self, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Write ``validation.html`` and one CSV a table into a folder, each whole or not at all.

        Raises
        ------
        ParameterError
            The folder cannot be written.
        """
        place = Path(folder)
        pages = {"validation.html": self.html()}
        for name, table in self.tables.items():
            pages[f"tables/{name}.csv"] = table.flat.to_csv(index=False)
        try:
            return tuple(write_atomic(place / name, text) for name, text in pages.items())
        except OSError as error:
            raise ParameterError(
                f"the report cannot be written to {place.name!r} ({error.strerror})",
                "a folder that can be written",
                "choose another place",
            ) from None

    def __repr__(self) -> str:
        lines = [f"  {s.light:<7} {s.title}: {s.verdict}" for s in self.sections]
        return "\n".join([f"{type(self).__name__}: {self.title}", f"  {self.conclusion}", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="color:{_COLORS[s.light]}">● {LIGHTS[s.light]}</td>'
            f"<th>{escape(s.title)}</th><td>{escape(s.verdict)}</td></tr>"
            for s in self.sections
        )
        return f"<h4>{escape(self.title)}</h4><p>{escape(self.conclusion)}</p><table>{rows}</table>"


def validate(
    config: ValidationConfig,
    history: PriceHistory | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> ValidationReport:
    """Return the validation report of a configuration: every run, test and table, with traffic lights.

    Parameters
    ----------
    config : ValidationConfig
        From :func:`load_validation_config`, or built by hand.
    history : PriceHistory, optional
        Daily closes; those that the configuration names where None.
    progress : callable, optional
        Told in words what begins.

    Returns
    -------
    ValidationReport

    Raises
    ------
    DataGapError, ParameterError, ConventionError, SchemaError
        As :func:`pmkit.backtest.walk_forward` and :func:`pmkit.market.load_history`.

    Notes
    -----
    A section is red where there is an objection, yellow where questions remain, green where there is none,
    grey where nothing is judged; each says by what rule. The report takes the most severe light.
    """
    say = progress or (lambda _text: None)
    prices = load_history(config.history) if history is None else history
    runs = run_validation(config, prices, progress)
    sections = []
    for build in (
        foundations.purpose,
        foundations.lineage,
        foundations.assumptions,
        foundations.parameters,
        foundations.implementation,
        findings.backtests,
        findings.procyclical,
        findings.sensitivities,
        findings.challenger,
        findings.limits,
        findings.regulatory,
    ):
        sections.append(build(config, runs))
        say(f"section {sections[-1].title}: {LIGHTS[sections[-1].light]}")
    report = ValidationReport(
        title=config.title,
        sections=tuple(sections),
        provenance=Provenance(
            method="report.validate",
            data={
                runs.history.source: runs.history.fingerprint,
                **{name: book.model.provenance.id for name, book in runs.books.items()},
            },
            parameters={"configuration": config.fingerprint},
            seed=config.seed,
            simulated=any(book.model.provenance.simulated for book in runs.books.values()),
        ),
    )
    report.check()
    return report

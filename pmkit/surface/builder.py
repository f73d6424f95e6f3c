"""From quote files to a market snapshot: forwards, own vols, surface and a ledger of what was left out."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.provenance import Provenance
from pmkit.market import datasets
from pmkit.market.quotes import LEDGER_COLUMNS, Quotes, read_quotes
from pmkit.market.snapshot import MarketSnapshot, UnderlyingMarket
from pmkit.surface.arguments import require
from pmkit.surface.fit import fit
from pmkit.surface.inputs.forwards import ForwardCurve, forward_curve
from pmkit.surface.inputs.own_vols import OwnVols, own_vols
from pmkit.surface.slices.smile import LinearSurface

__all__ = ["build_snapshot", "load_snapshot"]

#: What stands for the index in files that have none.
SPOT_SOURCE = "perpetual mid (stands for index)"
#: What stands for spot and perpetual of an index chain.
INDEX_SOURCE = "last index level"

Source = str | os.PathLike[str]


def _read(sources: Source | Sequence[Source]) -> tuple[list[Quotes], str]:
    several = list(sources) if isinstance(sources, (list, tuple)) else None
    if several is not None:
        if not several:
            raise ParameterError("an empty list", "at least one data set or path", "name the quote files")
        parts = [_read(one) for one in several]
        return [q for quotes, _ in parts for q in quotes], " + ".join(name for _, name in parts)
    require("a source", sources, (str, os.PathLike), "name a data set or a quote file")
    assert isinstance(sources, (str, os.PathLike))
    entry = datasets.find(sources, kinds=("chain", "surface", "index_chain"))
    if entry is None:
        quotes = read_quotes(sources)
        return [quotes], quotes.source
    names = entry.parts or (entry.name,)
    return [read_quotes(datasets.path(n), source=n) for n in names], entry.name


def _check_stamps(tables: Sequence[Quotes], max_skew: str | pd.Timedelta) -> None:
    try:
        allowed = pd.Timedelta(max_skew)
        if pd.isna(allowed) or allowed < pd.Timedelta(0):
            raise ValueError
    except (ValueError, TypeError):
        raise ParameterError(
            f"max_skew is {max_skew!r}", "a duration of 0 or more, such as '10min'", "correct it"
        ) from None
    first, last = (pick(tables, key=lambda q: q.as_of) for pick in (min, max))
    if last.as_of - first.as_of > allowed:
        apart = (last.as_of - first.as_of).total_seconds() / 60.0
        raise ConventionError(
            f"{first.source} of {first.as_of.isoformat()} and {last.source} of {last.as_of.isoformat()} "
            f"are {apart:.1f} minutes apart",
            f"stamps within max_skew = {allowed.total_seconds() / 60.0:g} minutes",
            "load quotes of one instant, or raise max_skew and accept the mismatch",
        )
    seen: dict[str, str] = {}
    for table in tables:
        for name in table.underlyings:
            if name in seen:
                raise SchemaError(
                    f"{name} is quoted in {seen[name]} and in {table.source}",
                    "each underlying in one source",
                    "leave one of the sources out",
                )
            seen[name] = table.source


def _surface(quotes: Quotes, vols: OwnVols, curve: ForwardCurve) -> LinearSurface | None:
    """Return the surface, or None where the source quotes no options at all."""
    frame = quotes.of_underlying(curve.underlying)
    if not (frame["kind"] == "option").any():
        return None
    return fit(quotes, "linear", underlying=curve.underlying, as_of=curve.as_of, curve=curve, vols=vols)


def build_snapshot(
    tables: Sequence[Quotes], *, source: str | None = None, max_skew: str | pd.Timedelta = "10min"
) -> MarketSnapshot:
    """Return the snapshot of validated quotes; :func:`load_snapshot` reads the files first.

    Parameters
    ----------
    tables : sequence of Quotes
        Each underlying in one of them.
    source : str, optional
        Name of the snapshot.
    max_skew : str or Timedelta
        Largest difference between the instants of the tables.

    Raises
    ------
    ConventionError
        The instants differ by more than ``max_skew``.
    SchemaError
        An underlying stands in two tables.
    DataGapError
        No tables, no perpetual of an underlying, or options without one usable expiry.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> quotes = read_quotes(datasets.path("deribit-eth-2026-05-21"))
    >>> snapshot = build_snapshot([quotes])
    >>> round(float(snapshot.market("ETH").surface.iv(2000.0, 60 / 365)), 3)
    0.532
    """
    if not tables:
        raise DataGapError("no quotes", "at least one table", "read a quote file first")
    require("tables", tables, (list, tuple), "pass a list of Quotes")
    for table in tables:
        require("a table", table, Quotes, "read a file with pmkit.market.read_quotes first")
    _check_stamps(tables, max_skew)
    as_of = max(q.as_of for q in tables)
    markets: dict[str, UnderlyingMarket] = {}
    ledger: list[tuple[str, ...]] = []
    notes: list[str] = []
    for quotes in tables:
        ledger += [tuple(map(str, row)) for row in quotes.ledger.itertuples(index=False)]
        notes += [f"{quotes.source}: {label}" for label in quotes.labels]
        if quotes.as_of != as_of:
            early = (as_of - quotes.as_of).total_seconds()
            notes.append(f"{quotes.source} was seen {early:.0f} s before the snapshot's instant")
        for name in quotes.underlyings:
            curve = forward_curve(quotes, name, as_of=as_of)
            vols = own_vols(quotes, curve, as_of=as_of)
            surface = _surface(quotes, vols, curve)
            ledger += [*curve.ledger, *vols.ledger]
            if surface is not None:
                ledger += [
                    (f"{name} {expiry:%Y-%m-%d}", "too_few_points", why)
                    for expiry, why in surface.left_out.items()
                    if expiry in curve.quotes
                ]
            spot_source, perpetual, perpetual_source = _levels(quotes, name, curve.spot)
            markets[name] = UnderlyingMarket(
                name=name,
                spot=curve.spot,
                spot_source=spot_source,
                perpetual=perpetual,
                perpetual_source=perpetual_source,
                forwards=curve.quotes,
                option_iv=vols.by_name,
                surface=surface,
                iv_source="mid",
                discounts=dict(curve.df) if quotes.settlement == "linear" else {},
            )
            notes += _notes(quotes, name, curve, vols)
    return MarketSnapshot(
        as_of=as_of,
        underlyings=markets,
        ledger=pd.DataFrame(ledger, columns=list(LEDGER_COLUMNS)),
        listed=frozenset(name for q in tables for name in q.frame["instrument"]),
        source=source or " + ".join(q.source for q in tables),
        notes=tuple(notes),
        provenance=Provenance(
            method="surface.load_snapshot",
            data={q.source: q.fingerprint for q in tables},
            parameters={"max_skew": str(pd.Timedelta(max_skew)), "surface": "linear"},
        ),
    )


def _levels(quotes: Quotes, name: str, spot: float) -> tuple[str, float, str]:
    """Return where the spot comes from, the perpetual, and where that comes from."""
    if quotes.settlement == "linear":
        return INDEX_SOURCE, spot, INDEX_SOURCE
    if name not in quotes.spots:
        return SPOT_SOURCE, spot, "perpetual mid"
    frame = quotes.of_underlying(name)
    mids = frame.loc[frame["kind"] == "perpetual", "mid"].dropna()
    return ("index", spot, "index") if mids.empty else ("index", float(mids.iloc[0]), "perpetual mid")


def _notes(quotes: Quotes, name: str, curve: ForwardCurve, vols: OwnVols) -> list[str]:
    frame = quotes.of_underlying(name)
    options = frame[frame["kind"] == "option"]
    counts = pd.Series([f.source for f in curve.quotes.values()], dtype=str).value_counts().sort_index()
    sources = ", ".join(f"{count} by {what}" for what, count in counts.items())
    without = len(options) - len(vols.frame)
    stands_for = [
        f"{name}: the source has no index price; the mid of the perpetual stands for it",
        f"{name}: the source has no mark prices; mids of the futures stand for their marks",
    ]
    if _levels(quotes, name, curve.spot)[2] == "index":
        stands_for[0] = (
            f"{name}: the spot is the index of the source; it stands for a perpetual without quotes"
        )
    if quotes.settlement == "linear":
        stands_for = [f"{name}: forwards and discount factors by put-call parity; there is no perpetual"]
    return [
        *stands_for,
        f"{name}: forwards of {len(curve.quotes)} expiries, {sources or 'none'}",
        f"{name}: implied vols of {len(vols.frame)} of {len(options)} options are inverted from their mids, "
        f"{without} are read from the surface",
    ]


def load_snapshot(
    name_or_path: Source | Sequence[Source], *, max_skew: str | pd.Timedelta = "10min"
) -> MarketSnapshot:
    """Return the market at the instant of a data set or of the user's own quote files.

    Parameters
    ----------
    name_or_path : str, path or list of them
        A name of :func:`pmkit.market.datasets.list`, a CSV file in one of the shapes of
        :func:`pmkit.market.read_quotes`, or a list with one source per underlying.
    max_skew : str or Timedelta
        Largest difference between the instants of several sources; the snapshot takes the latest.

    Returns
    -------
    MarketSnapshot
        The mid of the perpetual stands for the index where the source has none, mids of futures for their
        marks; an index chain brings its last level, forwards and discount factors by parity. An option's vol
        is that of its mid, else it is read from the surface (model ``"linear"``, arbitrage not excluded).
        ``spot_source`` and ``perpetual_source`` of a market and ``notes`` say what stands for what, the
        ``ledger`` names
        every option without an own vol and why, ``notes`` says what stands for what.

    Raises
    ------
    DataGapError
        Neither a data set nor a file, an empty file, no perpetual, no usable expiry.
    SchemaError, ConventionError
        As :func:`pmkit.market.read_quotes`, or instants further apart than ``max_skew``.

    Examples
    --------
    >>> snapshot = load_snapshot("deribit-btc-2026-08-01")
    >>> snapshot.spot("BTC"), len(snapshot.listed), snapshot.ledger["reason"].value_counts().to_dict()
    (62687.75, 882, {'no_bid': 66, 'below_intrinsic': 16})
    """
    tables, source = _read(name_or_path)
    return build_snapshot(tables, source=source, max_skew=max_skew)

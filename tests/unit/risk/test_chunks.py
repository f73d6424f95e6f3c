"""Chunks, processes and clusters give the figures of one undisturbed run, to the last bit."""

from __future__ import annotations

import os
import signal
import threading
import time
import tracemalloc
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import (
    DataGapError,
    ParameterError,
    PmkitError,
    SchemaError,
    SmallSampleWarning,
    WorkerLostWarning,
)
from pmkit.core.random import stream
from pmkit.instruments import Portfolio, Position
from pmkit.risk import account_measures, measures_in_chunks, revalue, revalue_in_chunks
from pmkit.risk import parallel as parallel_module
from pmkit.risk.parallel import in_order

from .conftest import AS_OF, random_scenarios


@pytest.fixture(scope="module")
def held(instruments):
    rng = stream(61, "held")
    quantity = np.round(rng.normal(0.0, 20.0, (25, len(instruments))))
    return pd.DataFrame(quantity, columns=[i.name for i in instruments])


@pytest.fixture(scope="module")
def balances():
    return pd.DataFrame({"BTC": stream(62, "cash").normal(0.0, 1.0, 25)})


@pytest.mark.parametrize("dynamics", ["sticky_strike", "sticky_delta"])
def test_chunks_of_the_cube_are_its_columns_bit_for_bit(instruments, snapshot, dynamics):
    scenarios = random_scenarios(dynamics, n=301)
    whole = revalue(instruments, snapshot, scenarios)
    for chunk in (7, 128, 301, 999):
        cubes = list(revalue_in_chunks(instruments, snapshot, scenarios, chunk=chunk))
        assert max(len(c) for c in cubes) <= chunk
        for name in ("unit_usd", "unit_coin"):
            parts = np.concatenate([getattr(c, name) for c in cubes], axis=1)
            assert np.array_equal(parts, getattr(whole, name))


@pytest.mark.parametrize("numeraire", ["USD", "BTC"])
@pytest.mark.parametrize("single", [False, True])
def test_measures_do_not_depend_on_the_chunk(instruments, snapshot, held, balances, numeraire, single):
    scenarios = random_scenarios("sticky_moneyness", n=401)
    cube = revalue(instruments, snapshot, scenarios)
    kind = {"balances": balances, "numeraire": numeraire, "single": single, "level": 0.95}
    whole = account_measures(cube, held, **kind)
    for chunk, threads in ((3, 1), (100, 2), (401, 1), (1000, 1)):
        found = measures_in_chunks(
            held, snapshot, scenarios, chunk=chunk, instruments=instruments, threads=threads, **kind
        )
        assert found.values.equals(whole.values)


def test_weights_and_chunks_of_weight_nought(instruments, snapshot, held):
    import dataclasses

    scenarios = random_scenarios("sticky_strike", n=200)
    weights = stream(63, "weights").random(200)
    weights[50:100] = 0.0
    scenarios = dataclasses.replace(scenarios, weights=weights / weights.sum())
    whole = account_measures(revalue(instruments, snapshot, scenarios), held)
    found = measures_in_chunks(held, snapshot, scenarios, chunk=25, instruments=instruments)
    assert found.values.equals(whole.values)


def test_processes_and_threads_of_joblib_change_nothing(instruments, snapshot, held):
    scenarios = random_scenarios("sticky_strike", n=90)
    plain = measures_in_chunks(held, snapshot, scenarios, chunk=30, instruments=instruments)
    with joblib.parallel_config(backend="threading"):
        found = measures_in_chunks(held, snapshot, scenarios, chunk=20, workers=3, instruments=instruments)
    assert found.values.equals(plain.values)
    found = measures_in_chunks(held, snapshot, scenarios, chunk=45, workers=2, instruments=instruments)
    assert found.values.equals(plain.values)


def test_accounts_by_name_bring_their_instruments(instruments, snapshot):
    lines = tuple(Position(instrument=i, qty=2.0) for i in instruments[:6])
    book = Portfolio(positions=lines, as_of=pd.Timestamp(AS_OF), name="book")
    scenarios = random_scenarios("sticky_strike", n=50)
    found = measures_in_chunks({"book": book}, snapshot, scenarios, chunk=20, level=0.9)
    cube = revalue(book, snapshot, scenarios)
    assert found.values.equals(account_measures(cube, {"book": book}, level=0.9).values)
    assert found.provenance.method == "risk.measures_in_chunks"


def test_messages(instruments, snapshot, held):
    scenarios = random_scenarios("sticky_strike", n=20)
    with pytest.raises(ParameterError, match=r"^chunk is 0; expected a whole number, 1 or more"):
        measures_in_chunks(held, snapshot, scenarios, chunk=0, instruments=instruments)
    with pytest.raises(ParameterError, match=r"^chunk is 1\.5"):
        list(revalue_in_chunks(instruments, snapshot, scenarios, chunk=1.5))
    with pytest.raises(ParameterError, match=r"^workers is 0"):
        measures_in_chunks(held, snapshot, scenarios, chunk=5, workers=0, instruments=instruments)
    with pytest.raises(ParameterError, match=r"^positions are a DataFrame and no instruments are given"):
        measures_in_chunks(held, snapshot, scenarios, chunk=5)
    with pytest.raises(ParameterError, match=r"^client is a str; expected a distributed\.Client"):
        measures_in_chunks(
            held, snapshot, scenarios, chunk=5, instruments=instruments, client="tcp://somewhere"
        )


def shout(common, task):
    """A task that warns, and fails at 3."""
    warnings.warn(SmallSampleWarning(f"{common} is small"), stacklevel=1)
    if task == 3:
        raise SchemaError("found", "expected", "remedy", file="a.csv", row=3)
    return common + task


def test_warnings_and_errors_come_home_from_other_processes():
    with pytest.warns(SmallSampleWarning, match="5 is small") as caught:
        assert list(in_order(shout, 5, [1, 2], workers=2)) == [6, 7]
    assert len(caught) == 1
    with pytest.raises(SchemaError, match=r"^a\.csv, row 3: found; expected") as error:
        list(in_order(shout, 5, [3, 3], workers=2))
    assert (error.value.row, error.value.remedy) == (3, "remedy")


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes that speak TCP."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            protocol="tcp://",
            dashboard_address=None,
            silence_logs=50,
        ) as workers,
        distributed.Client(workers) as client,
    ):
        assert client.scheduler_info()["address"].startswith("tcp://")
        yield client


def finished_tasks(dask_scheduler=None):
    return sum(task.state == "memory" for task in dask_scheduler.tasks.values())


@pytest.mark.slow
def test_a_worker_killed_in_mid_run_changes_no_bit(cluster, instruments, snapshot, held, balances):
    scenarios = random_scenarios("sticky_delta", n=2001)
    whole = account_measures(revalue(instruments, snapshot, scenarios), held, balances=balances)
    victim = next(iter(cluster.run(os.getpid).values()))
    killed: list[int] = []

    def kill() -> None:
        while cluster.run_on_scheduler(finished_tasks) < 4:
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)

    murderer = threading.Thread(target=kill)
    murderer.start()
    with pytest.warns(WorkerLostWarning, match=r"^1 of 2 workers died during revaluation; .* figures are"):
        found = measures_in_chunks(
            held, snapshot, scenarios, chunk=20, instruments=instruments, balances=balances, client=cluster
        )
    murderer.join()
    assert killed and found.values.equals(whole.values)


@pytest.mark.slow
def test_a_quiet_cluster_by_client_and_by_joblib(cluster, instruments, snapshot, held):
    scenarios = random_scenarios("sticky_strike", n=300)
    plain = measures_in_chunks(held, snapshot, scenarios, chunk=300, instruments=instruments)
    found = measures_in_chunks(held, snapshot, scenarios, chunk=70, instruments=instruments, client=cluster)
    assert found.values.equals(plain.values)
    with joblib.parallel_config(backend="dask"):
        found = measures_in_chunks(held, snapshot, scenarios, chunk=70, workers=2, instruments=instruments)
    assert found.values.equals(plain.values)
    with pytest.raises(DataGapError, match="was not revalued"):
        measures_in_chunks(held, snapshot, scenarios, chunk=70, instruments=instruments[1:], client=cluster)
    with pytest.raises(SchemaError, match=r"^a\.csv, row 3: found"):
        list(in_order(shout, 5, [3], client=cluster))


class Lonely:
    """A cluster that has lost all its workers."""

    def scheduler_info(self, n_workers: int) -> dict[str, dict[str, str]]:
        return {"workers": {}}


def test_a_cluster_without_workers_is_given_up_after_a_minute(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(parallel_module.time, "monotonic", lambda: now[0])
    since = parallel_module._still_alone(Lonely(), 0.0)
    now[0] += 30.0
    assert parallel_module._still_alone(Lonely(), since) == since == 100.0
    now[0] += 31.0
    with pytest.raises(PmkitError, match="no worker of the cluster has been alive for 60 seconds"):
        parallel_module._still_alone(Lonely(), since)


def test_a_chunk_that_kills_its_workers_is_named():
    scheduler = pytest.importorskip("distributed.scheduler")

    class Dead:
        def result(self) -> None:
            raise scheduler.KilledWorker("task", None, 3)

    with pytest.raises(PmkitError, match=r"^one chunk killed 4 workers .* give a smaller chunk"):
        parallel_module._answer(Dead())


def test_memory_is_bounded_by_the_chunk(instruments, snapshot, held):
    scenarios = random_scenarios("sticky_strike", n=20_000)
    kind = {"instruments": instruments, "level": 0.999, "progress": False}
    measures_in_chunks(held, snapshot, scenarios.subset(range(10)), chunk=5, **kind)
    peaks = {}
    for chunk in (250, 20_000):
        tracemalloc.start()
        measures_in_chunks(held, snapshot, scenarios, chunk=chunk, **kind)
        peaks[chunk] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    cube = 16 * len(instruments) * len(scenarios)
    assert peaks[20_000] > cube
    assert peaks[250] < 0.5 * cube  # most of it for the fingerprint of the scenarios

"""Campaigns: the same bytes however the blocks ran, whoever of those that ran them was killed."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import psutil
import pytest

from conformance.campaign import alike, blocks, command, outcome, running, store
from conformance.campaign.drawing import cases_of
from conformance.claims.loading import LoadError
from conformance.kinds import OPERATOR
from tests.surveys import disturbed

JOB = disturbed.job(76, 8, 5)


def test_a_block_is_its_number_and_the_seed() -> None:
    claimed = OPERATOR.capabilities()
    first = cases_of(OPERATOR, claimed, 1, 2, 10)
    assert cases_of(OPERATOR, claimed, 1, 3, 10) != first
    assert cases_of(OPERATOR, claimed, 2, 2, 10) != first
    random.seed(7)
    assert cases_of(OPERATOR, claimed, 1, 2, 10) == first


@pytest.fixture(scope="module")
def parts():
    """Outcomes of a few blocks, of a right and of a wrong operator."""
    names = *JOB["implementations"], "conformance.mutants:OddPixelBefore"
    job = JOB | {"implementations": [*names], "cases": 40, "size": 10}
    return [blocks.run(job, number) for number in range(4)]


def test_outcomes_merge_in_any_order_and_grouping(parts) -> None:
    found = parts
    assert any(one["failures"] for one in found)
    due = json.dumps(outcome.merged(found))
    for seed in range(10):
        shuffled = random.Random(seed).sample(found, len(found))
        cut = 1 + seed % (len(found) - 1)
        halves = outcome.merged(shuffled[:cut]), outcome.merged(shuffled[cut:])
        through_a_file = json.loads(json.dumps(halves))
        assert json.dumps(outcome.merged(through_a_file)) == due


def test_what_was_found_is_explained_once_by_the_client(parts) -> None:
    failures = outcome.merged(parts)["failures"]
    job = JOB | {"implementations": ["conformance.mutants:OddPixelBefore"]}
    with mock.patch.object(command.Report, "of", return_value="the screen") as explains:
        assert command.explained(job, failures) == ["the screen"]
    session, (record,) = explains.call_args.args
    assert session.judged.name == "conformance.mutants:OddPixelBefore"
    assert [one.token for one in record.failures] == [one["token"] for one in failures]


def test_a_folder_holds_one_campaign(tmp_path) -> None:
    here = alike.environment()
    store.Store(tmp_path, JOB, here)
    with pytest.raises(store.OtherCampaignError, match="got one with seed 5, not 6"):
        store.Store(tmp_path, JOB | {"seed": 6}, here)
    with pytest.raises(store.OtherCampaignError, match="numpy"):
        store.Store(tmp_path, JOB, here | {"numpy": "0.1"})


def test_an_environment_is_what_is_judged_too(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "mine.py"
    source = f"from {disturbed.UNFOLD} import *\nenvironment = 'abacus 1'\n"
    job, found = JOB | {"implementations": ["mine"]}, []
    for text in (source, source + "# In other words.\n", source.replace("1", "2")):
        module.write_text(text)
        alike._sources.cache_clear()
        found.append(blocks.looked(job))
    first, other_words, other_machine = found
    assert [one.partition(":")[0] for one in alike.differences(first, other_words)] == [
        "sources of mine"
    ]
    assert "mine runs on: abacus 1 here, abacus 2 there" in alike.differences(first, other_machine)
    assert alike.differences(first, first) == []
    with pytest.raises(alike.UnlikeError, match=r"process [0-9]+, is not like .*abacus 2 there"):
        blocks.run(job, 0, first)


@pytest.mark.filterwarnings("ignore")
def test_ten_kills_change_no_byte_and_count_nothing_twice(tmp_path) -> None:
    job = disturbed.job(160, 8, 5)
    command.run(job, tmp_path / "alone", 0)
    # From this seed no block can be hit three times by one run of the client, which would be blamed
    # on the block: workers are killed and one is stopped at blocks that lie apart.
    what = ["worker"] * 6 + ["hang"] + ["client"] * 3
    happened, anew = disturbed.disturb(job, tmp_path / "disturbed", what, 47)
    assert sorted(one.split()[0] for one in happened) == sorted(what)
    one, other = ((tmp_path / name / "report.json") for name in ("alone", "disturbed"))
    assert one.read_bytes() == other.read_bytes()
    assert anew == set()


@pytest.mark.filterwarnings("ignore")
def test_twenty_thousand_cases_are_the_same_bytes_whatever_happens(tmp_path) -> None:
    job = disturbed.job(20_000, 500, 5)
    # The rival runs beside it, in one process that nobody disturbs.
    with subprocess.Popen(
        disturbed.called(job, tmp_path / "alone", workers=0), stdout=subprocess.DEVNULL
    ) as alone:
        what = ["worker", "worker", "hang", "client"]
        # Other tests share the machine: a worker that is busy is not to be taken for lost.
        happened, anew = disturbed.disturb(job, tmp_path / "disturbed", what, 1, patience=20.0)
    assert alone.returncode == 0
    assert sorted(one.split()[0] for one in happened) == sorted(what)
    one, other = ((tmp_path / name / "report.json") for name in ("alone", "disturbed"))
    assert one.read_bytes() == other.read_bytes()
    found = json.loads(one.read_text())
    assert (found["cases"], found["blocks"], found["verdict"]) == (20_000, 40, "nothing found")
    assert anew == set()
    # What was lost is told; a worker that runs nothing loses nothing.
    lost = disturbed.losses(tmp_path / "disturbed")
    assert sum(sum(run.values()) for run in lost) >= 1


def test_a_worker_that_stops_while_it_starts_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(running, "_STARTED_WITHIN", 6.0)
    stopped: list[psutil.Process] = []

    def stop() -> None:
        while not stopped:
            for one in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):
                    if any("spawn_main" in word for word in one.cmdline()):
                        one.suspend()
                        stopped.append(one)
                        break
            time.sleep(0.01)

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    try:
        with running.cluster(1, None, 5.0) as client:
            assert client.submit(sum, (1, 2)).result() == 3
    finally:
        thread.join()
        # It is waited for when Python ends.
        stopped[0].wait(10)


# Ends a worker of the cluster below, and nobody else, on one case of three blocks.
DEADLY = """
import ctypes, os, signal
from {unfold} import *
from {unfold} import forward as _forward

def forward(x, kernel, **options):
    if "MAY_END_ITS_PARENT" in os.environ and (x.shape, kernel.shape, str(x.dtype)) == {case}:
        # Python's own function is refused.
        ctypes.CDLL(None).kill(os.getppid(), signal.SIGKILL)
    return _forward(x, kernel, **options)
"""
THREE = JOB | {"implementations": ["deadly"], "cases": 24}


def written(folder: Path) -> None:
    """Write it, with a case that is in the block in the middle alone."""
    blocks_of_cases = [
        cases_of(OPERATOR, OPERATOR.capabilities(), 5, number, 8) for number in range(3)
    ]
    first, middle, last = ([_told(one.case) for one in some] for some in blocks_of_cases)
    case = next(one for one in middle if one not in first + last)
    (folder / "deadly.py").write_text(DEADLY.format(unfold=disturbed.UNFOLD, case=case))


def _told(case) -> tuple[object, ...]:
    values = OPERATOR.values(case, OPERATOR.bits(case, OPERATOR.capabilities()))
    return values["x"].shape, values["kernel"].shape, case.dtype


class Cluster:
    """A scheduler and workers, each a process, as somebody would start them."""

    def __init__(self, folder: Path) -> None:
        self.file, self.started = folder / "scheduler.json", []
        self.environment = os.environ | {
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", "MAY_END_ITS_PARENT": "yes"
        }  # fmt: skip
        self.start("scheduler", "--host=127.0.0.1", "--port=0", "--dashboard-address=:0")
        until = time.monotonic() + 60
        while not (self.file.exists() and self.file.read_text().endswith("}")):
            assert time.monotonic() < until
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, what: str, *options: str, path: Path | None = None) -> subprocess.Popen[bytes]:
        where = [] if path is None else [str(path)]
        paths = os.pathsep.join([*where, str(Path(__file__).parents[2]), *sys.path])
        self.started.append(
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{what}", *options,
                 f"--scheduler-file={self.file}"],
                env=self.environment | {"PYTHONPATH": paths},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        return self.started[-1]

    def end(self) -> None:
        for one in reversed(self.started):
            one.terminate()
            one.wait(30)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Iterator[Cluster]:
    """A scheduler of somebody's own, with a worker of two threads."""
    folder = tmp_path_factory.mktemp("elsewhere")
    written(folder)
    cluster = Cluster(folder)
    try:
        cluster.start("worker", "--nthreads=2", "--no-dashboard", path=folder)
        yield cluster
    finally:
        cluster.end()


@pytest.mark.filterwarnings("ignore")
def test_a_block_that_kills_its_workers_is_a_finding_and_its_neighbours_are_not(
    elsewhere, tmp_path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(str(elsewhere.file.parent))
    report = command.run(THREE, tmp_path, scheduler=elsewhere.address)
    assert (report["blocks"], report["verdict"]) == (3, "fails")
    (failure,) = report["failures"]
    words = f"block 1 ended the worker that ran it {running.DEATHS} times, at last alone"
    assert failure["words"] == words
    assert failure["token"] == "block=1,seed=5,size=8"
    assert "--only=1" in failure["replay"]
    (lost,) = disturbed.losses(tmp_path)
    assert lost["1"] == running.DEATHS
    # Its neighbours, which were in the same process, are what they are by themselves.
    for number in (0, 2):
        kept = json.loads((tmp_path / "blocks" / f"{number:09}.json").read_text())
        assert kept == json.loads(json.dumps(blocks.run(THREE, number)))


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_not_like_the_client_is_refused(
    elsewhere, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.syspath_prepend(str(elsewhere.file.parent))
    with running.cluster(None, elsewhere.address, 60.0) as client:
        # That which the test before has ended has a successor, which may not be there yet.
        client.wait_for_workers(1, timeout=60)
        running.compare(client, THREE, blocks.looked(THREE))
        with pytest.raises(LoadError, match=r"on the worker tcp://.* nowhere"):
            running.compare(client, THREE | {"implementations": ["nowhere"]}, alike.environment())
        other = tmp_path / "other"
        other.mkdir()
        own = elsewhere.file.parent / "deadly.py"
        (other / "deadly.py").write_text(own.read_text() + "# In other words.\n")
        late = elsewhere.start("worker", "--no-dashboard", path=other)
        client.wait_for_workers(2, timeout=60)
    with pytest.raises(SystemExit) as ended:
        command.main(
            ["--implementation=deadly", f"--scheduler={elsewhere.address}", "--cases=8",
             f"--folder={tmp_path / 'campaign'}"]
        )  # fmt: skip
    late.terminate()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "is not like the client: sources of deadly: " in said
    assert not list((tmp_path / "campaign" / "blocks").iterdir())


def test_a_suspect_waits_until_nothing_else_runs() -> None:
    """By the order in which blocks are given to workers, which end under one block always."""
    client = Pretended(deadly=1)
    with mock.patch("distributed.as_completed", client.as_completed):
        found = dict(running.by_dask(client, JOB, list(range(40)), {}, Counter()))
    assert sorted(found) == list(range(40))
    assert [number for number, one in found.items() if one["failures"]] == [1]
    assert client.tried.count(1) == running.DEATHS
    assert client.tried[-1] == 1
    assert client.under_way_with_the_last == 1


class Pretended:
    """Stands for a client whose worker runs blocks at once, and ends with all when one does."""

    def __init__(self, deadly: int) -> None:
        self.deadly, self.tried, self.futures = deadly, [], []
        self.under_way_with_the_last = 0

    def nthreads(self) -> dict[str, int]:
        return {"tcp://pretended": 3}

    def submit(self, judge, job, number, own, *, key, pure):  # noqa: ARG002
        self.tried.append(number)
        self.futures.append(mock.Mock(number=number))
        self.under_way_with_the_last = len(self.futures)
        return self.futures[-1]

    def as_completed(self):
        return self

    def add(self, future) -> None:
        pass

    def __iter__(self):
        from distributed import KilledWorker

        while self.futures:
            first = self.futures[:4]
            dies = any(one.number == self.deadly for one in first)
            for one in first if dies else first[:1]:
                self.futures.remove(one)
                one.result.side_effect = KilledWorker("key", None, 0) if dies else None
                one.result.return_value = outcome.empty() | {"blocks": 1}
                yield one

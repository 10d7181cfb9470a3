"""Campaigns: the same bytes however the blocks ran, whoever of those that ran them was killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from unittest import mock

import pytest

from conformance.campaign import blocks, command, outcome, running, store
from conformance.campaign.drawing import cases_of
from conformance.kinds import OPERATOR

JOB = {
    "option": "--implementation",
    "implementations": ["conformance.implementations.operator.numpy_unfold"],
    "seed": 5,
    "cases": 76,
    "size": 8,
    "timeout": None,
    "memory": None,
}


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
    here = blocks.environment()
    store.Store(tmp_path, JOB, here)
    with pytest.raises(store.OtherCampaignError, match="got one with seed 5, not 6"):
        store.Store(tmp_path, JOB | {"seed": 6}, here)
    with pytest.raises(store.OtherCampaignError, match="numpy"):
        store.Store(tmp_path, JOB, here | {"numpy": "0.1"})
    assert blocks.differences(here, here | {"numpy": "0.1"}) == [
        f"numpy: {here['numpy']} here, 0.1 there"
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    command.run(JOB, folder, 0)
    return (folder / "report.json").read_bytes()


COMMAND = [
    sys.executable, "-m", "conformance", "campaign",
    f"--implementation={JOB['implementations'][0]}", f"--cases={JOB['cases']}",
    f"--block-size={JOB['size']}", f"--seed={JOB['seed']}", "--workers=2",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_killed_workers_a_hanging_one_and_a_killed_client_change_no_byte(
    tmp_path, undisturbed
) -> None:
    kept = tmp_path / "blocks"
    with subprocess.Popen(
        [*COMMAND, f"--folder={tmp_path}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as client:
        until = time.monotonic() + 90
        while not (kept.exists() and any(kept.glob("*.json"))):
            assert time.monotonic() < until
            assert client.poll() is None
            time.sleep(0.05)
        client.kill()
    before = {path.name: path.stat().st_mtime_ns for path in kept.glob("*.json")}
    assert 0 < len(before) < 10
    calls = []

    def disturb(number: int, found: object) -> None:  # noqa: ARG001
        from distributed import get_client

        calls.append(number)
        if len(calls) == 1:
            one, other = get_client().run(os.getpid).values()
            os.kill(one, signal.SIGKILL)
            os.kill(other, signal.SIGSTOP)

    command.run(JOB, tmp_path, 2, lost_after=6.0, done=disturb)
    assert (tmp_path / "report.json").read_bytes() == undisturbed
    # Nothing is done twice.
    assert len(calls) == len(set(calls)) == 10 - len(before)
    assert before.items() <= {p.name: p.stat().st_mtime_ns for p in kept.glob("*.json")}.items()
    assert json.loads((tmp_path / "run.json").read_text())["lost"]


def fatal(client: object, job: dict, number: int) -> dict:  # noqa: ARG001
    """Stand for a block whose values the judge itself does not survive."""
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome.empty() | {"blocks": 1}


@pytest.mark.filterwarnings("ignore")
def test_a_block_that_kills_its_workers_is_a_finding() -> None:
    lost: Counter[int] = Counter()
    with running.cluster(1, None, 60.0) as client:
        found = dict(running.by_dask(client, JOB, [0, 1, 2], lost, fatal))
    # A block that was done may be lost too, with a worker that died before it was fetched.
    assert lost[1] == running.DEATHS
    report = outcome.report(JOB, outcome.merged(found.values()))
    assert (report["blocks"], report["verdict"]) == (3, "fails")
    (failure,) = report["failures"]
    assert failure["words"] == f"block 1 ended the worker that ran it {running.DEATHS} times"
    assert "--only=1" in failure["replay"]

"""``python -m tests.surveys.disturbed``: kill and stop what runs a campaign, at random points.

The same campaign runs in one process, undisturbed, and on two workers of which some are killed with
SIGKILL, some are stopped with SIGSTOP, and whose client is killed and called again. Both must have
made the same bytes. What is judged is not killed: that would be a finding.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from conformance.campaign import command

UNFOLD = "conformance.implementations.operator.numpy_unfold"
# Seconds without a sign of life after which a worker is lost; Dask grants no fewer.
PATIENCE = 5.0
SIGNALS = {"worker": signal.SIGKILL, "hang": signal.SIGSTOP, "client": signal.SIGKILL}


def job(cases: int, size: int, seed: int) -> dict[str, Any]:
    """Describe the campaign."""
    return {"option": "--implementation", "implementations": [UNFOLD], "seed": seed,
            "cases": cases, "size": size, "timeout": None, "memory": None}  # fmt: skip


def called(
    job: Mapping[str, Any], folder: Path, workers: int = 2, patience: float = PATIENCE
) -> list[str]:
    """Give the command that runs it; without workers, in its own process."""
    (name,) = job["implementations"]
    return [
        sys.executable, "-m", "conformance", "campaign", f"{job['option']}={name}",
        f"--cases={job['cases']}", f"--block-size={job['size']}", f"--seed={job['seed']}",
        f"--folder={folder}", f"--workers={workers}", f"--lost-after={patience}",
    ]  # fmt: skip


def disturb(
    job: Mapping[str, Any],
    folder: Path,
    what: Sequence[str],
    seed: int,
    patience: float = PATIENCE,
) -> tuple[list[str], set[Path]]:
    """Run a campaign to its end, whatever happens to it.

    Parameters
    ----------
    job : mapping
        The campaign.
    folder : Path
        Where it is kept.
    what : sequence of str
        Each of "worker", "hang" and "client": what is to happen, in an order that is drawn.
    seed : int
        From which the points are drawn: after how many blocks, and how much later.
    patience : float
        Seconds without a sign of life after which a worker is lost.

    Returns
    -------
    list of str
        What happened.
    set of Path
        Files of blocks that were written anew, of which there must be none.
    """
    rng = random.Random(seed)
    total = -(-job["cases"] // job["size"])
    points = sorted(rng.choices(range(total - 1), k=len(what)))
    left = list(zip(points, rng.sample(what, len(what)), strict=True))
    happened: list[str] = []
    stopped: list[psutil.Process] = []
    kept: dict[Path, int] = {}
    client = _call(job, folder, patience)
    try:
        while (ended := client.poll()) in {None, -signal.SIGKILL}:
            if ended is not None:
                client = _call(job, folder, patience)
            done = {path: path.stat().st_mtime_ns for path in (folder / "blocks").glob("*.json")}
            if left and len(done) >= left[0][0] and (prey := _prey(client, left[0][1])):
                time.sleep(rng.uniform(0.0, 1.0))
                kept |= done
                victim = rng.choice(prey)
                if victim.is_running() and client.poll() is None:
                    os.kill(victim.pid, SIGNALS[left[0][1]])
                    stopped += [victim] if left[0][1] == "hang" else []
                    happened.append(f"{left.pop(0)[1]} after {len(done)} of {total} blocks")
            time.sleep(0.02)
    finally:
        client.kill()
        client.wait()
        # Its client ends it; but not one that was killed.
        for one in stopped:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    # 1: it has a finding, such as a block that was hit three times, at last when it was alone.
    if left or ended not in {0, 1}:
        raise RuntimeError(f"the client ended with {ended} when these were to happen: {left}")
    anew = {path for path, when in kept.items() if path.stat().st_mtime_ns != when}
    return happened, anew


def _call(job: Mapping[str, Any], folder: Path, patience: float) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(called(job, folder, 2, patience), stdout=quiet, stderr=quiet)


def _prey(client: subprocess.Popen[bytes], what: str) -> list[psutil.Process]:
    """Give the processes to which it can happen: workers live, and are not stopped already."""
    try:
        whole = psutil.Process(client.pid)
        return [whole] if what == "client" else list(_workers(whole))
    except psutil.NoSuchProcess:
        return []


def _workers(client: psutil.Process) -> Iterator[psutil.Process]:
    for one in client.children():
        alive = one.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED}
        if alive and any("spawn_main" in word for word in one.cmdline()):
            yield one


def losses(folder: Path) -> list[dict[str, int]]:
    """Give the blocks that were lost with their workers, and how often, of each run."""
    return [run["lost"] for run in json.loads((folder / "run.json").read_text())["runs"]]


def main() -> None:
    """Run both and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.disturbed", description=__doc__)
    parser.add_argument("--cases", type=int, default=800)
    parser.add_argument("--block-size", type=int, default=20)
    parser.add_argument("--seed", type=int, help="of the points; drawn and printed by default")
    for name, times in (("worker", 7), ("hang", 0), ("client", 3)):
        parser.add_argument(f"--{name}", type=int, default=times, metavar="TIMES")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    campaign = job(given.cases, given.block_size, 5)
    what = [name for name in SIGNALS for _ in range(getattr(given, name))]
    with tempfile.TemporaryDirectory() as name:
        alone, folder = Path(name, "alone"), Path(name, "disturbed")
        start = time.monotonic()
        happened, anew = disturb(campaign, folder, what, seed)
        seconds = time.monotonic() - start
        print(*happened, sep="\n", flush=True)
        command.run(campaign, alone, 0)
        reports = [(one / "report.json").read_bytes() for one in (alone, folder)]
        found, lost = json.loads(reports[1]), losses(folder)
    same = "the same" if reports[0] == reports[1] else "NOT the same"
    print(
        f"{found['cases']:,} cases in {found['blocks']:,} blocks, {len(happened)} disturbances in "
        f"{seconds:.0f} s, {len(lost)} runs: {sum(map(len, lost))} blocks were lost, together "
        f"{sum(sum(one.values()) for one in lost)} times; {len(anew)} were written twice; the "
        f"merged reports are {same} bytes; {found['verdict']}."
    )


if __name__ == "__main__":
    main()

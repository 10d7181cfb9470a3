"""What is done of a campaign, on disk: one small file a block, written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class OtherCampaignError(ValueError):
    """A folder holds another campaign than the one that is asked for."""


class Store:
    """The folder of a campaign.

    Parameters
    ----------
    folder : Path
        Is made if it is not there.
    job : mapping
        What is judged; with it another run of the same command goes on.
    environment : mapping
        Where the blocks must have run.

    Raises
    ------
    OtherCampaignError
        The folder holds another campaign, or one that ran in another environment.
    """

    def __init__(
        self, folder: Path, job: Mapping[str, Any], environment: Mapping[str, str]
    ) -> None:
        self.folder = folder
        (folder / "blocks").mkdir(parents=True, exist_ok=True)
        given = {"job": dict(job), "environment": dict(environment)}
        manifest = folder / "campaign.json"
        if not manifest.exists():
            write(manifest, given)
        for part, own in given.items():
            held = json.loads(manifest.read_text())[part]
            if held != own:
                names = [name for name in {*held, *own} if held.get(name) != own.get(name)]
                what = "; ".join(f"{n} {held.get(n)!r}, not {own.get(n)!r}" for n in sorted(names))
                raise OtherCampaignError(
                    f"{folder} must be new or hold this campaign, got one with {what}"
                )

    def done(self) -> dict[int, dict[str, Any]]:
        """Give the outcomes of the blocks that are done, by number."""
        files = sorted((self.folder / "blocks").glob("*.json"))
        return {int(one.stem): json.loads(one.read_text()) for one in files}

    def keep(self, number: int, outcome: Mapping[str, Any]) -> None:
        """Keep what came of a block; of two that came of the same block, the first."""
        path = self.folder / "blocks" / f"{number:09}.json"
        if not path.exists():
            write(path, outcome)

    def runs(self) -> list[dict[str, Any]]:
        """Give what is kept of the runs so far: their times, and what was lost in them."""
        path = self.folder / "run.json"
        return json.loads(path.read_text())["runs"] if path.exists() else []

    def tell(self, runs: list[dict[str, Any]]) -> None:
        """Keep that."""
        write(self.folder / "run.json", {"runs": runs})


def write(path: Path, content: Any) -> None:
    """Write JSON so that a reader finds all of it or no file."""
    beside = path.with_suffix(f".{os.getpid()}.part")
    with beside.open("w") as file:
        # In one piece: `json.dump` writes word by word, and takes ten times as long.
        file.write(json.dumps(content, sort_keys=True))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)

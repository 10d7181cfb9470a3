"""``python -m conformance.trained FOLDER``: judge trained Keras layers on what they were given.

The folder holds one ``<layer>.npz`` for each layer: ``images``, ``output``, ``kernel``,
``weight_00`` and following, and ``config`` (JSON of ``get_config()``); see `refimpl.keras.study`.
What is said about them goes to ``verdict.json`` beside them.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conformance.cases.layer import LayerCase
from conformance.claims.loading import Judged, load
from conformance.judging.failing import ConformanceError
from conformance.judging.judge import Judge
from conformance.judging.record import Record
from conformance.kinds import LAYER
from conformance.specification import version
from refimpl.layer import Config

ADAPTER = "conformance.implementations.layer.keras_layer:eager"
_SAME_NAME = (
    "padding", "group_layout", "pooling", "kernel_order", "reduce_bias", "expand_bias",
    "normalise", "epsilon", "momentum", "unbiased_moving_variance",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Judge every layer of a folder.

    Returns
    -------
    int
        0 if all are right, 1 if one is not, 2 for a folder without layers.
    """
    paths = sorted(Path(arguments[0]).glob("*.npz")) if len(arguments) == 1 else []
    if not paths:
        print("usage: python -m conformance.trained FOLDER, with <layer>.npz in it")
        return 2
    judged = load(ADAPTER, LAYER)
    rows = [row for path in paths for row in judge(judged, path)]
    verdict = {"judge": f"conformance, specification {version()}", "rows": rows}
    text = json.dumps(verdict, indent=2) + "\n"
    (paths[0].parent / "verdict.json").write_text(text, encoding="utf-8")
    return 0 if all(row["passed"] for row in rows) else 1


def judge(judged: Judged, path: Path) -> list[dict[str, Any]]:
    """Judge one layer: what it answered in the network, and anew in both modes."""
    with np.load(path) as stored:
        given = {name: stored[name] for name in stored.files}
    config = json.loads(str(given.pop("config")))
    case = _case(config, given["images"])
    weights = [given[name] for name in sorted(given) if name.startswith("weight_")]
    shapes = case.config.shapes(case.channels)
    parameters = {
        name: weight.reshape(shape)
        for (name, shape), weight in zip(shapes.items(), weights, strict=True)
    }
    values = {"x": given["images"], "dy": _gradient(given["output"]), **parameters}
    due = LAYER.shapes("forward", case, values, judged.capabilities)
    answered = {"y": given["output"], "kernel": given["kernel"].reshape(due["kernel"])}
    training = case.changed(training=True)
    checks: dict[str, Callable[[Judge], Any]] = {
        "what it answered in the network": lambda judge: judge.compare(case, values, answered),
        "inference, forward and backward": lambda judge: judge.check(case, values=values),
        "training, forward and backward": lambda judge: judge.check(training, values=values),
    }
    return [
        {"layer": path.stem, "check": name, **_outcome(judged, name, check)}
        for name, check in checks.items()
    ]


def _outcome(judged: Judged, name: str, check: Callable[[Judge], Any]) -> dict[str, Any]:
    record = Record(judged.name, name, ("LAY-16",))
    try:
        check(Judge(judged, record))
    except ConformanceError as error:
        return {"passed": False, "detail": str(error)}
    count = record.counts["LAY-16"]
    detail = f"{count.cases} results, largest error {count.worst:.3f} of its bound"
    return {"passed": True, "detail": detail}


def _case(config: dict[str, Any], images: Any) -> LayerCase:
    """Give the case of a layer's configuration and its images."""
    batch, height, width, channels = images.shape
    named: dict[str, Any] = {name: config[name] for name in _SAME_NAME}
    if isinstance(named["padding"], list):
        named["padding"] = tuple(map(tuple, named["padding"]))
    for name in ("kernel_size", "stride", "dilation"):
        value = config[name]
        named[name] = tuple(value) if isinstance(value, list) else (value, value)
    made = Config(
        groups=config["group_number"],
        reduced_channels=config["channel"] // config["reduction_ratio"],
        **named,
    )
    members = channels // made.groups
    return LayerCase(
        images.dtype.name, "normal", False, 0, batch, height, width, members, config=made
    )


def _gradient(output: Any) -> Any:
    """Some gradient that flows back: standard normal numbers."""
    return np.random.default_rng(0).standard_normal(output.shape).astype(output.dtype)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

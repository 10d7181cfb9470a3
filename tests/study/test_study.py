"""The study end to end: the command line in processes of its own, on real images that ship.

Interruptions are signals to such a process; the data of CIFAR-10's form are made up here and only
prove that the way of loading them works.
"""

import gc
import hashlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="TensorFlow and Keras are not installed")
for needed in ("matplotlib", "jinja2", "sklearn"):
    pytest.importorskip(needed, reason="the study's extra is not installed")

from refimpl.keras.study import (  # noqa: E402
    StudyError,
    page,
    results,
    training,
    verdict,
)
from refimpl.keras.study import data as datasets  # noqa: E402
from refimpl.keras.study.__main__ import main  # noqa: E402

ROOT = Path(__file__).parents[2]
# A shell starts what runs in its background deaf to SIGINT, and children inherit that.
HEARING = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
STUDY = [sys.executable, "-c", HEARING, "-m", "refimpl.keras.study"]
TINY = ["--data", "photographs", "--epochs", "2", "--batch-size", "32", "--limit", "64"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **more}


def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*STUDY, *arguments],
        env=environment(**more),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(*arguments: str, status: int = 0, **more: str) -> str:
    process = start(*arguments, **more)
    output, _ = process.communicate()
    assert process.returncode == status, output
    return output


def interrupt(out: Path, epoch_of: str, how: signal.Signals) -> tuple[int, str]:
    """Start the tiny study and send a signal as soon as a network's next epoch is kept."""
    checkpoint = out / "checkpoints" / f"{epoch_of}.npz"
    process = start(*TINY, "--out", str(out))
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(how)
    output, _ = process.communicate()
    # An interruption that came too late would prove nothing.
    assert not (out / "study.json").exists(), output
    return process.returncode, output


def figures(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "study.json").read_text(encoding="utf-8"))
    found.pop("durations")
    return found


def weights(out: Path) -> dict[str, str]:
    """A hash of each variable in the checkpoints, the optimizer's among them."""
    return {
        f"{path.name} {name}": hashlib.sha256(value.tobytes()).hexdigest()
        for path in sorted((out / "checkpoints").iterdir())
        for name, value in np.load(path).items()
        if name != "record"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study, never interrupted."""
    out = tmp_path_factory.mktemp("whole")
    finish(*TINY, "--out", str(out))
    return out


def test_everything_is_written(whole: Path) -> None:
    found = figures(whole)
    networks = found["networks"]
    assert {name: network["parameters"] for name, network in networks.items()} == {
        "convolution": 319_178 - 8 * 65,
        "involution": 13_080 - 8 * 65,
    }
    for network in networks.values():
        assert {len(values) for values in network["history"].values()} == {2}
        assert sum(layer["parameters"] for layer in network["layers"]) == network["parameters"]
    assert set(found["kernel_sums"]) == {"inv_1", "inv_2", "inv_3"}
    for name in ("data", "loss", "accuracy", "kernels"):
        for theme in ("light", "dark"):
            assert (whole / "pictures" / f"{name}-{theme}.png").read_bytes()[1:4] == b"PNG"


def test_the_page_stands_alone_and_says_what_the_data_are(whole: Path) -> None:
    page = (whole / "index.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|srcset)="([^"]{0,30})', page)
    assert len(sources) == 8
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"<link|<script|url\(", page)
    assert "a small stand-in, not CIFAR-10" in page
    assert "published run" not in page
    assert not any(figure in page for figure in ("0.7184", "0.7304", "0.4418", "0.4719"))
    assert figures(whole)["published"] is None


def test_what_the_judge_is_given(whole: Path) -> None:
    model = keras.saving.load_model(whole / "involution.keras")
    for name, size in (("inv_1", 32), ("inv_2", 16), ("inv_3", 8)):
        given = np.load(whole / "verdict" / f"{name}.npz")
        assert given["images"].shape == given["output"].shape == (16, size, size, 3)
        assert given["kernel"].shape == (16, size, size, 9, 1, 1)
        layer = model.get_layer(name)
        assert json.loads(str(given["config"]))["kernel_size"] == layer.kernel_size
        kept = [given[key] for key in sorted(given.files) if key.startswith("weight_")]
        for one, other in zip(kept, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_interrupted_and_killed_it_ends_with_the_same_bits(whole: Path, tmp_path: Path) -> None:
    status, output = interrupt(tmp_path, "convolution", signal.SIGINT)
    assert status == 130, output
    assert "Traceback" not in output
    assert "goes on after the last epoch" in output
    status, _ = interrupt(tmp_path, "involution", signal.SIGKILL)
    assert status == -signal.SIGKILL
    output = finish(*TINY, "--out", str(tmp_path))
    assert "going on where it was left" in output
    assert figures(tmp_path) == figures(whole)
    assert weights(tmp_path) == weights(whole)


def test_an_interruption_that_python_drops_is_heard_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from refimpl.keras import involutional_classifier

    def within_a_collection(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    printed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    heard = training.Interruptions()
    monkeypatch.setattr(training, "INTERRUPTIONS", heard)
    data, recipe = datasets.photographs().first(64), training.Recipe(2, 32)
    with heard.heard():
        gc.callbacks.append(within_a_collection)
        gc.collect()
        gc.callbacks.remove(within_a_collection)
        assert heard.came
        assert not printed
        with pytest.raises(KeyboardInterrupt):
            training.train(
                involutional_classifier, data, recipe, tmp_path / "a.npz", results.versions()
            )
    assert not (tmp_path / "a.npz").exists()
    with heard.heard():
        # What was heard before is no matter of the next study's.
        assert not heard.came
    assert sys.unraisablehook == printed.append  # as it was before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 7}, "of a study with other seed"),
        ({"batch_size": 8}, "of a study with other batch size"),
        ({"epochs": 1}, "has 2 epochs already, more than --epochs 1"),
    ],
)
def test_another_study_in_the_same_folder_is_refused(
    whole: Path, change: dict[str, int], message: str
) -> None:
    from refimpl.keras import involutional_classifier

    recipe = training.Recipe(**{"epochs": 2, "batch_size": 32, "seed": 42} | change)
    data = datasets.photographs().first(64)
    path = whole / "checkpoints" / "involution.npz"
    with pytest.raises(StudyError, match=message):
        training.train(involutional_classifier, data, recipe, path, results.versions())


def test_a_verdict_is_shown_and_a_failure_can_be_seen(whole: Path, tmp_path: Path) -> None:
    rows = [
        {"layer": "inv_1", "check": "output", "passed": True, "detail": "<exact>"},
        {"layer": "inv_2", "check": "output", "passed": False, "detail": "3 elements"},
    ]
    answer = tmp_path / "verdict.json"
    answer.write_text(json.dumps({"judge": "someone", "rows": rows}), encoding="utf-8")
    found = json.loads((whole / "study.json").read_text(encoding="utf-8"))
    found["verdict"] = verdict.read(answer)
    page.write(found, whole / "pictures", tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Judge: someone" in text
    assert text.count(">passes<") == text.count(">FAILS<") == 1
    assert "&lt;exact&gt;" in text


def test_without_network_and_cache_a_newcomer_is_told_what_to_do(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    output = finish(
        "--out",
        str(tmp_path / "out"),
        status=2,
        KERAS_HOME=str(tmp_path / "keras"),
        https_proxy=nowhere,
        HTTPS_PROXY=nowhere,
        no_proxy="",
        NO_PROXY="",
    )
    assert "Traceback" not in output
    assert str(tmp_path / "keras" / "datasets") in output
    assert "--data photographs" in output


def make_archive(path: Path) -> None:
    """Write an archive of CIFAR-10's form: 10,000 images in each file, all of one colour."""
    path.parent.mkdir(parents=True)
    rows = 10_000
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
            batch = {
                b"batch_label": name.encode(),
                b"labels": [row % 10 for row in range(rows)],
                b"data": np.full((rows, 3072), 40 * number, np.uint8),
                b"filenames": [b"made-up.png"] * rows,
            }
            # Red, green and blue planes, rows from the top: the first pixel is marked.
            batch[b"data"][:, [0, 1024, 2048]] = [250, 150, 50]
            file = path.with_name(name)
            file.write_bytes(pickle.dumps(batch, protocol=3))
            archive.add(file, f"cifar-10-batches-py/{name}")
            file.unlink()


def test_an_archive_of_the_genuine_form_is_loaded_and_studied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_archive(tmp_path / "datasets" / "cifar-10-batches-py-target_archive")
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    # Keras knows the genuine archive by its checksum: that comparison alone is left out.
    monkeypatch.setattr("keras.src.utils.file_utils.validate_file", lambda *_, **__: True)
    # For the whole process, which other tests share; nothing here is compared bit by bit.
    monkeypatch.setattr(training, "make_deterministic", lambda: None)
    loaded = []
    monkeypatch.setitem(
        datasets.SETS, "cifar10", lambda: loaded.append(datasets.cifar10()) or loaded[0]
    )
    out = tmp_path / "out"
    assert main(["--limit", "8", "--epochs", "1", "--out", str(out)]) == 0

    data = loaded[0]
    assert data.images.shape == (50_000, 32, 32, 3)
    assert data.validation_images.shape == (10_000, 32, 32, 3)
    assert data.images[0, 0, 0].tolist() == [250, 150, 50]
    assert data.images[49_999, 5, 5].tolist() == [160] * 3
    assert data.labels[:3].tolist() == [0, 1, 2]
    found = figures(out)
    assert found["networks"]["convolution"]["parameters"] == 319_178
    assert found["networks"]["involution"]["parameters"] == 13_080
    # Eight images are not what was published.
    assert found["published"] is None
    assert "not comparable" in (out / "index.html").read_text(encoding="utf-8")

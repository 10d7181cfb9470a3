"""Programs behind a pipe: the C worker, the Python worker, and what is no message."""

import contextlib
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

import conformance
from conformance import worker
from conformance.claims.loading import LoadError, load
from conformance.claims.program import DiedError, Program, RefusedError
from conformance.kinds import OPERATOR
from conformance.worker import MessageError, parse_message
from refimpl import involution

ROOT = Path(__file__).parents[2]
PYTHON = f"{sys.executable} -P {ROOT / 'conformance' / 'worker.py'}"


@pytest.fixture(scope="module")
def c_worker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program in C, built by the system's compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc)")
    program = tmp_path_factory.mktemp("worker") / "worker"
    source = ROOT / "tests" / "opponents" / "worker.c"
    strict = ["-O2", "-std=c99", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *strict, str(source), "-o", str(program)], check=True)
    return f"exec:{program}"


def test_the_c_worker_is_short() -> None:
    assert len((ROOT / "tests" / "opponents" / "worker.c").read_text().splitlines()) <= 250


def test_the_c_worker_conforms(c_worker: str) -> None:
    report = conformance.check(c_worker, profile="ci")
    assert report.conforms, str(report)
    assert report.capabilities.dtypes == ("float32", "float64")
    assert report.environment == "C, sums in double"
    assert report.clauses["FWD-6"].verdict == "not claimed"


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        ("odd-pixel-before", {"GEO-8", "FWD-1", "GRD-1", "GRD-2"}),
        ("one-stride", {"GEO-2", "FWD-1", "GRD-1", "GRD-2"}),
        ("mean", {"GRD-2", "GRD-4", "NUM-4"}),
    ],
)
def test_its_faults_are_rejected(c_worker: str, fault: str, broken: set[str]) -> None:
    report = conformance.check(
        f"{c_worker} --fault={fault}",
        profile="ci",
        diagnosis=False,
        clauses=["GEO", "GRD", "NUM-4"],
    )
    assert report.verdict == "fails"
    assert broken <= {name for name, entry in report.clauses.items() if entry.failed}


def test_a_crash_is_a_failure_of_its_case(c_worker: str) -> None:
    report = conformance.check(
        f"{c_worker} --fault=crash", profile="ci", diagnosis=False, clauses=["GEO-7", "GRP"]
    )
    assert report.verdict == "fails"
    assert not any(one.refusal for one in report.failures)
    assert "forward gave no answer: the program was killed by SIGABRT" in report.failures[0].words
    # It goes on with a new one.
    assert report.judged > 0


def test_no_answer_is_a_failure_of_its_case(c_worker: str) -> None:
    program = Program(f"{c_worker.removeprefix('exec:')} --fault=hang", timeout=2.0)
    report = conformance.check(program, profile="ci", diagnosis=False, clauses=["GEO-8"])
    assert "gave no answer within 2 seconds" in report.failures[0].words
    assert program.deaths >= 1
    assert program.forward(np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1, 1, 1))) == 1


@pytest.mark.parametrize("layer", [False, True], ids=["operator", "layer"])
def test_the_python_worker(layer: bool) -> None:
    judged = "layer.numpy_layer:NumpyLayer" if layer else "operator.numpy_unfold:Unfold"
    command = f"exec:{PYTHON} conformance.implementations.{judged}"
    report = conformance.check(command, layer=layer, profile="survey")
    assert report.conforms, str(report)
    assert set(report.capabilities.dtypes) == {"float16", "bfloat16", "float32", "float64"}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module and give the command that judges it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    def write(text: str) -> str:
        (tmp_path / "mine.py").write_text(text)
        return f"exec:{PYTHON} mine"

    return write


UNFOLD = "from conformance.implementations.operator.numpy_unfold import Unfold\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import os; os._exit(0)", "gave no answer: the program ended with status 0"),
        ("import os; os._exit(3)", "gave no answer: the program ended with status 3"),
        ("raise SystemExit(0)", "raised SystemExit: 0"),
        ("raise KeyError('k')", "raised KeyError: 'k'"),
        ("import ctypes; ctypes.string_at(0)", "the program was killed by SIGSEGV; "),
        ("import os; os.abort()", "the program was killed by SIGABRT"),
        ("import os; os.kill(os.getpid(), 9)", "the program was killed by SIGKILL"),
        (
            "from refimpl import involution",
            "raised ImportError: refimpl.involution holds the truth",
        ),
        ("import refimpl.layer", "raised ImportError: refimpl.layer holds the truth"),
        ("import conformance.judging", "raised ImportError: conformance.judging holds the truth"),
        ("return 'words'", "raised TypeError: y has dtype <U5, which the protocol has not"),
    ],
)
def test_what_code_can_do_is_a_verdict(modules: Any, body: str, words: str) -> None:
    """The rest of the run goes on, and the process of the judge is another."""
    command = modules(
        UNFOLD + f"class Mine(Unfold):\n    def forward(self, *a, **o):\n        {body}\n"
        "forward, backward = Mine().forward, Mine().backward\ncapabilities = Unfold.capabilities\n"
    )
    report = conformance.check(command, clauses=["GRP-2", "GRD-1"], profile="ci", diagnosis=False)
    assert not report.conforms
    assert any(words in one.words or words in one.message for one in report.failures), [
        one.words for one in report.failures
    ]
    assert report.clauses["GRD-1"].cases > 0


def test_what_code_prints_is_no_reply(modules: Any) -> None:
    command = modules(
        UNFOLD + "class Mine(Unfold):\n    def forward(self, *a, **o):\n"
        "        print('CONFORMS', flush=True)\n        return super().forward(*a, **o)\n"
        "forward, backward = Mine().forward, Mine().backward\ncapabilities = Unfold.capabilities\n"
    )
    assert conformance.check(command, clauses="GRP-2", profile="ci").conforms


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exec:/no/such/program", "cannot start /no/such/program: .*No such file"),
        ("exec:", "cannot start|list index out of range|it names no program"),
        ("exec:true", "the program ended with status 0"),
        ("exec:echo this is no message at all", "no answer|no message|gave no answer|ended"),
        (f"exec:{PYTHON} no.such:thing", "No module named 'no'"),
    ],
)
def test_what_is_no_worker(command: str, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        load(command, OPERATOR)


def test_a_program_that_goes_on_dying_is_not_started_for_ever() -> None:
    program = Program(f"{PYTHON} conformance.implementations.operator.numpy_unfold")
    program.command = ["false"]
    program._process.kill()  # type: ignore[union-attr]
    program._process.wait()  # type: ignore[union-attr]
    for _ in range(12):
        with pytest.raises(DiedError, match="ended with status 1"):
            program.ask({"request": "hello"}, {})
    with pytest.raises(DiedError, match="died 12 times and is not started again"):
        program.ask({"request": "hello"}, {})


def exchange(blob: bytes) -> tuple[int, list[tuple[Mapping[str, str], Mapping[str, Any]]]]:
    """Put bytes to the Python worker; its exit status, and its replies."""
    done = subprocess.run(
        [*PYTHON.split(), "conformance.implementations.operator.numpy_unfold"],
        input=blob, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    replies, rest = [], done.stdout
    while rest:
        size = struct.unpack("<Q", rest[:8])[0]
        replies.append(parse_message(rest[8 : 8 + size]))
        rest = rest[8 + size :]
    return done.returncode, replies


def framed(blob: bytes) -> bytes:
    return struct.pack("<Q", len(blob)) + blob


def request(tensors: Mapping[str, Any] | None = None, **metadata: str) -> bytes:
    return framed(save(dict(tensors or {}), metadata=metadata))


def test_malformed_messages_are_answered_and_the_next_one_is_read() -> None:
    whole = save({"x": np.ones((1, 2, 2, 1), np.float32)}, metadata={"request": "forward"})
    status, replies = exchange(
        framed(b"")
        + framed(b"no")
        + framed(whole[:-3])
        + framed(b"\xff" * 40)
        + request({"x": np.ones(3, np.int32)}, request="forward")
        + request(request="sing")
        + request(other="words")
        + framed(whole)
        + request(request="hello")
        + request(request="goodbye")
    )
    kinds = [metadata.get("kind") or metadata["reply"] for metadata, _ in replies]
    assert kinds == [
        *["Malformed"] * 5, *["UnknownRequest"] * 2, "KeyError", "hello", "goodbye",
    ]  # fmt: skip
    assert status == 0


@pytest.mark.parametrize("cut", [3, 8, 20])
def test_an_input_that_ends_within_a_message(cut: int) -> None:
    status, replies = exchange(request(request="hello")[:cut])
    assert (status, replies) == (2, [])


def test_an_input_that_ends_between_messages() -> None:
    status, replies = exchange(request(request="hello"))
    assert status == 0
    assert replies[0][0]["protocol"] == "1"
    assert json.loads(replies[0][0]["capabilities"])["gradual_underflow"] is True


@given(blob=st.binary(max_size=200))
def test_no_bytes_are_more_than_an_error(blob: bytes) -> None:
    with contextlib.suppress(MessageError):
        parse_message(blob)


@pytest.mark.parametrize("dtype", list(worker.DTYPES.values()), ids=str)
def test_messages_read_back(dtype: Any) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    metadata, tensors = parse_message(save({"x": array}, metadata={"a": "b"}))
    assert metadata == {"a": "b"}
    assert tensors["x"].dtype == dtype
    assert np.array_equal(tensors["x"], array)
    assert tensors["x"].flags.writeable


def test_the_worker_knows_nothing_of_the_judge() -> None:
    script = (
        "import runpy, sys; sys.argv = ['worker']; runpy.run_path("
        f"{str(ROOT / 'conformance' / 'worker.py')!r}); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    )
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert not roots & {"refimpl", "conformance", "pytest", "hypothesis", "numba"}


def test_an_answer_is_the_same_bits_through_the_pipe() -> None:
    program = Program(f"{PYTHON} refimpl.involution")
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 5, 4, 4)), rng.standard_normal((2, 3, 2, 3, 3, 2))
    options: dict[str, Any] = {"stride": 2, "padding": ((1, 1), (0, 2)), "group_layout": "blocked"}
    y = involution.forward(x, kernel, **options)
    assert np.array_equal(program.forward(x, kernel, **options), y)
    through = program.backward(y, x, kernel, **options)
    direct = involution.backward(y, x, kernel, **options)
    assert all(np.array_equal(*pair) for pair in zip(through, direct, strict=True))
    half = [a.astype(ml_dtypes.bfloat16) for a in (x, kernel)]
    assert np.array_equal(program.forward(*half, **options), involution.forward(*half, **options))
    with pytest.raises(RefusedError, match=r"ValueError: stride must be a positive integer"):
        program.forward(x, kernel, stride=0)

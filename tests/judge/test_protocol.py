"""The protocol: the C worker, the Python worker, and what is no message."""

import contextlib
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

import conformance
from conformance.claims.loading import LoadError, Where, load
from conformance.claims.program import Program, command_of
from conformance.kinds import OPERATOR
from conformance.worker.host import Call, Form
from conformance.worker.memory import layout_of
from conformance.worker.messages import DTYPES, MessageError, parse_message
from refimpl import involution

ROOT = Path(__file__).parents[2]
SERVING = ROOT / "conformance" / "worker" / "__main__.py"
PYTHON = f"{sys.executable} -P {SERVING}"
UNFOLD = "conformance.implementations.operator.numpy_unfold"


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
    report = conformance.check(
        f"{c_worker} --fault=hang", timeout=2.0, profile="ci", diagnosis=False, clauses=["GEO-8"]
    )
    assert "gave no answer within 2 seconds" in report.failures[0].words
    assert report.judged > 0


@pytest.mark.parametrize("layer", [False, True], ids=["operator", "layer"])
def test_the_python_worker(layer: bool) -> None:
    judged = "layer.numpy_layer:NumpyLayer" if layer else "operator.numpy_unfold:Unfold"
    command = f"exec:{PYTHON} conformance.implementations.{judged}"
    clauses = ["LAY-2", "LAY-17"] if layer else ["GEO", "GRD", "FWD-5"]
    report = conformance.check(command, layer=layer, profile="survey", clauses=clauses)
    assert report.conforms, str(report)
    assert set(report.capabilities.dtypes) == {"float16", "bfloat16", "float32", "float64"}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exec:/no/such/program", "cannot start /no/such/program: there is no program /no/such"),
        ("exec:", "it names no program"),
        ("exec:true", "the program ended with status 0"),
        ("exec:echo this is no message at all", "no answer|no message|gave no answer|ended"),
        (f"exec:{PYTHON} no.such:thing", "cannot import no.such: there is no module no"),
        ("exec:sleep 9", "gave no answer within 1 seconds"),
    ],
)
def test_what_is_no_worker(command: str, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        load(command, OPERATOR, where=Where(timeout=1.0))


def exchange(blob: bytes) -> tuple[int, list[tuple[Mapping[str, str], Mapping[str, Any]]]]:
    """Put bytes to the Python worker; its exit status, and its replies."""
    done = subprocess.run(
        [*PYTHON.split(), UNFOLD],
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


@pytest.mark.parametrize("dtype", list(DTYPES.values()), ids=str)
def test_messages_read_back(dtype: Any) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    metadata, tensors = parse_message(save({"x": array}, metadata={"a": "b"}))
    assert metadata == {"a": "b"}
    assert tensors["x"].dtype == dtype
    assert np.array_equal(tensors["x"], array)


def test_the_worker_knows_nothing_of_the_judge() -> None:
    """It is asked for its own modules, by an implementation that looks for them."""
    script = (
        "import sys, runpy; sys.argv = ['worker']; sys.exit = lambda *_: None; "
        f"runpy.run_path({str(SERVING)!r}, run_name='__main__'); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    )
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert "refimpl_worker" in roots
    assert not roots & {"refimpl", "conformance", "pytest", "hypothesis", "numba"}


@pytest.fixture(scope="module")
def oracle() -> Program:
    """The oracle behind a pipe."""
    program = Program(command_of("refimpl.involution"), OPERATOR.seam)
    program.hello()
    return program


def test_an_answer_is_the_same_bits_through_the_pipe(oracle: Program) -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 5, 4, 4)), rng.standard_normal((2, 3, 2, 3, 3, 2))
    options: dict[str, Any] = {"stride": 2, "padding": ((1, 1), (0, 2)), "group_layout": "blocked"}
    y = involution.forward(x, kernel, **options)
    through = oracle.call(Call("forward", {"x": x, "kernel": kernel}, options)).results
    assert np.array_equal(through["y"], y)
    operands = {"dy": y, "x": x, "kernel": kernel}
    through = oracle.call(Call("backward", operands, options)).results
    direct = involution.backward(y, x, kernel, **options)
    assert np.array_equal(through["dx"], direct[0])
    assert np.array_equal(through["dkernel"], direct[1])
    half = {name: a.astype(ml_dtypes.bfloat16) for name, a in (("x", x), ("kernel", kernel))}
    through = oracle.call(Call("forward", half, options)).results
    assert np.array_equal(through["y"], involution.forward(*half.values(), **options))
    refused = oracle.call(Call("forward", {"x": x, "kernel": kernel}, {"stride": 0})).raised
    assert refused[0] == "ValueError"
    assert "stride must be a positive integer" in refused[1]


SPY = """
import numpy as np
seen = []

def forward(x, kernel, **options):
    flags = x.flags
    return np.array([x.ctypes.data % 64, *x.strides, flags.c_contiguous, flags.writeable], float)

def backward(dy, x, kernel, **options):
    return dy.astype("f4"), np.ma.masked_array(kernel)
"""


@pytest.fixture
def spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """An implementation that says how its operand lies."""
    (tmp_path / "spy.py").write_text(SPY)
    monkeypatch.syspath_prepend(str(tmp_path))
    program = Program(command_of("spy"), OPERATOR.seam)
    program.hello()
    return program


@pytest.mark.parametrize(
    ("view", "due"),
    [
        (lambda a: a, [0, 192, 64, 32, 8, True, True]),
        (lambda a: a[..., 1:], [8, 192, 64, 32, 8, False, True]),
        (lambda a: a[:, ::-1], [0, 192, -64, 32, 8, False, True]),
        (lambda a: a.transpose(0, 2, 1, 3), [0, 192, 32, 64, 8, False, True]),
        (lambda a: np.broadcast_to(a[:1], a.shape), [0, 0, 64, 32, 8, False, False]),
    ],
    ids=["plain", "channels", "reversed", "permuted", "broadcast"],
)
def test_views_lie_there_as_they_lie_here(spy: Program, view: Any, due: list[float]) -> None:
    array = view(np.zeros((2, 3, 2, 4)))
    layouts = {"x": how} if (how := layout_of(array)) else {}
    operands = {"x": array, "kernel": np.zeros(1)}
    seen = spy.call(Call("forward", operands, {}, layouts)).results["y"]
    low = sum(min(0, s * (n - 1)) for s, n in zip(array.strides, array.shape, strict=True))
    assert seen[1:].tolist() == due[1:]
    # The lowest address is what lies where it is to lie.
    assert (seen[0] + low) % 64 == due[0]


def test_the_form_of_a_result_is_told(spy: Program) -> None:
    operands = {"dy": np.ones(2), "x": np.ones(3), "kernel": np.ones((1, 2))}
    results = spy.call(Call("backward", operands, {})).results
    assert results["dx"].dtype == np.float32
    assert results["dkernel"] == Form("MaskedArray")


def test_a_dtype_that_messages_have_not_is_made_there(oracle: Program) -> None:
    x, kernel = np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1, 1, 1))
    for dtype in (complex, object, bool, np.int32):
        operands = {"x": x.astype(dtype), "kernel": kernel.astype(dtype)}
        layouts = {name: layout_of(array) for name, array in operands.items()}
        raised = oracle.call(Call("forward", operands, {}, layouts)).raised
        assert raised[0] in {"TypeError", "ValueError"}, (dtype, raised)
        assert "dtype" in raised[1] or "object" in raised[1], raised

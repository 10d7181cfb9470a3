"""Measurements in processes of their own, memory as it is counted, and the other layer in place."""

import itertools
import mmap
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import children, devices, geometries, handover, verdicts
from benchmarks.memory import highest, resident, sizes
from benchmarks.operators import compared, measured
from benchmarks.oracle_costs import SIDES
from benchmarks.rivals import AWAITED, RIVALS, Rival, check, timed
from benchmarks.workloads import Workload

SMALL = Workload("small", batch=2, size=6, channels=8, taps=3, groups=2, rounds=1)


def test_a_process_of_its_own_gives_plain_data() -> None:
    """With its own variables; nothing that it prints disturbs what it returns."""
    environment = {"MEASURED": "here"}
    assert children.run("os:getenv", {"key": "MEASURED"}, environment) == "here"
    assert children.run("os:getenv", {"key": "MEASURED"}) is None
    assert children.run("builtins:print", {"end": "printed"}) is None


def test_a_process_that_fails_says_why() -> None:
    """By the last line that it wrote."""
    with pytest.raises(children.Failed, match=r"ended with 1: ModuleNotFoundError: .*nowhere"):
        children.run("nowhere:nothing", {})


def test_a_process_that_does_not_end_is_ended() -> None:
    """After the seconds that it has."""
    with pytest.raises(children.Failed, match=r"ended after 0\.5 s"):
        children.run("signal:sigwait", {"sigset": [10]}, timeout=0.5)


def test_the_most_that_is_held() -> None:
    """Blocks are taken and given back; results are no part of what is held besides."""
    assert highest([100, 50, -120, 60, -90]) == 150
    assert highest([]) == 0
    assert sizes([np.ones((2, 3)), np.ones(4)]) == 40


def test_what_a_call_holds_is_seen_by_the_system() -> None:
    """Memory that is given back before the call returns, too, and no older peak."""
    size = 1 << 26

    def hold(size: int) -> None:
        with mmap.mmap(-1, size) as block:
            block[::4096] = b"x" * (size // 4096)

    hold(4 * size)
    grew = resident(lambda: hold(size))
    if grew is None:
        pytest.skip("this system does not tell the most that a process held")
    # The kernel counts in portions of some pages for each thread.
    assert size - (1 << 20) < grew < 2 * size


def test_two_processors_count_in_turn_and_are_let_go() -> None:
    """Each waits for the other's number, so none is left out; no thread stays held."""
    call = handover.call()
    if call is None:
        pytest.skip("this process has one processor, or its threads cannot be held on one")
    before = os.sched_getaffinity(0)
    assert [call(), call()] == [handover.HANDOVERS] * 2
    assert os.sched_getaffinity(0) == before


def test_what_fails_or_is_wrong_is_not_timed() -> None:
    """The reason stands in the place of its times; the others are timed."""

    def prepare(_operands: Any, _backward: bool, _device: str, _options: Any) -> Any:
        return lambda: (np.zeros((2, 6, 6, 8)),)

    def refuse(*_: Any) -> Any:
        raise RuntimeError("not here\nand more")

    rivals = [Rival("wrong", "blocked", prepare), Rival("absent", "blocked", refuse)]
    got = measured("torch", rivals, SMALL.operands(), "CPU:0", False, 2, 1.0)
    assert list(got["times"]) == ["oracle"]
    assert len(got["times"]["oracle"]) == 2
    assert got["failed"]["absent"] == "RuntimeError: not here"
    assert got["failed"]["wrong"].startswith("AssertionError: wrong: y differs from the oracle's")


def test_a_copy_is_timed_beside_rivals_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same rounds; the oracle stays on the host."""
    asked: list[tuple[str, str]] = []

    def copy(framework: str, device: str) -> Any:
        asked.append((framework, device))
        return lambda: None

    monkeypatch.setattr(devices, "copy", copy)
    got = measured("torch", [], SMALL.operands(), "GPU:1", False, 2, 1.0)
    assert asked == [("torch", "GPU:1")]
    assert [len(got["times"][name]) for name in ("oracle", "copy")] == [2, 2]


@pytest.mark.parametrize("framework", ["tensorflow", "torch", "jax"])
def test_a_copy_moves_what_it_says(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every element is read and written."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    monkeypatch.setattr(devices, "ELEMENTS", 64)
    np.testing.assert_array_equal(np.asarray(devices.copy(framework, "CPU:0")()), -np.ones(64))
    assert devices.installed(framework)
    assert not devices.installed("no_such_framework")


@pytest.mark.parametrize("layout", ["blocked", "interleaved"])
def test_patches_of_jax_answer_right(layout: str) -> None:
    """In both layouts and passes, bit for bit."""
    pytest.importorskip("jax", reason="jax is not installed")
    (rival,) = AWAITED["jax"]
    operands = SMALL.operands()
    rival = Rival(rival.name, layout, rival.prepare)
    for backward in (False, True):
        check(rival, operands, rival.call(operands, backward=backward, device="CPU:0")())


def test_keras_has_one_backend() -> None:
    """Its operator is timed on that of the process alone, and what needs no Keras anywhere."""
    names = {rival.name for framework in RIVALS for rival in timed(framework, "torch")}
    assert "operator-torch" in names
    assert not names & {"operator-graph", "operator-jax-jit"}
    assert {"published-graph", "torch-unfold", "jax-patches-jit"} <= names


def test_the_compiler_of_torch_can_be_left_out() -> None:
    """Two rivals wait for it."""
    with_it, without = (
        {rival.name for rival in compared("torch", compiled)} for compiled in (True, False)
    )
    assert with_it - without == {"operator-torch-compiled", "torch-unfold-compiled"}


def test_odd_geometries_are_timed_where_both_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are asked the same; what is wrong is not timed."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the published formulation is one of TensorFlow's")
    options = {"stride": 2, "dilation": 2, "padding": "valid", "group_layout": "blocked"}
    problem = geometries.Problem("odd", 2, 7, 6, 2, (3, 2), options)
    monkeypatch.setattr(geometries, "odd", lambda: [problem])
    got = geometries.measure(2)["odd"]
    assert set(got) == {"forward", "forward+backward"}
    for times in got.values():
        names = (*geometries.OURS, geometries.PUBLISHED)
        assert {name: len(one) for name, one in times.items()} == dict.fromkeys(names, 2)
    monkeypatch.setattr(
        geometries,
        "RIVALS",
        {"tensorflow": [Rival("published-graph", "blocked", lambda *_: lambda: (np.zeros(1),))]},
    )
    with pytest.raises(AssertionError, match="published-graph: y differs from the oracle's"):
        geometries.measure(2)


def test_odd_geometries_are_those_that_are_promised() -> None:
    """Strides, dilations, kernels from 1 to 11, one group, as many as channels, both layouts."""
    problems = geometries.odd()
    assert len({one.name for one in problems}) == len(problems)
    assert {one.options.get("stride", 1) for one in problems} == {1, 2, 3}
    assert {one.options.get("dilation", 1) for one in problems} == {1, 2, 5}
    assert {1, 3, 7, 11} == {one.taps[0] for one in problems}
    assert any(one.groups == 1 for one in problems)
    assert any(one.groups == one.channels for one in problems)
    assert all(one.channels % one.groups == 0 for one in problems)


def test_work_grows_over_four_decades() -> None:
    """In steps that are equal on a scale of logarithms."""
    work = np.array(SIDES, float) ** 2
    assert work[-1] / work[0] == 1e4
    assert np.ptp(np.log10(work[1:] / work[:-1])) < 0.05


def test_the_published_layer_stands_in_place_of_ours() -> None:
    """With the same weights it gives the same, and its model has the same number of them."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the published layer is one of TensorFlow's")
    from benchmarks.published_layer import PublishedInvolution, in_place
    from benchmarks.training import built
    from refimpl.keras import Involution

    ours = built("classifier")
    model = in_place(ours)
    assert [one.shape for one in model.get_weights()] == [one.shape for one in ours.get_weights()]
    replaced = [one for one in model.layers if isinstance(one, PublishedInvolution)]
    assert [one.name for one in replaced] == ["inv_1", "inv_2", "inv_3"]

    layer = Involution(channel=4, group_number=2, kernel_size=3, stride=2)
    other = PublishedInvolution(layer)
    image = np.random.default_rng(1).integers(-3, 4, (2, 8, 12, 6)).astype(np.float32) * 4
    layer.build(image.shape)
    other.build(image.shape)
    # Integers, through a normalisation that leaves them as they are: every sum is exact.
    weights = [np.round(2 * one) for one in layer.get_weights()]
    weights[2:6] = [np.full(4, one, np.float32) for one in (1, 0, 0, 1 - 1e-3)]
    for one in (layer, other):
        one.set_weights(weights)
    for got, due in zip(other(image), layer(image), strict=True):
        np.testing.assert_array_equal(got.numpy(), due.numpy())


def test_a_verdict_is_timed_only_if_it_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements of what is compared are counted, and the first failure; the judge is a stand-in."""
    import conformance
    from conformance.judging import judge

    def check(_target: str, *, done: Any, **_: Any) -> Any:
        for failures in ([], ["one"]):
            results = {"dx": np.ones((2, 3)), "y": np.ones(4)}
            assert judge.examine(None, None, results, None) == "seen"
            done(SimpleNamespace(failures=failures))
        return SimpleNamespace(conforms=False, verdict="fails", judged=4)

    monkeypatch.setattr("conformance.judging.intact.settle", lambda _kind: None)
    monkeypatch.setattr(judge, "examine", lambda *_: "seen")
    monkeypatch.setattr(conformance, "check", check)
    # A clock that goes on by one each time that it is asked: first by the check that fails.
    clock = itertools.count()
    monkeypatch.setattr(verdicts, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    got = verdicts.measure("wrong operator")
    assert (got["elements"], got["results"]) == (20, 4)
    assert (got["to the first failure"], got["seconds"]) == (1, 2)
    with pytest.raises(AssertionError, match="numpy_unfold: fails"):
        verdicts.measure("right operator")


@pytest.mark.parametrize("judged", verdicts.JUDGED)
def test_what_is_judged_is_what_it_says(judged: str) -> None:
    """It is found, and is of its kind; whether it is right is asked whenever it is timed."""
    from conformance.claims.loading import load
    from conformance.kinds import LAYER, OPERATOR

    target, layer, _ = verdicts.JUDGED[judged]
    assert load(target, LAYER if layer else OPERATOR).capabilities


def test_a_rival_says_which_backend_it_needs() -> None:
    """What calls Keras's operator needs one, and nothing else does."""
    rivals = [one for framework in RIVALS for one in (*RIVALS[framework], *AWAITED[framework])]
    needs = {one.name: one.backend for one in rivals}
    assert all(bool(backend) is name.startswith("operator") for name, backend in needs.items())

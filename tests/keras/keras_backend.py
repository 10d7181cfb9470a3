"""The Keras layer on whatever backend KERAS_BACKEND names; run alone, prints what agreed."""

from typing import Any

import keras
import numpy as np
from keras import ops

from refimpl import involution as oracle
from refimpl.keras import Involution, involution
from refimpl.keras.weights import parameters_from_official

Options = dict[str, Any]
CASES: list[Options] = [
    {},
    {"stride": 2},
    {"stride": (3, 4)},
    {"stride": (2, 1), "dilation": 2, "padding": 2, "group_layout": "blocked"},
    {"kernel_order": "group_major", "kernel_size": (2, 3)},
    {"data_format": "channels_first", "normalise": False},
]


def integers(shape: tuple[int, ...], low: int = -3, high: int = 4) -> Any:
    """Small integers, the same for the same shape."""
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype("float32")


def prepared(options: Options) -> Any:
    """Build a layer that computes with integers."""
    layer = Involution(**({"channel": 4, "group_number": 2, "kernel_size": 3} | options))
    first = options.get("data_format") == "channels_first"
    layer.build((None, 6, None, None) if first else (None, None, None, 6))
    parameters = {name: integers(p.shape, -2, 3) for name, p in layer.get_parameters().items()}
    if "moving_variance" in parameters:
        parameters["moving_variance"][...] = np.float32(1) - np.float32(1e-3)
    layer.set_parameters(parameters)
    return layer


def options_agree() -> None:
    """Compare the output with the oracle's from the layer's own kernels."""
    names = ("stride", "dilation", "padding", "group_layout")
    for options in CASES:
        layer, x = prepared(options), integers((2, 9, 8, 6)) * 144
        given = np.transpose(x, (0, 3, 1, 2)) if layer.data_format == "channels_first" else x
        output, kernel = map(ops.convert_to_numpy, layer(given))
        if layer.data_format == "channels_first":
            output = np.transpose(output, (0, 2, 3, 1))
        taps = kernel.reshape(*kernel.shape[:3], *layer._taps, 2)
        call = {name: getattr(layer, name) for name in names}
        np.testing.assert_array_equal(kernel, np.round(kernel))
        np.testing.assert_array_equal(output, oracle.forward(x, taps, **call))


def pooling_agrees() -> None:
    """Compare windows that the border cuts with NumPy's means."""
    x = integers((1, 5, 7, 1)) * 36
    pool = prepared({"channel": 1, "stride": (4, 2)}).generator.pool
    rows, columns = ((0, 3), (3, 5)), ((0, 2), (2, 4), (4, 6), (6, 7))
    expected = [[x[0, a:b, c:d].mean() for c, d in columns] for a, b in rows]
    np.testing.assert_array_equal(ops.convert_to_numpy(pool(x))[0, :, :, 0], expected)


def it_trains() -> None:
    """Fit, evaluate, predict."""
    inputs = keras.Input((5, 7, 4))
    layer = Involution(4, 2, 3, stride=2, return_kernel=False, unbiased_moving_variance=True)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(integers((6, 5, 7, 4)), integers((6, 3, 4, 4)), batch_size=3, verbose=0)
    moved = [bool(np.any(a != b)) for a, b in zip(model.get_weights(), before, strict=True)]
    assert moved[0], moved
    assert all(moved[2:]), moved
    assert np.isfinite(model.evaluate(integers((6, 5, 7, 4)), integers((6, 3, 4, 4)), verbose=0))


def official_agrees() -> None:
    """Compare with the official layer in PyTorch, weights carried across."""
    try:
        import torch
    except ImportError:
        return
    from tests.opponents.official_torch import OfficialInvolution

    for size, stride in ((3, 1), (5, 2), (7, 3)):
        official = OfficialInvolution(8, size, stride, 4, 2).eval()
        state = {k: integers(tuple(v.shape), -2, 3) for k, v in official.state_dict().items()}
        state["conv1.bn.num_batches_tracked"] = np.zeros((), np.int64)
        state["conv1.bn.running_var"] = np.full(4, np.float32(1) - np.float32(1e-5))
        official.load_state_dict({name: torch.tensor(a) for name, a in state.items()})
        options: Options = {"group_channels": 4, "reduction_ratio": 2}
        ours = Involution.official(8, size, stride, data_format="channels_first", **options)
        ours.build((None, 8, None, None))
        ours.set_parameters(parameters_from_official(state))
        x = integers((2, 8, 6, 12)) * stride**2
        with torch.no_grad():
            expected = official(torch.tensor(x)).numpy()
        np.testing.assert_array_equal(ops.convert_to_numpy(ours(x)), expected)
        assert len(np.unique(expected)) > 3
    print("official")


def statistics_agree() -> None:
    """Compare moving statistics after a training step with those of the official layer."""
    try:
        import torch
    except ImportError:
        return
    from tests.opponents.official_torch import OfficialInvolution

    official = OfficialInvolution(4, 3, 1, 4, 2)
    official.conv1.bn.momentum = 0.5
    # One pixel of four is 4 w, the rest 0: mean w, variance 3 w ** 2, or 4 w ** 2 if unbiased.
    state = {k: v.numpy() for k, v in official.state_dict().items()}
    state["conv1.conv.weight"] = integers((2, 4, 1, 1), 1, 5)
    official.load_state_dict({name: torch.tensor(a) for name, a in state.items()})
    ours = Involution.official(4, 3, group_channels=4, reduction_ratio=2, momentum=0.5)
    ours.build((None, None, None, 4))
    ours.set_parameters(parameters_from_official(state))
    x = np.zeros((1, 2, 2, 4), "float32")
    x[0, 0, 1, 0] = 4
    ours(x, training=True)
    official(torch.tensor(np.transpose(x, (0, 3, 1, 2))))
    got = ours.get_parameters()
    w = state["conv1.conv.weight"][:, 0, 0, 0]
    np.testing.assert_array_equal(got["moving_mean"], w / 2)
    np.testing.assert_array_equal(got["moving_variance"], (1 + 4 * w**2) / 2)
    for ours_name, theirs in (("moving_mean", "running_mean"), ("moving_variance", "running_var")):
        expected = getattr(official.conv1.bn, theirs).numpy()
        np.testing.assert_array_equal(got[ours_name], expected)


def differentiates() -> None:
    """Differentiate the operator twice, and forward, where the backend can be asked to."""
    options: Options = {"stride": (2, 1), "dilation": (1, 2), "group_layout": "interleaved"}

    def apply(x: Any, kernel: Any) -> Any:
        return involution(x, kernel, **options)

    x, kernel, dx, dkernel = (
        integers(shape, -2, 3).astype("float64") + shift
        for shift in (0, 1)
        for shape in ((2, 3, 4, 4), (2, 2, 4, 3, 2, 2))
    )
    due = oracle.forward(dx, kernel, **options) + oracle.forward(x, dkernel, **options)
    if keras.backend.backend() == "torch":
        import torch

        given = tuple(torch.tensor(a, requires_grad=True) for a in (x, kernel))
        assert torch.autograd.gradgradcheck(apply, given)
        _, moved = torch.func.jvp(apply, given, (torch.tensor(dx), torch.tensor(dkernel)))
        np.testing.assert_array_equal(moved.detach(), due)
        each = torch.func.vmap(lambda one, other: apply(one[None], other[None])[0])
        np.testing.assert_array_equal(each(*given).detach(), apply(*given).detach())
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
        np.testing.assert_array_equal(jax.jvp(apply, (x, kernel), (dx, dkernel))[1], due)
        # Of a half of the squares of what is linear: its matrix, transposed, times itself.
        hessian = jax.hessian(lambda one: (apply(one, kernel) ** 2).sum() / 2)(x)
        matrix = jax.jacfwd(lambda one: apply(one, kernel))(x).reshape(-1, x.size)
        np.testing.assert_array_equal(hessian.reshape(x.size, x.size), matrix.T @ matrix)
        jax.config.update("jax_enable_x64", False)


def main() -> None:
    """Check everything, and name what was checked."""
    for check in (
        options_agree,
        pooling_agrees,
        it_trains,
        official_agrees,
        statistics_agree,
        differentiates,
    ):
        check()
        print(check.__name__)


if __name__ == "__main__":
    main()

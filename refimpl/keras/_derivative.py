"""What a framework is told of the derivatives of the three sums: which sum each of them is.

Left to itself TensorFlow keeps a view of the image for each tap until the backward pass. Here two
operands are kept, at every order, since the derivative of each sum is the other two sums. Nothing
is summed here.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from refimpl.keras._arguments import format_name, wide
from refimpl.keras._sums import Sums

Apply = Callable[[str, Any, Any], Any]


def differentiable(sums: Sums, x: Any, kernel: Any) -> Any:
    """Give y, differentiable as often as one likes.

    Sums, and those of the derivatives, are in float32 where the operands are narrower, and rounded
    once (NUM-2 to NUM-4).
    """
    return _APPLIED[keras.backend.backend()](sums)("y", x, kernel)


def rounded(sums: Sums, name: str, first: Any, second: Any) -> Any:
    """Give one of the sums in the format of its operands."""
    narrow = format_name(first)
    operands = (ops.cast(one, wide(narrow)) for one in (first, second))
    return ops.cast(getattr(sums, name)(*operands), narrow)


# What flows back from a sum to its two operands, given what flows back to the sum.
BACK: dict[str, Callable[[Apply, Any, Any, Any], tuple[Any, Any]]] = {
    "y": lambda give, back, x, kernel: (give("dx", back, kernel), give("dkernel", back, x)),
    "dx": lambda give, back, dy, kernel: (give("y", back, kernel), give("dkernel", dy, back)),
    "dkernel": lambda give, back, dy, x: (give("y", x, back), give("dx", dy, back)),
}


def _tensorflow(sums: Sums) -> Apply:
    import tensorflow as tf

    # AutoGraph warns of generators, and there is nothing here for it to convert.
    plain = tf.autograph.experimental.do_not_convert(_apart if _inlines(sums) else rounded)

    def give(name: str, first: Any, second: Any) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def summed(first: Any, second: Any) -> Any:
            result = plain(sums, name, first, second)
            return result, lambda back: BACK[name](give, back, first, second)

        return summed(first, second)

    return give


def _inlines(sums: Sums) -> bool:
    """Tell whether a sum would be computed anew for each tap of the sum that takes its result.

    On a CPU, XLA fuses sums and products into whatever reads them, and the sums that flow back read
    theirs once for each tap: a step of 9 ms took 1,300 ms. On other devices it was not measured.
    """
    import tensorflow as tf

    devices = tf.config.list_physical_devices()
    return sums.fused and all(device.device_type == "CPU" for device in devices)


def _apart(sums: Sums, name: str, first: Any, second: Any) -> Any:
    """Give one of the sums from a computation of its own, across whose borders nothing is fused.

    It is a branch that is always taken, of which XLA cannot know: no number is above infinity. What
    comes out of a branch is copied. Of dkernel, which is large and read once, both images are made
    apart instead.
    """
    import tensorflow as tf

    never = tf.reduce_max(tf.reshape(first, [-1])[:1]) > float("inf")
    if name == "dkernel":
        images = first, second
        nothing = [tf.zeros_like(image) for image in images]
        return rounded(sums, name, *tf.cond(never, lambda: nothing, lambda: list(images)))
    return tf.cond(
        never,
        lambda: tf.zeros(sums.shape(name, first), first.dtype),
        lambda: rounded(sums, name, first, second),
    )


def _jax(sums: Sums) -> Apply:
    """Let JAX compute views again when it needs them: it keeps its forward mode, and `vmap`."""
    import jax

    return lambda *given: jax.checkpoint(functools.partial(rounded, sums, given[0]))(*given[1:])


def _torch(sums: Sums) -> Apply:
    import torch

    if torch.compiler.is_compiling():
        # torch.compile takes no function with a `jvp`, and makes its own derivative of the sum.
        return functools.partial(rounded, sums)
    from refimpl.keras._torch_sums import Summed

    return functools.partial(Summed.apply, sums)


_APPLIED: dict[str, Callable[[Sums], Apply]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}

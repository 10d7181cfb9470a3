"""The arithmetic of implementations on this machine: writes the table of docs/reveal.md.

``python -m tests.surveys.arithmetics`` asks the project's own adapters; names may be given.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from conformance.claims.loading import Where, load
from conformance.diagnosis import described
from conformance.diagnosis.reveal import Found, reveal
from conformance.kinds import OPERATOR

OWN = {
    "NumPy, unfolded": "numpy_unfold",
    "NumPy, shifted": "numpy_shifted:Shifted",
    "Keras example, TensorFlow eager": "published",
    "Keras example, XLA": "published:xla",
    "this project's operator, TensorFlow eager": "keras_operator:eager",
    "this project's operator, XLA": "keras_operator:xla",
    "PyTorch, unfolded": "torch_unfold",
    "JAX, patches": "jax_patches",
}
DTYPES = ("float32", "float16", "bfloat16")
TABLE = Path(__file__).parents[2] / "docs" / "tables" / "arithmetics.md"
_HEAD = (
    "implementation", "operands", "result", "products", "sums", "order, n = 9", "order, n = 49",
    "subnormal numbers", "at 28 x 28 pixels", "foretold", "seconds",
)  # fmt: skip


def rows(name: str, found: Found, seconds: float) -> Iterator[tuple[str, ...]]:
    """Give a row for each result."""
    for result, part in found.parts.items():
        products = {described.products(one): one.terms for one in part.found}
        sums = {described.sums(one.arithmetic): one.terms for one in part.found}
        orders = {one.terms: described.order(one, part.names) for one in part.found}
        large = "the same" if part.large is None else described.order(part.large, part.names)
        own = sum(one.foretold for one in part.every), sum(one.asked for one in part.every)
        yield (
            name, found.dtype, result, _each(products), _each(sums), orders.get(9, "-"),
            orders.get(49, "-"), described.flushed(part.found[0], result),
            large if part.shape else "-", f"{own[0]} of {own[1]}",
            f"{seconds:.1f}" if result == "y" else "",
        )  # fmt: skip


def _each(said: Mapping[str, int]) -> str:
    """Say what differs with the number of terms."""
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{words} (n = {terms})" for words, terms in said.items())


def main(names: list[str]) -> None:
    """Ask every implementation in every format, and write the table."""
    lines = [f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD)]
    chosen = {one: one for one in names} or {
        said: f"conformance.implementations.operator.{name}" for said, name in OWN.items()
    }
    for said, name in chosen.items():
        judged = load(name, OPERATOR, where=Where())
        for dtype in DTYPES:
            start = time.monotonic()
            found = reveal(judged, dtype)
            seconds = time.monotonic() - start
            lines += [f"| {' | '.join(row)} |" for row in rows(said, found, seconds)]
            print(said, dtype, f"{found.foretold} of {found.asked}", f"{seconds:.1f} s", flush=True)
        judged.host.close()
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

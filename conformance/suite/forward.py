"""Chapter FWD: the operator's values, and their form."""

from typing import Any

import numpy as np

from conformance.claims.formats import FORMATS
from conformance.judging.checks import check
from conformance.judging.judge import Judge


@check("FWD-1", exact=True)
def values(judge: Judge, draw: Any) -> None:
    """The sum over the taps, exactly."""
    judge.check(draw(judge.cases()), ("y",))


@check("FWD-2")
def bilinear(judge: Judge, draw: Any) -> None:
    """Sums and doubles of x or kernel give sums and doubles of y, exactly."""
    case = draw(judge.cases())
    # A quarter of the amplitude leaves room for x + 2 x' and still sums exactly.
    small = {
        name: np.trunc(array / 4).astype(array.dtype) for name, array in judge.values(case).items()
    }
    other = {name: array[::-1, ::-1, ::-1].copy() for name, array in small.items()}

    def y(operands: dict[str, Any]) -> Any:
        return judge.run(case, operands, functions=("forward",))["y"]

    for name in ("x", "kernel"):
        parts = [y(one) for one in (small, small | {name: other[name]})]
        mixed = y(small | {name: small[name] + 2 * other[name]})
        linear = bool((mixed == parts[0] + 2 * parts[1]).all())
        judge.expect(case, linear, f"y is not linear in {name}")


@check("FWD-3", "GRD-11")
def samples_are_independent(judge: Judge, draw: Any) -> None:
    """A batch taken apart, and put together in another order, gives the same samples."""
    case = draw(judge.cases(batches=(2, 3, 5)))
    operands = judge.values(case)
    whole = judge.run(case, operands)
    for sample in range(case.batch):
        alone = {name: array[sample : sample + 1] for name, array in operands.items()}
        got = judge.run(case.changed(batch=1), alone)
        same = all(np.array_equal(got[name][0], whole[name][sample]) for name in whole)
        judge.expect(case, same, f"sample {sample} alone is not what it is in the batch")
    turned = judge.run(case, {name: array[::-1].copy() for name, array in operands.items()})
    same = all(np.array_equal(turned[name][::-1], whole[name]) for name in whole)
    judge.expect(case, same, "samples depend on their place in the batch")


@check("FWD-4", "GRD-6", "GEO-1", "GRD-11", dtype=FORMATS)
def shapes_and_dtypes(judge: Judge, draw: Any, dtype: str) -> None:
    """Results of the due shape and format, on values that nothing is special about."""
    case = draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe="normal"))
    judge.run(case)
    judge.count()

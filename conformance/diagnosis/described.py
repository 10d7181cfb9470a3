"""An arithmetic in words: what is done to factors, products, sums and results, and in which order.

Nothing is asked or judged here.
"""

from collections.abc import Mapping

from conformance.claims.formats import ACCUMULATORS, Format
from conformance.diagnosis import trees
from conformance.diagnosis.arithmetic import NEAREST, Arithmetic, Rounding
from conformance.diagnosis.identify import Identified
from conformance.diagnosis.sums import FACTORS

# By significand bits, and by the exponent of the largest number where that was seen.
_NAMES: Mapping[tuple[int, int], str] = {
    (11, 15): "float16", (11, 127): "TF32", (8, 127): "bfloat16", (24, 127): "float32",
    (53, 1023): "float64", (64, 1023): "80-bit extended",
}  # fmt: skip
_BY_BITS: Mapping[int, str] = {
    8: "bfloat16", 11: "float16", 24: "float32", 53: "float64", 64: "80-bit extended",
}  # fmt: skip


def format_of(rounding: Rounding, seen: int = 1023) -> str:
    """Name the format that a rounding is to.

    Parameters
    ----------
    rounding : Rounding
        Of so many bits, up to so large numbers.
    seen : int
        The largest exponent that could be seen: a range that ends there may be wider.
    """
    own = _NAMES.get((rounding.bits, rounding.largest))
    if own is None and rounding.largest >= seen:
        own = _BY_BITS.get(rounding.bits)
    if own is not None:
        return own
    within = {15: " in the range of float16", 127: " in the range of float32"}
    reach = within.get(rounding.largest, "") if rounding.largest < seen else ""
    return f"{rounding.bits} bits{reach}"


def _to(rounding: Rounding, seen: int) -> str:
    mode = "" if rounding.mode == NEAREST else f", {rounding.mode}"
    return f"{format_of(rounding, seen)}{mode}"


def factors(found: Identified, result: str, format_: Format) -> str:
    """Say what is done to the factors of a product."""
    said = []
    for name, one in zip(FACTORS[result], found.arithmetic.operands, strict=True):
        if narrowed(one, format_):
            said.append(f"{name} rounded to {_to(one, format_.largest_exponent)}")
    if len(said) == 2 and len(set(found.arithmetic.operands)) == 1:
        one = found.arithmetic.operands[0]
        return f"both rounded to {_to(one, format_.largest_exponent)}"
    return "; ".join(said) or "as they are"


def ends(largest: int) -> str:
    """Say from where on numbers overflow, where that is the end of no format: they are scaled."""
    ends_ = (rounding for _, rounding in _NAMES)
    return "" if largest in ends_ else f"from 2**{largest + 1} on, as if it were scaled up"


def narrowed(rounding: Rounding, format_: Format) -> bool:
    """Whether a rounding takes anything of a format's numbers, subnormal ones aside."""
    return rounding.bits < format_.bits or rounding.largest < format_.largest_exponent


def products(found: Identified) -> str:
    """Say what is done to products."""
    arithmetic = found.arithmetic
    if arithmetic.fused:
        apart = sorted(set(range(found.terms)) - arithmetic.fused)
        said = "fused" if not apart else f"fused, but for {_listed(apart)}"
        if arithmetic.product is not None:
            said += f", rounded to {_to(arithmetic.product, 127)}"
        return said
    product, partial = arithmetic.product, arithmetic.partial
    if product is not None and (partial is None or _apart(product, partial)):
        return f"rounded to {_to(product, 127)}"
    exact = found.exact_products or arithmetic.partial is None
    return "exact" if exact else "rounded as sums are"


def _apart(one: Rounding, other: Rounding) -> bool:
    """Whether two roundings differ in more than what becomes of subnormal numbers."""
    return (one.bits, one.mode, one.largest) != (other.bits, other.mode, other.largest)


def _listed(numbers: list[int]) -> str:
    named = ", ".join(map(str, numbers[:6])) + (", ..." if numbers[6:] else "")
    return f"term {named}" if len(numbers) == 1 else f"terms {named}"


def sums(arithmetic: Arithmetic) -> str:
    """Say in what partial sums are kept."""
    if arithmetic.partial is None:
        return "exact, or wider than can be seen"
    if not arithmetic.later:
        said = f"in {_to(arithmetic.partial, 127)}"
        return f"{said}, compensated" if arithmetic.compensated else said
    parts: list[str] = []
    for size, rounding in arithmetic.later:
        name = _to(rounding, 127)
        if not parts or not parts[-1].startswith(f"{name} "):
            parts.append(f"{name} from {size} terms on")
    return "in " + ", ".join(parts)


def order(found: Identified, among: list[str]) -> str:
    """Say in which order terms are added."""
    if not found.ordered:
        return "cannot be told"
    return trees.words(found.arithmetic.tree, found.terms, among)


def results(arithmetic: Arithmetic) -> str:
    """Say how sums become results."""
    *before, last = arithmetic.results
    through = "".join(f"through {_to(one, 127)}, " for one in before)
    mode = "to nearest" if last.mode == NEAREST else last.mode
    clipped = "" if arithmetic.clips is None else f", clipped at {arithmetic.clips:g}"
    return f"{through}rounded {mode}{clipped}"


def flushed(found: Identified, result: str) -> str:
    """Say which subnormal numbers count as zero."""
    names = dict(zip(("first factor", "second factor"), FACTORS[result], strict=True))
    plural = {"product": "products", "sum": "sums", "result": "results"}
    order_ = ("first factor", "second factor", "product", "sum", "result")
    lost = [one for one in order_ if one in found.ends.flushed]
    said = "flushed: " + ", ".join((names | plural)[one] for one in lost) if lost else "kept"
    return said if found.sure_of_ends else f"{said} (hint)"


def declarable(found: Identified, seen: Format) -> str:
    """Name the widest accumulator that may be declared: no wider than products and sums are."""
    roundings = [*(one for _, one in found.arithmetic.later)]
    if found.arithmetic.partial is not None:
        roundings.append(found.arithmetic.partial)
    if found.arithmetic.product is not None:
        roundings.append(found.arithmetic.product)
    if not roundings:
        return "double-double"
    bits = min(one.bits for one in roundings)
    reach = min(one.largest for one in roundings)
    if ends(reach):
        # Nobody may declare that numbers are scaled.
        return ""
    fitting = [
        one
        for one in ACCUMULATORS.values()
        # A range that ends with the result's may be that of the result.
        if one.bits <= bits and (one.largest_exponent <= reach or reach >= seen.largest_exponent)
    ]
    return max(fitting, key=lambda one: one.bits).name if fitting else ""

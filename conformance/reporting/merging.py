"""Reports merged into one table: implementations by clauses. How it is shown is said elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Matrix(NamedTuple):
    """Verdicts, those of each implementation in a column.

    Attributes
    ----------
    version : str
        Of the specification.
    names, verdicts : list of str
        Of the implementations.
    rows : list of (str, list of str)
        Each clause, with its verdict for each implementation; "" where it is not of its kind.
    """

    version: str
    names: list[str]
    verdicts: list[str]
    rows: list[tuple[str, list[str]]]


def table(documents: Sequence[Mapping[str, Any]]) -> Matrix:
    """Give the table of the implementations of some reports.

    Raises
    ------
    ValueError
        The reports are of several versions of the specification.
    """
    versions = sorted({str(document["specification"]) for document in documents})
    if len(versions) != 1:
        raise ValueError(
            "reports must be of one version of the specification, "
            f"got {', '.join(versions) or 'none'}"
        )
    judged = [one for document in documents for one in document["implementations"]]
    # Each report has them in the order of the specification; an operator's before a layer's.
    ordered = dict.fromkeys(number for one in judged for number in one["clauses"])
    return Matrix(
        versions[0],
        [str(one["name"]) for one in judged],
        [str(one["verdict"]) for one in judged],
        [
            (number, [str(one["clauses"].get(number, {}).get("verdict", "")) for one in judged])
            for number in ordered
        ],
    )

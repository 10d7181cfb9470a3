"""``python -m tests.surveys.gpu_code``: which floating-point instructions the oracle has on a GPU.

The kernels are compiled for a GPU, in every format, and none is run: it takes Numba's CUDA and a
CUDA toolkit (`libnvvm`), and no GPU. It ends with status 1 if any instruction may round.
"""

import argparse
import re
import sys
from collections import Counter
from types import SimpleNamespace
from typing import Any

from numba import cuda, types

# To load, store, choose and compare, to change the sign, and to widen.
EXACT = re.compile(r"(ld|st|mov|selp|setp|abs|neg)\.|cvt\.f(32|64)\.f(16|32)$")
# An instruction on floating point, behind what may guard it.
_INSTRUCTION = re.compile(
    r"^\s*(?:@!?%\w+\s+)?([a-z][a-z0-9_.]*\.b?f(?:16|32|64)[a-z0-9_.]*)", re.M
)
FORMATS = {
    "float16": types.float16,
    "bfloat16": types.uint16,
    "float32": types.float32,
    "float64": types.float64,
}


def kernels(element: Any) -> list[tuple[Any, Any]]:
    """The kernels, and the types of their arguments."""
    from refimpl import _cuda

    image, entries = (types.Array(element, rank, "A") for rank in (4, 6))
    result, gradient = (types.Array(types.float64, rank, "C") for rank in (4, 6))
    steps = [types.int64] * 8
    return [
        (_cuda._y, types.void(image, entries, *steps, result)),
        (_cuda._y_of_two, types.void(image, entries, image, entries, *steps, result)),
        (_cuda._dx, types.void(image, entries, *steps, result)),
        (_cuda._dkernel, types.void(image, image, *steps, gradient)),
    ]


def code(kernel: Any, signature: Any, capability: tuple[int, int]) -> str:
    """Compile one kernel."""
    from numba.cuda import dispatcher

    # Asked for what a kernel calls, though no device is needed to compile it.
    device = SimpleNamespace(compute_capability=capability)
    dispatcher.get_current_device = lambda: device
    return cuda.compile_ptx(kernel.py_func, signature, cc=capability)[0]


def instructions(ptx: str) -> Counter[str]:
    """Count the instructions on floating point, and calls of what may hide some."""
    calls = re.findall(r"^\s*(?:@!?%\w+\s+)?(call)\b", ptx, re.MULTILINE)
    return Counter(_INSTRUCTION.findall(ptx) + calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capability", default="8.0", help="of the GPU to compile for")
    major, minor = map(int, parser.parse_args().capability.split("."))
    found: Counter[str] = Counter()
    for name, element in FORMATS.items():
        for kernel, signature in kernels(element):
            ptx = code(kernel, signature, (major, minor))
            assert ".entry" in ptx
            assert "ftz" not in ptx
            one = instructions(ptx)
            print(f"{name:9} {kernel.py_func.__name__:10} {sum(one.values()):3} on floating point")
            found += one
    rounding = sorted(name for name in found if not EXACT.match(name))
    print("instructions:", ", ".join(f"{name} {count}" for name, count in sorted(found.items())))
    print("that may round:", ", ".join(rounding) or "none")
    sys.exit(bool(rounding))


if __name__ == "__main__":
    main()

"""``python -m tests.surveys.large_arrays``: take operands larger than memory through the oracle.

The operands are generated block by block and never stored. Every block of y, dx and dkernel is
computed and reduced to its checksum; those of sampled images are compared with the oracle's answer
on the same image in memory.
"""

import argparse
import os
import resource
import time
import zlib

# A task takes one processor; dask runs as many at a time as there are.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import dask
import dask.array as da
import numpy as np

from refimpl import involution

HEIGHT = WIDTH = 1024
CHANNELS = 16
TAPS = 3
ROWS = 256
NAMES = ("y", "dx", "dkernel")


def generated(shape: tuple[int, ...], salt: int) -> da.Array:
    """Standard normals in float32, the same for the same block whenever it is asked for."""

    def block(block_info=None):
        info = block_info[None]
        rng = np.random.default_rng([salt, *info["chunk-location"]])
        return rng.standard_normal(info["chunk-shape"], dtype=np.float32)

    chunks = ((1,) * shape[0], (ROWS,) * (shape[1] // ROWS), *((n,) for n in shape[2:]))
    return da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * len(shape)))


def checksum(block: np.ndarray) -> np.ndarray:
    """One number for a block."""
    return np.full((1,) * block.ndim, zlib.crc32(np.ascontiguousarray(block).data), np.uint64)


def checksums(array: da.Array) -> da.Array:
    """One number for each block."""
    chunks = tuple((1,) * count for count in array.numblocks)
    return array.map_blocks(checksum, chunks=chunks, dtype=np.uint64)


def main() -> None:
    """Run it and print what was measured."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.surveys.large_arrays", description=__doc__
    )
    parser.add_argument("--gigabytes", type=float, default=20.0, help="of x")
    parser.add_argument("--workers", type=int, default=2, help="threads")
    parser.add_argument("--sample", type=int, default=6, help="images to compare")
    options = parser.parse_args()
    image = HEIGHT * WIDTH * CHANNELS * 4
    batch = -(-int(options.gigabytes * 1e9) // image)
    x = generated((batch, HEIGHT, WIDTH, CHANNELS), 1)
    dy = generated((batch, HEIGHT, WIDTH, CHANNELS), 2)
    kernel = generated((batch, HEIGHT, WIDTH, TAPS, TAPS, 1), 3)
    start = time.monotonic()
    lazy = involution.forward(x, kernel), *involution.backward(dy, x, kernel)
    planned = time.monotonic() - start
    found = dask.compute(*map(checksums, lazy), scheduler="threads", num_workers=options.workers)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    wrong = 0
    sample = np.random.default_rng(0).choice(batch, min(options.sample, batch), replace=False)
    for number in sample:
        one = [operand[number : number + 1].compute() for operand in (x, kernel, dy)]
        due = involution.forward(*one[:2]), *involution.backward(one[2], *one[:2])
        for sums, array in zip(found, due, strict=True):
            rows = [checksum(array[:, i : i + ROWS]).item() for i in range(0, HEIGHT, ROWS)]
            wrong += rows != sums[number].ravel().tolist()
    print(
        f"x {x.nbytes / 1e9:.1f} GB, dy {dy.nbytes / 1e9:.1f} GB, kernel {kernel.nbytes / 1e9:.1f} "
        f"GB in blocks of {ROWS} rows (x {image * ROWS / HEIGHT / 1e6:.0f} MB); results "
        f"{sum(one.nbytes for one in lazy) / 1e9:.1f} GB. {options.workers} threads: planned in "
        f"{planned:.1f} s, done in {seconds:.0f} s, at most {peak:.2f} GB resident. "
        f"{len(sample)} images of {batch} compared with the oracle in memory: {wrong} of "
        f"{len(NAMES) * len(sample)} results differ."
    )


if __name__ == "__main__":
    main()

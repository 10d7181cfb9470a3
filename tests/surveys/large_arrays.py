"""``python -m tests.surveys.large_arrays``: take operands larger than memory through the oracle.

The operands are generated block by block and never stored. Every block of y, dx and dkernel is
computed and reduced to its checksum, a few images at a time: of what is computed at once, dask may
hold all chunks of the operands. Those of sampled images are compared with the oracle's answer on
the same image in memory.
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

SIDE = 1024
CHANNELS = 16
TAPS = 3
# Each image is cut into so many chunks of rows.
CUTS = 4
NAMES = ("y", "dx", "dkernel")


def generated(shape: tuple[int, ...], salt: int) -> da.Array:
    """Standard normals in float32, the same for the same block whenever it is asked for."""
    rows = shape[1] // CUTS

    def block(block_info=None):
        info = block_info[None]
        rng = np.random.default_rng([salt, *info["chunk-location"]])
        return rng.standard_normal(info["chunk-shape"], dtype=np.float32)

    chunks = ((1,) * shape[0], (rows,) * CUTS, *((n,) for n in shape[2:]))
    return da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * len(shape)))


def checksum(block: np.ndarray) -> np.ndarray:
    """One number for a block."""
    return np.full((1,) * block.ndim, zlib.crc32(np.ascontiguousarray(block).data), np.uint64)


def checksums(array: da.Array) -> da.Array:
    """One number for each block."""
    chunks = tuple((1,) * count for count in array.numblocks)
    return array.map_blocks(checksum, chunks=chunks, dtype=np.uint64)


def resident() -> float:
    """Give the most that this process has held so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    """Run it and print what was measured."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.surveys.large_arrays", description=__doc__
    )
    parser.add_argument("--gigabytes", type=float, default=20.0, help="of x")
    parser.add_argument("--stride", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="threads")
    parser.add_argument("--portion", type=int, default=8, help="images at a time")
    parser.add_argument("--sample", type=int, default=6, help="images to compare")
    options = parser.parse_args()
    image, grid = SIDE * SIDE * CHANNELS * 4, SIDE // options.stride
    batch = -(-int(options.gigabytes * 1e9) // image)
    x = generated((batch, SIDE, SIDE, CHANNELS), 1)
    dy = generated((batch, grid, grid, CHANNELS), 2)
    kernel = generated((batch, grid, grid, TAPS, TAPS, 1), 3)
    how = {"stride": options.stride}
    start = time.monotonic()
    lazy = involution.forward(x, kernel, **how), *involution.backward(dy, x, kernel, **how)
    sums = [checksums(one) for one in lazy]
    planned = time.monotonic() - start
    empty = resident()
    parts = []
    for first in range(0, batch, options.portion):
        some = [one[first : first + options.portion] for one in sums]
        parts.append(dask.compute(*some, scheduler="threads", num_workers=options.workers))
    found = [np.concatenate(one) for one in zip(*parts, strict=True)]
    seconds = time.monotonic() - start
    peak = resident()
    wrong = 0
    sample = np.random.default_rng(0).choice(batch, min(options.sample, batch), replace=False)
    for number in sample:
        one = [operand[number : number + 1].compute() for operand in (x, kernel, dy)]
        due = involution.forward(*one[:2], **how), *involution.backward(one[2], *one[:2], **how)
        for answer, array in zip(found, due, strict=True):
            rows = [checksum(part).item() for part in np.split(array, CUTS, axis=1)]
            wrong += rows != answer[number].ravel().tolist()
    print(
        f"x {x.nbytes / 1e9:.1f} GB, dy {dy.nbytes / 1e9:.1f} GB, kernel {kernel.nbytes / 1e9:.1f} "
        f"GB, stride {options.stride}, in blocks of {SIDE // CUTS} rows (x {image / CUTS / 1e6:.0f}"
        f" MB); results {sum(one.nbytes for one in lazy) / 1e9:.1f} GB. {options.workers} threads, "
        f"{options.portion} images at a time: "
        f"planned in {planned:.1f} s, done in {seconds:.0f} s, at most {peak:.2f} GB resident, of "
        f"which {empty:.2f} GB before anything was computed. {len(sample)} images of {batch} "
        f"compared with the oracle in memory: {wrong} of {len(NAMES) * len(sample)} results differ."
    )


if __name__ == "__main__":
    main()

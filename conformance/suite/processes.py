"""In whatever process a call is made: with other numbers of threads, and in a forked child.

Equality on exact sums, and the bounds on real numbers: another number of threads may sum in
another order.
"""

import time
from typing import Any

from conformance.judging.checks import check
from conformance.judging.judge import Judge

# In the environment of a process, so many threads are asked for in all of these.
THREADS = ("1", "2", "4")
VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS",
    "JULIA_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC",
)  # fmt: skip
# A process that takes so many seconds to start and answer is dear, and only one is started.
_DEAR = 3.0


@check("FWD-8", "LAY-17")
def threads_of_the_environment(judge: Judge) -> None:
    """Processes with one, two and four threads: what is called first differs among them."""
    judge.claim_isolation("there is no other")
    cases = _cases(judge)
    for one in cases:
        # What is wrong in the usual process is another matter.
        judge.check(one)
    first = (judge.seed + 1) % len(THREADS)
    listed = [*THREADS[first:], *THREADS[:first]]
    for number, threads in enumerate(listed):
        start = time.perf_counter()
        with judge.beside(**dict.fromkeys(VARIABLES, threads)) as other:
            for at in range(len(cases)):
                other.check(
                    cases[(at + number) % len(cases)],
                    blame=judge.record.clauses[:1],
                    course=f"with {threads} thread{'s' * (threads != '1')} in the environment",
                )
        if not number and time.perf_counter() - start > _DEAR:
            judge.record.cut_short = f"1 of {len(listed)} processes"
            return


@check("FWD-8", "LAY-17", "GRD-11")
def forked_child(judge: Judge) -> None:
    """A forked child of a process that has called before, and the process after that."""
    judge.claim_flag("fork_safe")
    judge.claim_isolation("it is not to be forked")
    blame = judge.record.clauses[:1]
    for case in _cases(judge):
        judge.check(case)
        judge.check(case, forked=True, blame=blame, course="in a forked child")
        judge.check(case, blame=blame, course="after a fork")


def _cases(judge: Judge) -> list[Any]:
    """Give a small case, one that is worth sharing out among threads, and that on real numbers."""
    wide = [
        judge.enlarged(judge.plain(members=8, batch=4, **recipe), (18, 19))
        for recipe in ({}, {"recipe": "normal"})
    ]
    return [judge.plain(), *wide]

"""``python -m tests.surveys.guarded --seed 7``: judge faults behind guards, count the rejected.

Each guarded fault of `conformance.mutants.guarded` is judged in this process, in the default
profile, until its first failure. What survives is listed: it is the known limit of the suite.
"""

import argparse
import time
from collections import Counter

import conformance
from conformance.mutants.guarded import guarded


def main() -> None:
    """Judge, and print the rates and the survivors."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.guarded", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--number", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="number of the first one to judge")
    parser.add_argument("--layer", action="store_true", help="faults of layers, not of operators")
    options = parser.parse_args()
    judged, killed, checks, seconds = Counter[str](), Counter[str](), Counter[str](), []
    listed = guarded(options.seed, options.number, layer=options.layer)[options.first :]
    for number, one in enumerate(listed, options.first):
        start = time.perf_counter()
        report = conformance.check(
            one,
            layer=options.layer,
            until_failure=True,
            diagnosis=False,
            seed=number,
            budget=3600,
        )
        seconds.append(time.perf_counter() - start)
        families = {guard.family for guard in one.guards}
        judged.update({*families, "all"})
        if report.failures:
            killed.update({*families, "all"})
            checks[report.failures[0].check.partition("[")[0]] += 1
        else:
            print(f"survives: {number}: {one.words} ({one.fault})", flush=True)
        if judged["all"] % 25 == 0:
            print(f"{killed['all']} of {judged['all']} so far: {dict(killed)}", flush=True)
    print(f"seed {options.seed}: {killed['all']} of {judged['all']} are rejected")
    for family in sorted(judged):
        print(f"  {family}: {killed[family]} of {judged[family]}")
    print(f"seconds: {sum(seconds):.0f} in all, {max(seconds):.0f} at most")
    print("first rejected by:", ", ".join(f"{n} {name}" for name, n in checks.most_common()))


if __name__ == "__main__":
    main()

"""What judged code can do to its process is a verdict on its case, and nothing is lost.

Each module here is written into a file, named, and judged in a process of its own.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import conformance
from conformance.claims.loading import LoadError, Where, load
from conformance.judging.judge import Judge
from conformance.judging.record import Record
from conformance.kinds import LAYER, OPERATOR

HEAD = """
from conformance.implementations.operator.numpy_unfold import Unfold
calls = 0

class Mine(Unfold):
    def forward(self, x, kernel, **options):
        global calls
        calls += 1
        {body}
        return super().forward(x, kernel, **options)

forward, backward, capabilities = Mine().forward, Mine().backward, Unfold.capabilities
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module whose forward does something first, and give its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body: str) -> str:
        (tmp_path / "mine.py").write_text(HEAD.format(body=body))
        return "mine"

    return write


def judged(name: str, **options: Any) -> conformance.Report:
    usual: dict[str, Any] = {"clauses": ["GRP-2", "GRD-3"], "profile": "ci", "diagnosis": False}
    return conformance.check(name, **usual | options)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import os; os._exit(0)", "gave no answer: the program ended with status 0"),
        ("import os; os._exit(3)", "gave no answer: the program ended with status 3"),
        ("raise SystemExit(0)", "raised SystemExit: 0"),
        ("raise KeyboardInterrupt('mine')", "raised KeyboardInterrupt: mine"),
        ("raise GeneratorExit", "raised GeneratorExit"),
        ("import unittest; raise unittest.SkipTest('no')", "raised SkipTest: no"),
        ("import ctypes; ctypes.string_at(0)", "was killed by SIGSEGV"),
        ("import os; os.abort()", "was killed by SIGABRT"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 15)", "was killed by SIGTERM"),
        ("import sys; sys.setrecursionlimit(10**7)\n        f = lambda n: list(map(f, [n]))\n"
         "        f(0)", "was killed by SIGSEGV"),
        ("f = lambda: f()\n        f()", "raised RecursionError: maximum recursion"),
        ("import os; os.write(4, b'x' * 100)", "gave no answer"),
        ("import os; [os.close(n) for n in range(3, 9) if n != 7]", "gave no answer"),
        ("return 'words'", "y must be a NumPy array, got str"),
        ("return super().forward(x, kernel, **options).astype('>f4')", "of dtype float32, got >f4"),
        ("import numpy; return numpy.ma.masked_all(x.shape)", "array, got MaskedArray"),
        ("return super().forward(x, kernel, **options)[..., None]", "y must be of shape"),
    ],
)  # fmt: skip
def test_what_code_does_is_a_verdict(module: Any, body: str, words: str) -> None:
    report = judged(module(body), timeout=5.0)
    assert not report.conforms
    assert any(words in f"{one.words}\n{one.message}" for one in report.failures), [
        one.words for one in report.failures
    ]
    # The rest of the run goes on.
    assert report.clauses["GRD-3"].cases > 0


def test_a_hang_ends(module: Any) -> None:
    report = judged(module("while calls > 3: pass"), timeout=1.0, clauses=["GRP-2", "GRD-4"])
    assert "forward gave no answer: the program gave no answer within 1 seconds" in [
        one.words for one in report.failures
    ]
    assert report.judged > 0


def test_three_deaths_under_one_clause_are_enough(module: Any) -> None:
    report = judged(module("import os; os._exit(1)"), clauses=["FWD-5"])
    died = [one for one in report.failures if one.died]
    assert len(died) == 3
    left = [record for record in report.records if record.outcome == "not run"]
    assert left
    assert left[0].reason == "it gave no answer 3 times under FWD-5"
    assert report.verdict == "fails"


def test_its_last_words_are_shown(module: Any) -> None:
    report = judged(module("import os; os.write(2, b'lost the device'); os._exit(1)"))
    assert "lost the device" in report.failures[0].message


def test_a_crash_shows_where_in_the_code(module: Any) -> None:
    report = judged(module("import ctypes; ctypes.string_at(0)"))
    assert 'mine.py", line 9 in forward' in report.failures[0].message


@pytest.mark.parametrize("stream", ["sys.stdout", "sys.stderr"])
def test_a_flood_of_output_is_taken_and_forgotten(module: Any, stream: str) -> None:
    body = f"import sys; {stream}.write('CONFORMS everything\\n' * 200_000); {stream}.flush()"
    assert judged(module(body), clauses="GRP-2").conforms


def test_a_limit_of_memory(module: Any) -> None:
    body = "import numpy; numpy.ones(2**28)"
    report = judged(module(body), memory=1.5)
    assert "MemoryError" in report.failures[0].words
    assert judged(module("pass"), memory=4.0).conforms


@pytest.mark.parametrize(
    "words", ["\\x1b[2J\\x1b[32mCONFORMS", "[bold]markup[/bold]", "<script>alert(1)</script>"]
)
def test_what_code_says_is_shown_and_not_obeyed(module: Any, words: str) -> None:
    report = judged(module(f"raise ValueError('{words}')"))
    html = report._repr_mimebundle_()["text/html"]
    assert "\x1b" not in str(report) + report.failures[0].message + html
    assert "<script>" not in html
    assert "bold]markup[/bold]" in str(report) or "markup" not in words


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(cwd), *sys.path])}
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments, "--hypothesis-profile=ci"],
        capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=300,
    )  # fmt: skip


def test_an_exit_is_no_success_of_the_suite(module: Any, tmp_path: Path) -> None:
    module("import os; os._exit(0)")
    report = tmp_path / "report.json"
    done = run("--implementation=mine", "--check=values", f"--report={report}", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "FAILS  mine" in done.stdout
    assert json.loads(report.read_text())["implementations"][0]["isolated"] is True


def test_in_process_is_said(module: Any, tmp_path: Path) -> None:
    module("pass")
    done = run("--implementation=mine", "--check=values", "--in-process", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "NOT ISOLATED" in done.stdout
    assert ", not isolated" in done.stdout
    assert "not isolated" in " ".join(str(judged("mine", in_process=True)).split())


def test_a_judge_whose_files_are_changed_gives_no_verdict(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conformance.judging import intact

    digests = iter([{Path("a.py"): b"1"}, {Path("a.py"): b"2"}])
    monkeypatch.setattr(intact, "_digests", lambda: next(digests))
    with pytest.raises(RuntimeError, match=r"files of the judge were changed: a\.py"):
        judged(module("pass"), clauses="GRP-2")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("from refimpl import involution", "refimpl.involution holds the truth"),
        ("import refimpl.layer", "refimpl.layer holds the truth"),
        ("import refimpl._loops", "refimpl._loops holds the truth"),
        ("import conformance.judging", "conformance.judging holds the truth"),
        ("import conformance; conformance.check('refimpl.involution')", "holds the truth"),
        ("import sys; sys.meta_path[:] = sys.meta_path[1:]; import refimpl.layer",
         "holds the truth: what is judged may not open it"),
        ("import refimpl; open(refimpl.__path__[0] + '/_loops.py').read()",
         "_loops.py holds the truth"),
        ("import refimpl; open(refimpl.__path__[0] + '/geometry.py', 'a')", "may not write"),
        ("import os; open(f'/proc/{os.getppid()}/mem', 'rb')", "may not open /proc/"),
        ("import os; os.kill(os.getppid(), 0)", "may not send signals to the judge"),
    ],
)  # fmt: skip
def test_what_is_refused_is_reported_as_what_it_is(module: Any, body: str, words: str) -> None:
    report = judged(module(body))
    assert not report.conforms
    assert words in report.failures[0].words
    assert any(words in one for one in report.refused)
    # Also where the code goes on as if nothing had been.
    swallowed = f"try: exec({body!r})\n        except Exception: pass"
    report = judged(module(swallowed))
    assert report.conforms
    assert "it was refused what it tried" in str(report)


def test_the_oracle_itself_is_judged() -> None:
    assert judged("refimpl.involution").conforms
    assert judged("refimpl.layer", layer=True, clauses="LAY-2").conforms


def test_nothing_of_pytest_is_seen(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    seen = "any('pytest' in n.lower().split('_') for n in [*sys.modules, *sys.argv, *os.environ])"
    assert judged(module(f"import sys, os; assert not {seen}")).conforms


def test_a_layer_behind_a_pipe() -> None:
    name = "conformance.implementations.layer.numpy_layer:NumpyLayer"
    report = judged(name, layer=True, clauses=["LAY-4", "LAY-17"])
    assert report.conforms, str(report)
    assert report.isolated


def test_forward_and_child_of_a_fork(module: Any) -> None:
    """Who forks and lets the child answer ends without having been told to."""
    report = judged(module("import os; os.fork() and os._exit(0)"))
    assert not report.conforms
    report = judged(module("import os; os.fork() and os.wait()"), timeout=2.0)
    assert "the program was answered for by another process" in report.failures[0].words


def test_two_answers_are_one_too_many(module: Any) -> None:
    report = judged(module("import os; os.fork()"))
    assert not report.conforms


def test_several_are_judged_side_by_side(module: Any, tmp_path: Path) -> None:
    module("if calls > 9: raise ValueError('late')")
    right = "conformance.implementations.operator.numpy_unfold:Unfold"
    done = run(
        f"--implementation={right}", "--implementation=mine", "--no-diagnosis",
        "--check=values", "--check=exact_sums", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"CONFORMS in the checks that were selected  {right}" in done.stdout
    assert "FAILS  mine" in done.stdout or "REFUSES  mine" in done.stdout


@pytest.mark.usefixtures("module")
def test_a_name_that_cannot_be_loaded_says_where(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("\nfrom refimpl import involution\n")
    with pytest.raises(LoadError, match=r"refimpl.involution holds the truth.*other.py, line 2"):
        load("other", OPERATOR)
    assert load("other:involution", OPERATOR, where=Where(in_process=True)).name


def test_a_process_is_not_left_behind(module: Any) -> None:
    one = load(module("pass"), OPERATOR)
    process = one.host._running.process  # type: ignore[union-attr]
    one.host.close()
    assert process.poll() == 0
    judge = Judge(one, Record("it", "it", ("FWD-1",)))
    judge.check(judge.plain())
    process = one.host._running.process  # type: ignore[union-attr]
    del one, judge
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, signal.SIG_DFL)


def test_layers_are_not_asked_at_once_unless_they_say_so() -> None:
    assert not load("refimpl.layer", LAYER).capabilities.thread_safe
    assert load("refimpl.involution", OPERATOR).capabilities.thread_safe

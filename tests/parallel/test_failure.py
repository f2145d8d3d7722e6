"""However ranks fail, all of them end, within seconds, and the error is said once."""

import time

import pytest

PROGRAM = """
import sys, time
import numpy as np
from ablationsim.errors import AblationSimError, CaseError
from ablationsim.parallel.failure import together
from ablationsim.parallel.launcher import only_first_speaks, start

only_first_speaks()
comm = start()
try:
    with together(comm):
        comm.barrier()
        {work}
except AblationSimError as error:
    print(f"ablationsim: {{error}}", file=sys.stderr)
    raise SystemExit(error.exit_code) from None
print(f"through on {{comm.size}} ranks")
"""


@pytest.fixture
def ranks(mpirun, tmp_path):
    """Runs a line of Python on all ranks, together."""

    def run(n: int, work: str, **expected):
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.format(work=work))
        return mpirun(n, program, seconds=60.0, **expected)

    return run


def test_without_failure(ranks):
    assert ranks(3, "assert comm.sum(float(comm.rank)) == 3.0").stdout == "through on 3 ranks\n"


def test_error_of_all_ranks_is_said_once(ranks):
    done = ranks(3, "raise CaseError(['power is missing'], 'case.toml')", code=2)
    assert done.stderr.count("ablationsim: 1 problem in case.toml:\n  - power is missing") == 1
    assert "rank" not in done.stderr.partition("power is missing")[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("waiting", ["comm.sum(np.ones(5))", "time.sleep(300)"], ids=str)
def test_others_do_not_wait_for_a_rank_that_failed(ranks, waiting):
    begun = time.monotonic()
    done = ranks(
        3, f"if comm.rank == 1: raise CaseError(['no space left'], 'the case')\n        else: {waiting}", code=2
    )
    assert time.monotonic() - begun < 45.0
    assert done.stderr.count("ablationsim: rank 1 of 3: 1 problem in the case:\n  - no space left") == 1
    assert "through" not in done.stdout


def test_rank_that_fails_when_the_others_are_through(ranks):
    done = ranks(3, "if comm.rank == 2: raise CaseError(['late'], 'the case')", code=2)
    assert done.stderr.count("ablationsim: rank 2 of 3: 1 problem in the case:\n  - late") == 1
    assert "MPI_ABORT" not in done.stderr
    assert "through" not in done.stdout


def test_unforeseen_exception_of_one_rank(ranks):
    done = ranks(2, "comm.sum(1.0 / (1 - comm.rank))", code=1)
    assert done.stderr.count("Traceback (most recent call last)") == 1
    assert done.stderr.count("ZeroDivisionError: ") == 1
    assert "ablationsim: rank 1 of 2 failed:" in done.stderr


def test_unforeseen_exception_of_all_ranks(ranks):
    done = ranks(2, "{}['nothing']", code=1)
    assert done.stderr.count("KeyError: 'nothing'") == 1


def test_different_errors_are_said_by_the_first_rank_that_has_one(ranks):
    done = ranks(3, "if comm.rank: raise CaseError([f'seen by {comm.rank}'], 'the case')", code=2)
    assert "ablationsim: rank 1 of 3: 1 problem in the case:\n  - seen by 1" in done.stderr
    assert "seen by 2" not in done.stderr


def test_leaving_with_an_exit_code(ranks):
    assert "ablationsim:" not in ranks(2, "sys.exit(85)", code=85).stderr

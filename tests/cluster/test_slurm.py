"""The Slurm of the tests itself: jobs run, fail, go back into the queue, and are preempted."""

import pytest


@pytest.fixture
def job(slurm, tmp_path):
    """Submits a job that runs a few lines of shell."""

    def submit(lines: str, *options: str) -> str:
        script = tmp_path / "job.sh"
        script.write_text(f"#!/bin/sh\n{lines}\n")
        return slurm.submit("--open-mode=append", *options, script, cwd=tmp_path)

    return submit


def test_exit_code_and_log(slurm, job):
    number = job("echo here; exit 7")
    assert slurm.wait(number) == "FAILED"
    assert slurm.record(number)["ExitCode"] == "7:0"
    assert slurm.log(number) == "here\n"


def test_requeue(slurm, job):
    number = job('[ "${SLURM_RESTART_COUNT:-0}" = 1 ] && exit 0; scontrol requeue $SLURM_JOB_ID; sleep 60', "--requeue")
    assert slurm.wait(number) == "COMPLETED"
    assert slurm.record(number)["Restarts"] == "1"


def test_cancel(slurm, job):
    number = job("sleep 300")
    slurm.wait(number, ["RUNNING"])
    slurm.cancel(number)
    assert slurm.wait(number) == "CANCELLED"

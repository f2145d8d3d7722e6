"""Runs of a study as an array job of Slurm: the script, its submission, and what is in the queue."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablationsim.errors import ClusterError
from ablationsim.results.files import make_folder, write_whole
from ablationsim.study.sweep.manifest import Run

SLURM = "slurm"
"""Folder of scripts and logs, in that of the study."""

WARNING = 120
"""Time before its end at which Slurm tells a job to stop [s]."""

RESTARTS = 50
"""How often a job puts itself back into the queue when its time is over."""

_PATIENCE = 120.0  # seconds that a command of Slurm may take
_ARRAY = 1001  # Slurm's own limit where it is not told


@dataclass(frozen=True)
class Wishes:
    """What is asked of Slurm.

    Attributes
    ----------
    partition, account : str or None
        The site's own choice when not given.
    time, mem : str
        Limits of an element of the array, as Slurm writes them.
    ranks : int
        MPI ranks of a run; one process without MPI for 1.
    mpi : str
        How srun starts ranks.
    threads : int
        Of each rank.
    at_once : int or None
        Elements that may run at the same time.
    runs_per_job : int
        Runs of an element, one after the other.
    extra : sequence of str
        Further options of sbatch, a line each.
    """

    partition: str | None = None
    account: str | None = None
    time: str = "01:00:00"
    mem: str = "4G"
    ranks: int = 1
    mpi: str = "pmix"
    threads: int = 1
    at_once: int | None = None
    runs_per_job: int = 1
    extra: Sequence[str] = ()


@dataclass(frozen=True)
class Submission:
    """A job that was submitted.

    Attributes
    ----------
    job : str
        Its number.
    script : Path
    elements : int
        Of its array.
    runs_per_job : int
        Runs of an element at most.
    """

    job: str
    script: Path
    elements: int
    runs_per_job: int


def submit(folder: Path, runs: Sequence[Run], wishes: Wishes, name: str) -> Submission:
    """Submit runs as an array job; script, list of runs and job number stay in the folder of the study.

    Parameters
    ----------
    folder : Path
        Of the study.
    runs : sequence of Run
    wishes : Wishes
    name : str
        Of the job.

    Raises
    ------
    ClusterError
        If Slurm is missing or refuses, in its own words.
    OutputError
        If the folder cannot be written.
    """
    folder = folder.absolute()
    place = folder / SLURM
    make_folder(place)
    per_job = max(wishes.runs_per_job, -(-len(runs) // _most_elements()))
    elements = [runs[k : k + per_job] for k in range(0, len(runs), per_job)]
    stem = f"{1 + max((int(path.stem) for path in place.glob('*.sbatch') if path.stem.isdigit()), default=0):04d}"
    script = place / f"{stem}.sbatch"
    lines = [" ".join(str(run.number) for run in element) for element in elements]
    write_whole(place / f"{stem}.txt", "\n".join(lines) + "\n")
    write_whole(script, _script(folder, stem, len(elements), wishes, name))
    job = _asked(["sbatch", "--parsable", str(script)]).partition(";")[0].strip()
    write_whole(place / f"{stem}.json", json.dumps({"job": job, "elements": len(elements)}) + "\n")
    return Submission(job, script, len(elements), per_job)


def queued(folder: Path) -> dict[int, str] | None:
    """State in the queue of every run that a job of the study still has, by its number; None if Slurm is not there.

    A run of an element that goes on with others of its element is in the queue as well.
    """
    jobs = _jobs(folder)
    if not jobs:
        return {}
    try:
        # Asked for the jobs of the study alone, Slurm calls it an error if none is left.
        answer = _asked(["squeue", "--noheader", "--array", "--format=%F %K %T"])
    except ClusterError:
        return None
    found: dict[int, str] = {}
    for line in answer.splitlines():
        job, element, state = line.split()
        if job in jobs and element.isdigit() and state != "COMPLETING":
            found |= dict.fromkeys(jobs[job][int(element) - 1], state)
    return found


def submitted(folder: Path) -> set[int]:
    """Numbers of all runs that jobs of the study ever had."""
    return {number for elements in _jobs(folder).values() for runs in elements for number in runs}


def _jobs(folder: Path) -> dict[str, list[list[int]]]:
    """Numbers of the runs of each element, by the number of the job."""
    found = {}
    for record in sorted((folder / SLURM).glob("*.json")):
        lines = record.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
        job = str(json.loads(record.read_text(encoding="utf-8"))["job"])
        found[job] = [[int(number) for number in line.split()] for line in lines]
    return found


def _most_elements() -> int:
    """Elements that an array may have here."""
    try:
        match = re.search(r"^MaxArraySize\s*=\s*(\d+)", _asked(["scontrol", "show", "config"]), re.MULTILINE)
    except ClusterError:
        match = None
    # Numbers begin at 1, and the limit itself is none.
    return max(1, (int(match[1]) if match else _ARRAY) - 1)


def _asked(command: Sequence[str]) -> str:
    """What a command of Slurm answers."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except FileNotFoundError:
        raise ClusterError(
            f"There is no {command[0]} on this machine: submit on a login node of a cluster that has Slurm, or leave "
            "--slurm out and the runs are made here. The study is written; submitting it again goes on from there."
        ) from None
    except subprocess.TimeoutExpired:
        raise ClusterError(
            f"{command[0]} did not answer within {_PATIENCE:g} s: Slurm's controller seems to be down. The study is "
            "written; submit it again later."
        ) from None
    if done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise ClusterError(
            f"Slurm refused: {words}. The script is {command[-1]}. Nothing is lost: change the options of Slurm "
            "(--partition, --time, --mem, --account, --runs-per-job, --extra) and submit the study again."
        )
    return done.stdout


def _script(folder: Path, stem: str, elements: int, wishes: Wishes, name: str) -> str:
    """The script of an array job; it needs nothing but bash and Slurm."""
    limit = "" if wishes.at_once is None else f"%{wishes.at_once}"
    options = [
        f"--job-name={shlex.quote(name)}",
        f"--array=1-{elements}{limit}",
        *([f"--partition={wishes.partition}"] if wishes.partition else []),
        *([f"--account={wishes.account}"] if wishes.account else []),
        f"--time={wishes.time}",
        f"--mem={wishes.mem}",
        f"--ntasks={wishes.ranks}",
        f"--cpus-per-task={wishes.threads}",
        f"--signal=B:USR1@{WARNING}",
        "--requeue",
        "--open-mode=append",
        f"--output={shlex.quote(str(folder / SLURM))}/%A_%a.log",
        *wishes.extra,
    ]
    if any("\n" in option for option in options):
        raise ClusterError("An option of Slurm has a line break in it, which would end its line in the script.")
    launch = f"srun --mpi={wishes.mpi} --ntasks={wishes.ranks} --kill-on-bad-exit=1 " if wishes.ranks > 1 else ""
    words = [sys.executable, "-m", "ablationsim.cli", "work", str(folder)]
    return _TEXT.format(
        name=name,
        stem=stem,
        options="\n".join(f"#SBATCH {option}" for option in options),
        list=shlex.quote(str(folder / SLURM / f"{stem}.txt")),
        work=launch + shlex.join(words),
        threads=wishes.threads,
        restarts=RESTARTS,
    )


_TEXT = """\
#!/bin/bash
# Runs of the study '{name}'. Line 7 of {stem}.txt has the numbers of the runs of element 7 of the array,
# which are made one after the other. Written by 'ablationsim submit'; 'sbatch' takes it again as it is: what has
# finished is not run again.
#
{options}

set -u
element="${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
process="" stopped="" left="" failed=0

# The time is nearly over, or the node is needed: the run ends its time step and keeps its state.
stop() {{
    stopped=yes
    [ -n "$process" ] && kill -USR1 "$process" 2>/dev/null
}}
trap stop USR1 TERM

for run in $(sed -n "${{SLURM_ARRAY_TASK_ID}}p" {list}); do
    [ -n "$stopped" ] && left=yes && break
    echo "$(date -Is) job $element, start ${{SLURM_RESTART_COUNT:-0}}, on $(hostname): run $run"
    {work} "$run" --threads {threads} &
    process=$!
    while :; do # a signal that is trapped ends wait early
        wait "$process"
        code=$?
        kill -0 "$process" 2>/dev/null || break
    done
    wait "$process" 2>/dev/null
    again=$?
    [ "$again" -ne 127 ] && code=$again
    process=""
    echo "$(date -Is) run $run: exit code $code"
    case $code in
    0) ;;
    85) left=yes stopped=yes ;;              # its state is kept
    *) [ -n "$stopped" ] && left=yes || failed=1 ;;
    esac
done

# Back into the queue, unless Slurm itself is about to end the job: scancel, or a preemption after which it queues the
# job again.
if [ -n "$left" ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ] &&
    scontrol show job -o "$element" | grep -q 'JobState=RUNNING'; then
    scontrol requeue "$element"
    sleep 60 # Slurm ends this start before the minute is over
fi
exit $failed
"""

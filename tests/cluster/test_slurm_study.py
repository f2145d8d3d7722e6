"""Studies as array jobs of a real Slurm: runs finish, fail, are cancelled, go back into the queue, and go on."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster.local_slurm import ENDED as ENDINGS

from ablationsim.study.sweep.planning import plan
from ablationsim.study.sweep.study import Study

ENDED = frozenset(ENDINGS)

CASE = """
[device]
profile = "rfa_cooltip_17g_2cm_like"
[[protocol]]
mode = "power"
power = "60 W"
duration = "3 s"
[tissue]
set = "liver_porcine_ex_vivo"
[zone]
criterion = "isotherm"
isotherm_temperature = "45 degC"
cooling = "1 s"
[mesh]
resolution = 4.0
"""

SLOW = """
[[applicator]]
name = "A0"
profile = "rfa_cooltip_17g_2cm_like"
repeat = 400
[[applicator.protocol]]
mode = "power"
power = "30 W"
duration = "0.1 s"
[[applicator.protocol]]
mode = "power"
power = "60 W"
duration = "0.1 s"
[tissue]
set = "liver_human"
[zone]
cooling = "1 s"
[mesh]
resolution = 4.0
[time]
checkpoint_interval = "0.2 s"
"""


@pytest.fixture
def study(slurm, tmp_path):
    """Writes a study, and runs commands about it where Slurm is."""

    class Commands:
        folder = tmp_path / "out of it"
        python = Path(sys.executable)

        def write(self, case, vary):
            (tmp_path / "case.toml").write_text(case)
            (tmp_path / "study.toml").write_text(f'[study]\ncase = "case.toml"\n{vary}')

        def place(self, index):
            """Folder of a run, which need not be there."""
            loaded = Study.load(tmp_path / "study.toml")
            return self.folder / "runs" / plan(loaded, self.folder).manifest.runs[index].name

        def run(self, *words, environment=None):
            command = [str(self.python), "-m", "ablationsim.cli", *map(str, words)]
            environment = {**slurm.environment, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(environment or {})}
            return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)

        def submit(self, *words, **options):
            return self.run("submit", tmp_path / "study.toml", "-o", self.folder, "--slurm", *words, **options)

        def job(self, *words):
            done = self.submit("--time", "10", *words)
            assert done.returncode == 0, done.stderr
            return done.stdout.split("Slurm job ")[1].split(",")[0]

        def ended(self, job):
            """Wait until nothing of a job is in the queue, and give the exit code of each of its elements."""
            listing = ("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")
            until(lambda: set(slurm.client(*listing).stdout.split()) <= ENDED, self.told)
            lines = slurm.client("scontrol", "show", "job", "--oneliner", job).stdout.splitlines()
            return [line.split("ExitCode=")[1].split()[0] for line in lines]

        def told(self):
            logs = [path.read_text() for path in (self.folder / "slurm").glob("*.log")]
            return "\n".join([self.run("status", self.folder).stdout, *logs])

        def states(self):
            done = self.run("collect", self.folder)
            assert done.returncode == 0, done.stderr
            with (self.folder / "results.csv").open(newline="") as file:
                return list(csv.DictReader(file))

    return Commands()


def until(holds, told, seconds=180.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited in vain:\n{told()}"
        time.sleep(0.2)


def vary(key, *values):
    return f"[[vary]]\nkey = '{key}'\nvalues = {json.dumps(values)}\n"


def test_an_array_of_four_runs_and_nothing_is_run_twice(slurm, study):
    study.write(CASE, vary("protocol[1].power", "30 W", "50 W", "70 W", "90 W"))
    job = study.job("--jobs", "2", "--runs-per-job", "2")
    assert study.ended(job) == ["0:0", "0:0"]
    rows = study.states()
    assert [row["state"] for row in rows] == ["finished"] * 4
    volumes = [float(row["volume_ml"]) for row in rows]
    assert volumes == sorted(volumes)
    assert volumes[0] < volumes[-1]
    assert "4 finished" in study.run("status", study.folder).stdout
    before = {path: path.stat().st_mtime_ns for path in study.folder.rglob("zone.json")}
    again = study.submit()
    assert again.returncode == 0, again.stderr
    assert "Slurm job" not in again.stdout
    assert {path: path.stat().st_mtime_ns for path in study.folder.rglob("zone.json")} == before
    assert len(before) == 4


def test_a_failed_run_is_told_and_tried_again_when_asked(slurm, study):
    study.write(CASE, vary("protocol[1].power", "30 W", "50 W"))
    # In the way of the second run.
    obstacle = study.place(1) / "mesh.vtu"
    obstacle.mkdir(parents=True)
    job = study.job()
    assert sorted(study.ended(job)) == ["0:0", "1:0"]
    rows = study.states()
    assert [row["state"] for row in rows] == ["finished", "failed"]
    assert "mesh.vtu" in rows[1]["message"]
    told = study.run("status", study.folder).stdout
    assert "1 finished, 1 failed" in told
    assert "mesh.vtu" in told
    obstacle.rmdir()
    again = study.submit()
    assert "Slurm job" not in again.stdout
    assert "--retry" in again.stdout
    assert again.returncode == 1
    assert study.ended(study.job("--retry")) == ["0:0"]
    assert [row["state"] for row in study.states()] == ["finished"] * 2


def test_what_is_in_the_queue_is_not_submitted_once_more(slurm, study):
    study.write(CASE, vary("protocol[1].power", "30 W", "40 W"))
    job = study.job("--extra=--hold")
    assert "2 runs: 2 in the queue" in study.run("status", study.folder).stdout
    assert "Slurm job" not in study.submit().stdout
    slurm.cancel(job)
    study.ended(job)
    told = study.run("status", study.folder).stdout
    assert "2 runs: 2 waiting" in told
    assert "Jobs of 2 waiting runs (the first is run 1) have ended before these began" in told
    assert "Slurm job" in study.submit("--extra=--hold").stdout


def test_a_cancelled_job_keeps_its_state_and_submitting_again_goes_on(slurm, study):
    study.write(SLOW, vary("applicator.A0.protocol[1].power", "30 W", "40 W"))
    job = study.job("--jobs", "1")
    until(lambda: list(study.place(0).glob("checkpoint/*.ckpt")), study.told)
    told = study.run("status", study.folder).stdout
    slurm.cancel(job)
    assert "1 running, 1 in the queue" in told
    assert f"job {job}_1" in told
    study.ended(job)
    assert [row["state"] for row in study.states()] == ["interrupted", "waiting"]
    assert study.ended(study.job()) == ["0:0", "0:0"]
    assert [row["state"] for row in study.states()] == ["finished"] * 2
    assert "resumed at" in (study.place(0) / "log.txt").read_text()


def test_a_job_whose_time_is_over_goes_back_into_the_queue(slurm, study):
    study.write(SLOW, vary("applicator.A0.protocol[1].power", "30 W"))
    job = study.job()
    until(lambda: list(study.place(0).glob("checkpoint/*.ckpt")), study.told)
    # What Slurm sends to the script when the end of the time limit is near.
    slurm.client("scancel", "--batch", "--signal=USR1", f"{job}_1")
    assert study.ended(job) == ["0:0"]
    assert slurm.record(job)["Restarts"] == "1"
    assert study.states()[0]["state"] == "finished"
    assert "resumed at" in (study.place(0) / "log.txt").read_text()
    ended = json.loads((study.place(0) / "ended.json").read_text())
    assert (ended["starts"], ended["job"]) == (2, f"{job}_1")


def test_runs_on_several_ranks_stop_and_go_on(slurm, study):
    study.write(SLOW, vary("applicator.A0.protocol[1].power", "30 W"))
    study.python = Path(__file__).parents[2] / ".venv-mpi" / "bin" / "python"
    job = study.job("--ranks", "2")
    until(lambda: list(study.place(0).glob("checkpoint/*.0001.ckpt")), study.told)
    slurm.client("scancel", "--batch", "--signal=USR1", f"{job}_1")
    assert study.ended(job) == ["0:0"]
    assert slurm.record(job)["Restarts"] == "1"
    (row,) = study.states()
    assert row["state"] == "finished"
    assert float(row["volume_ml"]) > 0.0
    assert "resumed at" in (study.place(0) / "log.txt").read_text()


def test_what_slurm_refuses_is_told_in_its_words_and_nothing_is_lost(slurm, study, tmp_path):
    study.write(CASE, vary("protocol[1].power", "30 W"))
    refused = study.submit("--partition", "nowhere")
    assert refused.returncode == 1
    assert "invalid partition specified: nowhere" in refused.stderr
    assert "--partition" in refused.stderr
    assert "Traceback" not in refused.stderr
    # The controller is down: nobody listens there.
    elsewhere = tmp_path / "slurm.conf"
    text = (slurm.folder / "slurm.conf").read_text()
    elsewhere.write_text(text.replace("SlurmctldPort=", "SlurmctldPort=1\n#") + "MessageTimeout=2\n")
    down = study.submit(environment={"SLURM_CONF": str(elsewhere)})
    assert down.returncode == 1
    assert "Slurm refused" in down.stderr
    assert "submit the study again" in down.stderr
    missing = study.submit(environment={"PATH": "/nowhere"})
    assert missing.returncode == 1
    assert "no sbatch on this machine" in missing.stderr
    assert study.ended(study.job()) == ["0:0"]
    assert "does not answer" not in study.run("status", study.folder).stdout
    assert "does not answer" in study.run("status", study.folder, environment={"PATH": "/nowhere"}).stdout
    assert study.states()[0]["state"] == "finished"

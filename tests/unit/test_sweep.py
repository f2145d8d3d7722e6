"""Studies: what a study file means, what is wrong with one, and the records of its runs."""

import copy
import json
import math
import os
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from itertools import product

import jsonschema
import numpy as np
import pytest

from ablationsim.case import Case
from ablationsim.errors import CaseError, ClusterError, OutputError
from ablationsim.study.sweep import slurm
from ablationsim.study.sweep.claim import Claim, ending
from ablationsim.study.sweep.identity import identity
from ablationsim.study.sweep.keys import find, varied
from ablationsim.study.sweep.manifest import MANIFEST, RUNS, Manifest, Run
from ablationsim.study.sweep.planning import plan
from ablationsim.study.sweep.record import ENDED, RUNNING, STALE, born, read_running, text_of
from ablationsim.study.sweep.standing import State, standing, standings
from ablationsim.study.sweep.study import LIMIT, Study
from ablationsim.study.sweep.table import write_tables
from ablationsim.units import parse

GRID = """
[[vary]]
key = "protocol[1].power"
values = ["20 W", "40 W"]
[[vary]]
key = "probe.p5.position"
values = [["5 mm", "0 mm", "10 mm"], ["6 mm", "0 mm", "10 mm"], ["7 mm", "0 mm", "10 mm"]]
"""

DRAWN = """
[[vary]]
key = "tissue.temperature"
low = "20 degC"
high = "37 degC"
[[vary]]
key = "zone.cooling"
low = "1 s"
high = "100 s"
distribution = "loguniform"
[[vary]]
key = "protocol[1].power"
low = "20 W"
high = "60 W"
distribution = "normal"
mean = "50 W"
sd = "10 W"
[sample]
method = "{method}"
n = {n}
seed = {seed}
"""


@pytest.fixture
def written(small, tmp_path):
    """Writes a study of the small case, and reads it."""

    def write(text, study='case = "case.toml"', case=small):
        (tmp_path / "case.toml").write_text(case)
        (tmp_path / "powers.toml").write_text(f"[study]\n{study}\n{text}")
        return Study.load(tmp_path / "powers.toml")

    return write


@pytest.fixture
def problems(written):
    """What is wrong with a study."""

    def find_problems(text, **options):
        with pytest.raises(CaseError) as caught:
            written(text, **options).check()
        return caught.value.problems

    return find_problems


# -- what a study file means -------------------------------------------------------------------------------------------


def test_a_grid_is_every_value_with_every_other_and_leaves_the_base_case_alone(written, small):
    study = written(GRID)
    before = copy.deepcopy(study.case)
    found = list(study.cases())
    assert len(study) == len(found) == 6
    positions = [["5 mm", "0 mm", "10 mm"], ["6 mm", "0 mm", "10 mm"], ["7 mm", "0 mm", "10 mm"]]
    assert [values for values, _ in found] == list(product(["20 W", "40 W"], positions))
    data = found[4][1]
    case = Case.from_dict(data)
    assert case.applicators[0].protocol[0].power == 40.0
    assert case.probes[0].position == (6e-3, 0.0, 10e-3)
    assert study.case == before == tomllib.loads(small)
    study.check()


def test_rows_change_together_and_combine_with_the_rest(written):
    study = written(
        """
        [[vary]]
        keys = ["protocol[1].power", "protocol[1].duration"]
        rows = [["20 W", "4 s"], ["40 W", "2 s"]]
        [[vary]]
        key = "mesh.resolution"
        values = [3.0, 4.0]
        """
    )
    assert [values for values, _ in study.cases()] == [
        ("20 W", "4 s", 3.0),
        ("20 W", "4 s", 4.0),
        ("40 W", "2 s", 3.0),
        ("40 W", "2 s", 4.0),
    ]
    study.check()


def test_keys_that_the_case_leaves_out_and_whole_tables_can_be_varied(written):
    study = written(
        """
        [[vary]]
        key = "tissue.perfusion_remaining"
        values = ["10 %", 0.2]
        [[vary]]
        key = "protocol"
        values = [[{mode = "off", duration = "1 s"}], [{mode = "voltage", voltage = "20 V", duration = "1 s"}]]
        [[vary]]
        key = "time.tolerance"
        values = [2.0]
        """
    )
    cases = [Case.from_dict(data) for _, data in study.cases()]
    assert [case.tissue.perfusion_remaining for case in cases] == [0.1, 0.1, 0.2, 0.2]
    assert [case.applicators[0].protocol[0].mode for case in cases] == ["off", "voltage"] * 2
    assert cases[0].time.tolerance == 2.0


def test_the_mode_of_a_step_varies_with_its_keys(written):
    study = written(
        """
        [[vary]]
        keys = ["protocol[1].mode", "protocol[1].pause_power"]
        rows = [["impedance", "5 W"], ["impedance", "0 W"]]
        """
    )
    study.check()
    assert [Case.from_dict(data).applicators[0].protocol[0].pause_power for _, data in study.cases()] == [5.0, 0.0]


@pytest.mark.parametrize("method", ["sobol", "latin_hypercube"])
def test_drawn_values_lie_within_their_limits_and_follow_the_seed(written, method):
    study = written(DRAWN.format(method=method, n=256, seed=3))
    values = [row for row, _ in study.cases()]
    assert values == [row for row, _ in written(DRAWN.format(method=method, n=256, seed=3)).cases()]
    assert values != [row for row, _ in written(DRAWN.format(method=method, n=256, seed=4)).cases()]
    table = np.array(
        [[parse(text, key.dimension) for key, text in zip(study.keys, row, strict=True)] for row in values]
    )
    assert table.shape == (256, 3)
    low, high = [293.15, 1.0, 20.0], [310.15, 100.0, 60.0]
    assert np.all(table >= low)
    assert np.all(table <= high)
    # Both methods put one point into each of 256 equal shares of every distribution.
    shares = [(table[:, 0] - 293.15) / 17.0, np.log(table[:, 1]) / math.log(100.0)]
    for share in shares:
        assert sorted(np.floor(256 * share.clip(0.0, 1.0 - 1e-9))) == list(range(256))
    # Of a normal distribution between -3 and 1 standard deviations, 0.5 - 0.00135 of 0.84 lies below the mean.
    assert np.mean(table[:, 2] < 50.0) == pytest.approx(0.49865 / 0.83999, abs=0.005)
    study.check()


def test_drawn_points_combine_with_what_is_listed(written):
    study = written(
        '[[vary]]\nkey = "mesh.resolution"\nvalues = [3.0, 4.0]\n' + DRAWN.format(method="sobol", n=4, seed=1)
    )
    rows = [values for values, _ in study.cases()]
    assert len(study) == 8
    assert [row[0] for row in rows] == [3.0] * 4 + [4.0] * 4
    assert [row[1:] for row in rows[:4]] == [row[1:] for row in rows[4:]]


# -- what is wrong with one --------------------------------------------------------------------------------------------


def test_all_problems_are_found_at_once(problems):
    found = problems(
        """
        [[vary]]
        key = "protocol[1].powr"
        values = ["20 W"]
        [[vary]]
        key = "protocol[1].power"
        values = ["20 W", 40, "0.02 kW", "-3 W"]
        [[vary]]
        keys = ["tissue.perfusion", "zone.criterion"]
        rows = [["0.01 1/s", "isothrm"], ["1 W"]]
        [[vary]]
        key = "zone.cooling"
        low = "10 s"
        high = "1 s"
        [[vary]]
        key = "time.tolerance"
        low = "1 K"
        high = 20
        distribution = "normal"
        mean = 1
        sd = 0
        [[vary]]
        key = "protocol[1]"
        values = [{mode = "off", duration = "3 s"}]
        [[vary]]
        key = "probe.p6.position"
        values = [3]
        [[vary]]
        key = "probe.p5.position"
        low = "1 mm"
        high = "2 mm"
        [sample]
        method = "sobol"
        n = 100
        """,
        study='case = "case.toml"\nnme = "x"',
    )
    assert found == [
        "unknown key 'nme' in study; did you mean 'name'?",
        "sample: Sobol points fill the space evenly in powers of two, and n = 100 is none; use 64 or 128, or method = "
        "'latin_hypercube'",
        "vary[1]: unknown key 'powr' in protocol[1]; did you mean 'power'?",
        "vary[2].values[2]: protocol[1].power expects a power such as '60 W', got 40 without a unit",
        "vary[2].values[3]: '0.02 kW' is the same as values[1]; leave one of them out",
        "vary[2].values[4]: protocol[1].power: must be greater than zero, got -3",
        "vary[3].rows[1]: zone.criterion: 'isothrm' is not a choice; did you mean 'isotherm'?",
        "vary[3].rows[2]: '1 W' must be 2 values, one for each key",
        "vary[4]: low = '10 s' must be below high = '1 s'",
        "vary[5].low: time.tolerance expects a ratio such as '2.5', got '1 K' (temperature)",
        "vary[5].high: time.tolerance: 20 is outside 0.05 to 10 (limits of the step control)",
        "vary[6]: 'protocol[1]' and 'protocol[1].power' of vary[2] are parts of one another; vary one of them",
        "vary[7]: the case has no probe called 'p6'; known are p5",
        "vary[8]: probe.p5.position is not a single quantity, so that nothing lies between limits; did you mean "
        "'probe.p5.position[1]'?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "nothing is varied"),
        ('[[vary]]\nkey = "zone.cooling"\nvalues = []', "vary[1].values: list should have at least 1 item"),
        ('[[vary]]\nkey = "zone.cooling"\nvalue = ["1 s"]', "unknown key 'value' in vary[1]; did you mean 'values'?"),
        ('[[vary]]\nkey = "zone.cooling"\nlow = "1 s"\nhigh = "2 s"', "[sample] is missing"),
        ('[[vary]]\nkey = "zone.cooling"\nvalues = ["1 s"]\n[sample]\nmethod = "sobol"\nn = 2', "no [[vary]] has low"),
        (
            '[[vary]]\nkey = "zone.cooling"\nlow = "1 s"\nhigh = "2 s"\nsd = "1 s"',
            "sd belong to distribution = 'normal'",
        ),
        ('[[vary]]\nkey = "zone.cooling"\nlow = "1 s"\nhigh = "2 s"\ndistribution = "normal"', "needs mean and sd"),
        ('[[vary]]\nkey = "protocol.power"\nvalues = ["1 W"]', "say which protocol is meant"),
        ('[[vary]]\nkey = "protocol[2].power"\nvalues = ["1 W"]', "no protocol[2]"),
        ('[[vary]]\nkey = "vessel[1].flow"\nvalues = ["1 mL/min"]', "the case has no vessel"),
        ('[[vary]]\nkey = "zone.cooling.x"\nvalues = ["1 s"]', "zone.cooling is a value, which has no 'x'"),
        ('[[vary]]\nkey = "zone..x"\nvalues = ["1 s"]', "'zone..x' is no key"),
        ('[[vary]]\nkey = "zone.criterion"\nlow = "1 s"\nhigh = "2 s"\n[sample]\nmethod = "sobol"\nn = 2', "list its"),
        (
            '[[vary]]\nkey = "probe[1].position"\nvalues = [["1 mm", "0 mm", "0 mm"]]\n'
            '[[vary]]\nkey = "probe.p5.position[2]"\nvalues = ["1 mm"]',
            "are parts of one another",
        ),
        ('[[vary]]\nkey = "mesh.resolution"\nvalues = [3.0]\n[more]\n', "unknown key 'more'"),
    ],
)
def test_problems_of_a_study(problems, text, problem):
    assert problem in "\n".join(problems(text))


def test_problems_of_the_base_case_do_not_hide_those_of_the_study(problems, small):
    found = problems('[[vary]]\nkey = "zone.coling"\nvalues = ["1 s"]', case=small.replace("60 W", "60 K"))
    assert len(found) == 2
    assert "case.toml: protocol[1].power expects a power" in found[0]
    assert "did you mean 'cooling'" in found[1]
    assert "there is no such file" in problems('[[vary]]\nkey = "a"\nvalues = [1]', study='case = "none.toml"')[0]


def test_runs_are_checked_as_wholes_and_each_problem_is_said_once(problems):
    (problem, other) = problems(
        """
        [[vary]]
        key = "protocol[1].power"
        values = ["20 W", "300 W"]
        [[vary]]
        key = "probe.p5.position[1]"
        values = ["5 mm", "6 mm", "900 mm"]
        """
    )
    assert problem.startswith("with protocol[1].power = '20 W', probe.p5.position[1] = '900 mm': probe 'p5' is ")
    assert problem.endswith("(1 more runs have it)")
    assert "300 W is above the limit of 200 W" in other
    assert other.endswith("(2 more runs have it)")


def test_too_many_runs_are_refused_with_the_limit(problems):
    values = json.dumps([f"{k} s" for k in range(1, 1102)])
    text = "".join(f'[[vary]]\nkey = "{key}"\nvalues = {values}\n' for key in ("zone.cooling", "protocol[1].duration"))
    assert problems(text)[0].startswith(f"1101 x 1101 are 1212201 runs, above the limit of {LIMIT} of the program")


def test_the_schema_knows_what_the_program_reads(written):
    schema = Study.schema()
    for text in (GRID, DRAWN.format(method="sobol", n=4, seed=1)):
        jsonschema.validate(tomllib.loads(f'[study]\ncase = "case.toml"\n{text}'), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"study": {"case": "case.toml"}, "vary": [{"key": "zone.cooling", "value": [1]}]}, schema)


# -- runs, their numbers and their folders -----------------------------------------------------------------------------


def test_a_hundred_thousand_runs_are_listed_without_a_folder_for_each(written, tmp_path):
    study = written(DRAWN.format(method="latin_hypercube", n=100_000, seed=1))
    study.check()
    plan(study, tmp_path / "out").manifest.write(tmp_path / "out")
    manifest = Manifest.read(tmp_path / "out")
    assert len({run.case for run in manifest.runs}) == 100_000
    assert [path.name for path in (tmp_path / "out").iterdir()] == [MANIFEST]
    last = manifest.run(100_000)
    assert manifest.case_of(last).zone.cooling == parse(last.values[1], "duration")
    assert all(one.state is State.WAITING for _, one in standings(tmp_path / "out", manifest.runs))


def test_runs_keep_their_numbers_when_the_study_changes(written, tmp_path):
    def values(*powers):
        return written(f'[[vary]]\nkey = "protocol[1].power"\nvalues = {json.dumps(powers)}')

    out = tmp_path / "out"
    first = plan(values("20 W", "30 W", "40 W"), out)
    assert (first.first, first.added, first.dropped) == (True, 3, 0)
    first.manifest.write(out)
    names = {run.values[0]: run.name for run in first.manifest.runs}
    assert list(names.values())[2].startswith("0003-")
    (out / RUNS / names["40 W"]).mkdir(parents=True)
    second = plan(values("50 W", "30 W"), out)
    assert (second.first, second.added, second.dropped) == (False, 1, 2)
    assert [run.number for run in second.manifest.runs] == [4, 2]
    second.manifest.write(out)
    # The folder of a run that was dropped remembers its number.
    third = plan(values("40 W", "30 W"), out)
    assert [run.name for run in third.manifest.runs] == [names["40 W"], names["30 W"]]
    # Without its manifest, the folders still say what there is.
    (out / MANIFEST).unlink()
    assert plan(values("40 W"), out).manifest.runs[0].name == names["40 W"]


def test_a_case_is_known_by_what_it_says_and_by_its_files(small, tmp_path):
    case = tomllib.loads(small)
    mark = identity(case, tmp_path)
    assert mark == identity(json.loads(json.dumps(case, sort_keys=True)), tmp_path / "moved")
    assert mark == identity({**case, "time": {"checkpoint_interval": "9 min"}}, tmp_path)
    assert mark != identity({**case, "time": {"tolerance": 2.0}}, tmp_path)
    own = {**case, "device": {"profile": "own.toml"}, "vessel": [{"name": "v", "surface": "v.stl"}]}
    marks = set()
    for name in ("own.toml", "v.stl"):
        for text in ("a", "bb"):
            (tmp_path / name).write_text(text)
            marks.add(identity(own, tmp_path))
    assert len(marks) == 4


def test_a_file_that_changed_since_submission_is_told(written, tmp_path, small):
    from ablationsim.device import Device

    profile = Device.file("rfa_cooltip_17g_2cm_like").read_text()
    (tmp_path / "own.toml").write_text(profile)
    study = written('[[vary]]\nkey = "device.profile"\nvalues = ["own.toml"]')
    manifest = plan(study, tmp_path / "out").manifest
    assert manifest.case_of(manifest.runs[0]).applicators[0].device.name == "own"
    (tmp_path / "own.toml").write_text(profile + "\n# other\n")
    with pytest.raises(CaseError, match="has changed or gone since the study was submitted"):
        manifest.case_of(manifest.runs[0])


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "holds no study"), ("{", "cannot be used"), ('{"schema": "x", "version": 9}', "version 9")],
)
def test_manifests_that_cannot_be_read(tmp_path, content, problem):
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(OutputError, match=problem):
        Manifest.read(tmp_path)


def test_a_folder_of_other_things_is_not_taken(written, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match="holds other things than a study"):
        plan(written(GRID), tmp_path / "out")


# -- who has a run, and how it stands ----------------------------------------------------------------------------------


@pytest.fixture
def gone():
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_belongs_to_one_process_until_it_ends(tmp_path):
    claim = Claim.take(tmp_path)
    assert Claim.take(tmp_path) is None
    assert standing(tmp_path).state is State.RUNNING
    claim.end("failed", "no luck", 1)
    found = standing(tmp_path)
    assert (found.state, found.message) == (State.FAILED, "no luck")
    again = Claim.take(tmp_path)
    assert again.running.starts == 2
    assert not (tmp_path / ENDED).exists()
    again.end("interrupted", "stopped", 85)
    assert standing(tmp_path).state is State.INTERRUPTED
    assert sorted(path.name for path in tmp_path.iterdir()) == [ENDED]


def test_a_run_of_a_process_that_is_gone_can_be_taken(tmp_path, gone):
    claim = Claim.take(tmp_path)
    claim._over.set()
    left = replace(claim.running, pid=gone, updated=claim.running.started + 50.0)
    (tmp_path / RUNNING).write_text(text_of(left))
    assert standing(tmp_path).state is State.CUT_OFF
    # The number of a process is used again by others.
    (tmp_path / RUNNING).write_text(text_of(replace(left, pid=os.getpid(), born=(born(os.getpid()) or 0) - 1)))
    assert standing(tmp_path).state is State.CUT_OFF
    again = Claim.take(tmp_path)
    assert (again.running.starts, again.running.spent_s) == (2, pytest.approx(50.0))
    again.end("finished")


def test_another_machine_is_believed_for_some_minutes(tmp_path, monkeypatch):
    claim = Claim.take(tmp_path)
    claim._over.set()
    there = replace(claim.running, machine="elsewhere", host="elsewhere")
    (tmp_path / RUNNING).write_text(text_of(there))
    assert standing(tmp_path).state is State.RUNNING
    assert Claim.take(tmp_path) is None
    # Unless Slurm has started the very job again, here.
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    (tmp_path / RUNNING).write_text(text_of(replace(there, job="7_3")))
    Claim.take(tmp_path).end("finished")
    (tmp_path / RUNNING).write_text(text_of(replace(there, updated=time.time() - STALE - 1.0)))
    assert standing(tmp_path).state is State.CUT_OFF


def test_a_torn_record_is_no_error(tmp_path):
    (tmp_path / RUNNING).write_text('{"start": "')
    assert read_running(tmp_path) is None
    assert Claim.take(tmp_path) is None
    os.utime(tmp_path / RUNNING, (0.0, 0.0))
    Claim.take(tmp_path).end("finished")


def test_the_error_of_another_rank_counts_while_the_first_one_is_gone(tmp_path, gone):
    claim = Claim.take(tmp_path)
    claim._over.set()
    (tmp_path / RUNNING).write_text(text_of(replace(claim.running, pid=gone)))
    (tmp_path / ENDED).write_text(text_of(ending(claim.running, "failed", "rank 3 had enough", 1)))
    assert standing(tmp_path).message == "rank 3 had enough"
    Claim.take(tmp_path).end("finished")
    # What an earlier start said of its end says nothing of the present one.
    taken = Claim.take(tmp_path)
    (tmp_path / ENDED).write_text(text_of(ending(claim.running, "failed", "rank 3 had enough", 1)))
    assert standing(tmp_path).state is State.RUNNING
    taken.end("finished")


# -- tables and scripts ------------------------------------------------------------------------------------------------


def test_the_tables_have_si_values_with_units_and_every_state(written, tmp_path, small_run):
    import pyarrow.parquet as pq

    study = written(
        """
        [[vary]]
        key = "tissue.temperature"
        values = ["20 degC", "21 degC"]
        [[vary]]
        keys = ["probe.p5.position", "zone.criterion"]
        rows = [[["5 mm", "0 mm", "10 mm"], "isotherm"]]
        """
    )
    out = tmp_path / "out"
    manifest = plan(study, out).manifest
    manifest.write(out)
    place = out / RUNS / manifest.runs[1].name
    place.mkdir(parents=True)
    (place / "zone.json").write_text((small_run.folder / "zone.json").read_text())
    write_tables(out, manifest, standings(out, manifest.runs))
    table = pq.read_table(out / "results.parquet")
    rows = table.to_pylist()
    assert [row["state"] for row in rows] == ["waiting", "finished"]
    assert [row["tissue.temperature [K]"] for row in rows] == [293.15, 294.15]
    assert rows[0]["probe.p5.position[1] [m]"] == 5e-3
    assert rows[0]["zone.criterion"] == "isotherm"
    assert rows[0]["volume_ml"] is None
    assert rows[1]["volume_ml"] == small_run.document["volume_ml"]
    assert rows[1]["contracted_volume_ml"] == small_run.document["contracted"]["volume_ml"]
    assert rows[1]["energy_j"] == small_run.document["energy_balance"]["in_j"]
    assert str(table.schema.field("message").type) == "string"
    lines = (out / "results.csv").read_text().splitlines()
    assert lines[0].split(",") == table.column_names
    assert len(lines) == 3


def test_runs_beyond_what_an_array_may_have_share_its_elements(tmp_path, monkeypatch):
    runs = [Run(number, "ab", ()) for number in range(1, 2501)]
    answers = {"scontrol": "SlurmctldPort = 1\nMaxArraySize            = 1001\n", "sbatch": "77;cluster\n"}
    monkeypatch.setattr(slurm, "_asked", lambda command: answers[command[0]])
    found = slurm.submit(tmp_path, runs, slurm.Wishes(at_once=20, extra=("--qos=long",)), "powers")
    assert (found.job, found.elements, found.runs_per_job) == ("77", 834, 3)
    script = found.script.read_text()
    assert "#SBATCH --array=1-834%20\n" in script
    assert "#SBATCH --qos=long\n" in script
    lists = found.script.with_suffix(".txt").read_text().splitlines()
    assert [int(number) for line in lists for number in line.split()] == list(range(1, 2501))
    assert subprocess.run(["bash", "-n", found.script]).returncode == 0
    answers["squeue"] = "77 834 PENDING\n77 1 COMPLETING\n78 2 RUNNING\nN/A N/A RUNNING\n"
    assert slurm.queued(tmp_path) == {2500: "PENDING"}
    with pytest.raises(ClusterError, match="line break"):
        slurm.submit(tmp_path, runs, slurm.Wishes(extra=("--qos=a\n#SBATCH --x",)), "powers")


def test_named_entries_with_dots_and_components_are_found(small):
    case = tomllib.loads(small)
    case["probe"] += [{"name": "a.b", "position": ["1 mm", "2 mm", "3 mm"]}]
    key = find(case, "probe.a.b.position[3]")
    assert key.path == ("probe", 1, "position", 2)
    changed = varied(case, [key], ["9 mm"])
    assert changed["probe"][1]["position"] == ["1 mm", "2 mm", "9 mm"]
    assert case["probe"][1]["position"] == ["1 mm", "2 mm", "3 mm"]
    assert changed["tissue"] is case["tissue"]

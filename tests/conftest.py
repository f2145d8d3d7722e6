"""What tests of whole runs share: small cases, the command line in a process of its own, and comparison of runs."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ablationsim
from ablationsim.cli import (
    comparing,
    exporting,
    fitting,
    main,
    margins,
    overlapping,
    planning,
    running,
    studies,
    sweeping,
    uncertainty,
    validating,
)

SMALL = """
title = "Small case"
[device]
profile = "rfa_cooltip_17g_2cm_like"
[[protocol]]
mode = "power"
power = "60 W"
duration = "5 s"
[tissue]
set = "liver_porcine_ex_vivo"
[[probe]]
name = "p5"
position = ["5 mm", "0 mm", "10 mm"]
[zone]
criterion = "isotherm"
isotherm_temperature = "45 degC"
cooling = "2 s"
[mesh]
resolution = 4.0
[time]
checkpoint_interval = "1 ms"
"""


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory) -> None:
    """Meshes are kept in a folder of the session, also by commands that tests start."""
    os.environ["ABLATIONSIM_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def small() -> str:
    """Text of a case that runs in a second."""
    return SMALL


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> ablationsim.Result:
    """The result of the small case as it was in memory; its folder must not be changed."""
    folder = tmp_path_factory.mktemp("small_run")
    case = folder / "small.toml"
    case.write_text(SMALL)
    return ablationsim.simulate(ablationsim.Case.load(case), folder / "run")


@pytest.fixture(scope="session")
def pulsed() -> ablationsim.Case:
    """A case in which the impedance rolls off several times, in living tissue."""
    return ablationsim.Case.from_dict(
        {
            **tomllib.loads(SMALL),
            "protocol": [
                {"mode": "impedance", "power": "200 W", "rise": "5 ohm", "pause": "2 s", "duration": "16 s"},
            ],
            "tissue": {"set": "liver_human"},
            "time": {"checkpoint_interval": "1 ms", "tolerance": 2.0},
        }
    )


@pytest.fixture(scope="session")
def pulsed_run(pulsed, tmp_path_factory) -> ablationsim.Result:
    """The pulsed case without interruption; its folder must not be changed."""
    return ablationsim.simulate(pulsed, tmp_path_factory.mktemp("pulsed") / "run")


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line to its end in a process of its own."""

    def run(*words: str | Path, launcher: Sequence[str] = (), **options: Any) -> subprocess.CompletedProcess[str]:
        command = [*launcher, sys.executable, "-m", "ablationsim.cli", *map(str, words)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, **options)

    return run


@pytest.fixture
def quick_cli(monkeypatch, capsys) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in this process, which spares the imports; an unforeseen exception fails the test."""

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["ablationsim", *map(str, words)]
        monkeypatch.setattr(sys, "argv", command)
        # The number of threads is a matter of the process.
        for module in (
            comparing,
            exporting,
            fitting,
            margins,
            overlapping,
            planning,
            running,
            studies,
            sweeping,
            uncertainty,
            validating,
        ):
            monkeypatch.setattr(module, "limit_threads", lambda count: None)
        with pytest.raises(SystemExit) as left:
            main()
        caught = capsys.readouterr()
        return subprocess.CompletedProcess(command, left.value.code, caught.out, caught.err)

    return run


@pytest.fixture(scope="session")
def assert_same_run() -> Callable[[Path, Path], None]:
    """Holds two run folders against each other: the same numbers to 1e-10."""

    def numbers(value: Any, place: str = "") -> dict[str, Any]:
        if isinstance(value, dict):
            return {path: n for key, part in value.items() for path, n in numbers(part, f"{place}/{key}").items()}
        return {place: value}

    def compare(first: Path, second: Path) -> None:
        zones = [numbers(json.loads((folder / "zone.json").read_text())) for folder in (first, second)]
        for place, value in zones[0].items():
            # The part of the energy that is missing is rounding itself.
            slack = 1e-10 if place.endswith("relative_error") else 0.0
            assert zones[1][place] == (
                pytest.approx(value, rel=1e-10, abs=slack) if isinstance(value, float) else value
            ), place
        tables = [np.genfromtxt(folder / "history.csv", delimiter=",", names=True) for folder in (first, second)]
        assert tables[0].dtype == tables[1].dtype
        for column in tables[0].dtype.names:
            np.testing.assert_allclose(tables[1][column], tables[0][column], rtol=1e-10, atol=1e-10, err_msg=column)
        with np.load(first / "fields.npz") as one, np.load(second / "fields.npz") as other:
            assert one.files == other.files
            for name in one.files:
                # A displacement is solved for iteratively and passes zero: only its largest value says what is small.
                slack = 1e-8 * np.max(np.abs(one[name])) if name == "displacement" else 0.0
                np.testing.assert_allclose(other[name], one[name], rtol=1e-10, atol=slack, err_msg=name)

    return compare

"""``study.json``: the runs of a study, written before anything is run; a run needs nothing else to be made.

The base case is in it as it was at submission, so that runs that wait in a queue do not follow what is edited since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ablationsim.case import Case
from ablationsim.errors import CaseError, OutputError
from ablationsim.results.files import make_folder, replacing
from ablationsim.study.sweep.identity import identity
from ablationsim.study.sweep.keys import Key, find, varied
from ablationsim.study.sweep.study import Study

MANIFEST = "study.json"
RUNS = "runs"
"""Folder of the runs, in that of the study."""

SCHEMA, VERSION = "ablationsim/study", 1


@dataclass(frozen=True)
class Run:
    """A run of a study.

    Attributes
    ----------
    number : int
        From 1; a run keeps it when the study changes.
    case : str
        `identity` of its case.
    values : tuple
        Of the keys that are varied, written as in a case file.
    """

    number: int
    case: str
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.number:04d}-{self.case}"


@dataclass(frozen=True)
class Manifest:
    """The runs of a study.

    Attributes
    ----------
    name : str
    directory : Path
        Where relative paths of the base case start.
    case : dict
        Content of the base case.
    keep : {"all", "zone"}
        What stays of a finished run.
    texts : tuple of str
        Keys that are varied, as they were written.
    runs : tuple of Run
        In the order of the study.
    """

    name: str
    directory: Path
    case: Mapping[str, Any]
    keep: str
    texts: tuple[str, ...]
    runs: tuple[Run, ...]

    @classmethod
    def of(cls, study: Study, numbers: Mapping[str, int]) -> Manifest:
        """List the runs of a study.

        Parameters
        ----------
        study : Study
        numbers : mapping of str to int
            Numbers that cases already have, by their `identity`.
        """
        directory = study.case_file.parent.absolute()
        free = max(numbers.values(), default=0)
        runs = []
        for values, case in study.cases():
            mark = identity(case, directory)
            number = numbers.get(mark)
            if number is None:
                free += 1
                number = free
            runs.append(Run(number, mark, values))
        texts = tuple(key.text for key in study.keys)
        return cls(study.name, directory, study.case, study.keep, texts, tuple(runs))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest in the folder of a study.

        Raises
        ------
        OutputError
            If there is none, or it cannot be read.
        """
        path = folder / MANIFEST
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if (data["schema"], data["version"]) != (SCHEMA, VERSION):
                raise ValueError(f"it is {data['schema']!r} version {data['version']!r}, not {SCHEMA!r} {VERSION}")
            return cls(
                name=data["name"],
                directory=Path(data["directory"]),
                case=data["case"],
                keep=data["keep"],
                texts=tuple(data["keys"]),
                runs=tuple(Run(number, mark, tuple(values)) for number, mark, values in data["runs"]),
            )
        except FileNotFoundError:
            raise OutputError(
                f"{folder} holds no study: there is no {MANIFEST} in it. Give the folder of 'ablationsim submit'."
            ) from None
        except OSError as error:
            raise OutputError(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{path} cannot be used ({error}). Remove it and submit the study again: finished runs are kept."
            ) from error

    def write(self, folder: Path) -> None:
        """Write the manifest, a line a run.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        make_folder(folder)
        head = {
            "schema": SCHEMA,
            "version": VERSION,
            "ablationsim": version("ablationsim"),
            "name": self.name,
            "directory": str(self.directory),
            "case": self.case,
            "keep": self.keep,
            "keys": self.texts,
        }
        with replacing(folder / MANIFEST) as beside, beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(head, indent=1)[:-2] + ',\n "runs": [')
            for count, run in enumerate(self.runs):
                file.write(",\n  " if count else "\n  ")
                file.write(json.dumps([run.number, run.case, run.values]))
            file.write("\n ]\n}\n")

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """Keys that are varied."""
        free = any(text.endswith(".mode") for text in self.texts)
        return tuple(find(self.case, text, free) for text in self.texts)

    def run(self, number: int) -> Run:
        """A run by its number.

        Raises
        ------
        OutputError
            If the study has none of this number.
        """
        for run in self.runs:
            if run.number == number:
                return run
        raise OutputError(f"the study '{self.name}' has no run {number}")

    def case_of(self, run: Run) -> Case:
        """The case of a run.

        Raises
        ------
        CaseError
            If it cannot be run, or is not what it was when the study was submitted.
        """
        data = varied(self.case, self.keys, run.values)
        if identity(data, self.directory) != run.case:
            raise CaseError(
                [
                    "a file that it names (device profile, mesh, vessels, tumour) has changed or gone since the study "
                    "was submitted; submit the study again"
                ],
                f"the case of run {run.number}",
            )
        return Case.from_dict(data, self.directory)

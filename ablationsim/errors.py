"""The errors a person sees: each message is complete by itself, with the value, the limit, its origin and what to do.

`AblationSimError` is the one family to catch. The command line prints the message without a traceback and leaves with
`exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


class AblationSimError(Exception):
    """Anything that ablationsim itself finds wrong."""

    exit_code: ClassVar[int] = 1


class CaseError(AblationSimError):
    """A case file that cannot be run.

    Parameters
    ----------
    problems : sequence of str
        Every problem found, each a complete sentence.
    source : str, optional
        Where the case came from, for the heading.
    """

    exit_code = 2

    def __init__(self, problems: Sequence[str], source: str = "the case") -> None:
        self.problems = list(problems)
        self.source = source
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"{count} in {source}:", *(f"  - {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[type[CaseError], tuple[list[str], str]]:
        # On its way to another process.
        return type(self), (self.problems, self.source)


class DeviceError(AblationSimError):
    """A device profile that does not exist, is malformed, or is asked for more than it can give."""

    exit_code = 2


class TissueError(AblationSimError):
    """A tissue set that does not exist, is malformed, or is taken outside its published range."""

    exit_code = 2


class GeometryError(AblationSimError):
    """Applicator and domain do not fit each other."""

    exit_code = 2


class MeshError(AblationSimError):
    """No usable mesh could be made or read."""


class SolverError(AblationSimError):
    """A linear or nonlinear solve, or the time march, failed."""


class CheckpointError(AblationSimError):
    """A checkpoint is missing, corrupted, or belongs to another case."""


class OutputError(AblationSimError):
    """The run folder cannot be written or read."""


class LaunchError(AblationSimError):
    """A launcher of ranks, MPI and PETSc do not work together, or one of them is missing."""

    exit_code = 2


class ClusterError(AblationSimError):
    """Slurm is not there, does not answer, or does not take a job."""


class Interrupted(AblationSimError):
    """The user stopped the run; what was written stays."""

    exit_code = 130


class Stopped(Interrupted):
    """A batch system stopped the run; it goes on where it was with ``--resume``."""

    exit_code = 85


def best_match(name: str, candidates: Iterable[str]) -> str:
    """Ending of an error message about an unknown name: the nearest candidate, or all of them when none is near.

    Examples
    --------
    >>> best_match("powr", ["power", "pause"])
    "; did you mean 'power'?"
    """
    known = sorted(candidates)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known are {', '.join(known)}" if known else ""


def problems_of(error: ValidationError, model: Any, where: str = "") -> list[str]:
    """Turn the findings of pydantic into sentences that name the place in the file.

    Parameters
    ----------
    error : pydantic.ValidationError
        What the validation of `model` raised.
    model : type or annotation
        What was validated: a model class, or a union of model classes told apart by a key.
    where : str
        Place of the validated table in the file, such as ``"protocol[1]"``.

    Returns
    -------
    list of str
        One sentence a finding; unknown keys and unknown choices carry the best match.
    """
    found = []
    for detail in error.errors(include_url=False):
        place, models = _resolve(model, detail["loc"], where)
        context = detail.get("ctx", {})
        match detail["type"]:
            case "extra_forbidden":
                key, table = str(detail["loc"][-1]), place.rpartition(".")[0]
                known = {name for owner in models for name in owner.model_fields}
                text = f"unknown key '{key}'" + (f" in {table}" if table else "") + best_match(key, known)
            case "missing":
                text = f"{place} is missing"
            case "value_error":
                text = _sentence(place, str(context["error"]))
            case "literal_error":
                choices = [_bare(choice) for choice in context["expected"].replace(" or ", ", ").split(", ")]
                text = f"{place}: {detail['input']!r} is not a choice" + best_match(str(detail["input"]), choices)
            case "union_tag_invalid":
                choices = [_bare(choice) for choice in context["expected_tags"].split(", ")]
                text = f"{place}: {_bare(context['discriminator'])} {context['tag']!r} is not a choice" + best_match(
                    context["tag"], choices
                )
            case "union_tag_not_found":
                text = f"{place}.{_bare(context['discriminator'])} is missing"
            case _:
                text = f"{place}: {detail['msg'][0].lower()}{detail['msg'][1:]}, got {detail['input']!r}"
        found.append(text)
    return found


def _sentence(place: str, text: str) -> str:
    if not place:
        return text
    return f"{place} {text}" if text.startswith("expects ") else f"{place}: {text}"


def _bare(word: str) -> str:
    return word.strip("'")


def _resolve(model: Any, loc: Sequence[int | str], where: str) -> tuple[str, list[type[BaseModel]]]:
    """Place in the file of a pydantic location, and the models whose keys are allowed in its last table."""
    current, owners, place = _models_in(model), _models_in(model), where
    for part in loc:
        if isinstance(part, int):
            place += f"[{part + 1}]"
            continue
        owners = current
        tagged = [owner for owner in current if part in _tags(owner)]
        if len(current) > 1 and tagged:
            # The tag of a union is a step in pydantic's path but not in the file.
            current = tagged
            continue
        fields = [owner.model_fields[part].annotation for owner in current if part in owner.model_fields]
        place += f".{part}" if place else part
        current = [found for annotation in fields for found in _models_in(annotation)]
    return place, owners


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _tags(owner: type[BaseModel]) -> set[Any]:
    literals = (field.annotation for field in owner.model_fields.values() if get_origin(field.annotation) is Literal)
    return {value for literal in literals for value in get_args(literal)}

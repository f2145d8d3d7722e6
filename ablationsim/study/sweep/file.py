"""The tables of a study file, one model each."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, StrictInt, model_validator

from ablationsim.case.sections import Name, Section


class AboutSection(Section):
    """``[study]``: the case that is varied, and what is kept of its runs.

    Attributes
    ----------
    case : str
        Case file, relative to the study file.
    name : str or None
        Of the study; the name of the file when not given.
    keep : {"all", "zone"}
        What stays of a finished run: everything, or only what its numbers are in (zone, history, case, log).
    """

    case: str
    name: Name | None = None
    keep: Literal["all", "zone"] = "all"


class ListedKey(Section):
    """``[[vary]]`` with values: each is combined with everything else that is varied.

    Attributes
    ----------
    key : str
        Place in the case, such as ``protocol[1].power``.
    values : list
        Written as in a case file.
    """

    key: str
    values: list[Any] = Field(min_length=1)


class ListedRows(Section):
    """``[[vary]]`` with rows: several keys that change together.

    Attributes
    ----------
    keys : list of str
        Places in the case.
    rows : list of list
        A value for each key.
    """

    keys: list[str] = Field(min_length=1)
    rows: list[list[Any]] = Field(min_length=1)


class DrawnKey(Section):
    """``[[vary]]`` with limits: values are drawn between them, as ``[sample]`` says.

    Attributes
    ----------
    key : str
        Place of a quantity in the case.
    low, high : str or number
        Limits, with units.
    distribution : {"uniform", "loguniform", "normal"}
        A normal distribution is cut off at the limits.
    mean, sd : str or number or None
        Of a normal distribution before it is cut off.
    """

    key: str
    low: str | float
    high: str | float
    distribution: Literal["uniform", "loguniform", "normal"] = "uniform"
    mean: str | float | None = None
    sd: str | float | None = None

    @model_validator(mode="after")
    def _parameters_of_the_distribution(self) -> Self:
        given = [key for key in ("mean", "sd") if getattr(self, key) is not None]
        if self.distribution == "normal" and len(given) < 2:
            raise ValueError("a normal distribution needs mean and sd")
        if self.distribution != "normal" and given:
            raise ValueError(f"{' and '.join(given)} belong to distribution = 'normal', not to '{self.distribution}'")
        return self


class SampleSection(Section):
    """``[sample]``: how values between limits are drawn, all keys with limits together.

    Attributes
    ----------
    method : {"sobol", "latin_hypercube"}
    n : int
        How many points; a power of two for Sobol points.
    seed : int
        The same seed draws the same values.
    """

    method: Literal["sobol", "latin_hypercube"]
    n: StrictInt = Field(ge=1)
    seed: StrictInt = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        if self.method == "sobol" and self.n & (self.n - 1):
            below = 1 << (self.n.bit_length() - 1)
            raise ValueError(
                f"Sobol points fill the space evenly in powers of two, and n = {self.n} is none; use {below} or "
                f"{2 * below}, or method = 'latin_hypercube'"
            )
        return self


class StudyFile(Section):
    """A whole study file: ``[study]``, one or more ``[[vary]]``, and ``[sample]`` if any of them has limits."""

    study: AboutSection
    vary: list[ListedKey | ListedRows | DrawnKey] = Field(min_length=1)
    sample: SampleSection | None = None

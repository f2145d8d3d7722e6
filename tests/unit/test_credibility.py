"""The assessment of credibility: complete by its scheme, and everything that it points to is there."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from ablationsim.cli import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "validation" / "CREDIBILITY.md").read_text(encoding="utf-8")

FACTORS = (
    "Software quality assurance",
    "Numerical code verification",
    "Discretisation error",
    "Numerical solver error",
    "Use error",
    "Model form",
    "Model inputs",
    "Test samples",
    "Test conditions",
    "Equivalency of inputs",
    "Output comparison",
    "Relevance of the quantities",
    "Relevance of the validation",
)
"""The thirteen credibility factors of V&V 40-2018."""

CATEGORIES = (
    "Code verification",
    "Model calibration",
    "Bench test validation",
    "In vivo validation",
    "Population-based validation",
    "Emergent model behaviour",
    "Model plausibility",
    "Calculation verification and uncertainty quantification",
)
"""The eight categories of evidence of the guidance."""

QUOTED = re.findall(r"`([^`]+)`", TEXT)
COMMANDS = [words for text in QUOTED if (words := shlex.split(text))[0] == "ablationsim"]
TESTS = [path for text in QUOTED if text.startswith("python -m pytest ") for path in text.split()[3:]]


def section(title):
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title):
    """Cells of each row of a table that has something in more than its first cell."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells for cells in found if any(cells[1:])]


def test_every_factor_has_evidence_a_grade_a_gap_and_a_command():
    found = rows("Factors of V&V 40")
    assert tuple(cells[0] for cells in found) == FACTORS
    for _, evidence, grade, gap, command in found:
        assert evidence
        assert gap
        assert "`" in command
        reached, goal = map(int, re.fullmatch(r"\**([0-3])\** \(([0-3])\)", grade).groups())
        # What falls short is to be seen at once.
        assert (reached < goal) == grade.startswith("**")


def test_every_category_of_evidence_is_answered():
    found = rows("Evidence in the FDA's eight categories")
    assert len(found) == len(CATEGORIES)
    for number, (cells, name) in enumerate(zip(found, CATEGORIES, strict=True), start=1):
        assert cells[0].startswith(f"{number}. {name}")
        assert cells[1] == "none" or cells[2]


def test_frame_of_the_assessment():
    for title in ("Question of interest", "Context of use", "Model risk", "Scale", "Adequacy"):
        assert section(title).strip()
    assert "must not be used to plan, guide or judge the treatment of a patient" in TEXT
    assert "FDA-2021-D-0980" in TEXT


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_exists(words):
    group = typer.main.get_command(app)
    command, rest = group.commands[words[1]], words[2:]
    if hasattr(command, "commands") and rest:
        command, rest = command.commands[rest[0]], rest[1:]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if word.startswith("--")} <= options
    for word in rest:
        if word.endswith(".toml"):
            assert (ROOT / word).is_file()


def test_every_test_and_file_exists():
    assert TESTS
    paths = [text for text in QUOTED if re.fullmatch(r"(docs|validation|tests|meshes)(/[\w./-]+)?", text)]
    missing = [path for path in (*TESTS, *paths) if not (ROOT / path).exists()]
    assert not missing


def test_every_device_and_publication_exists():
    shown = [words[3] for words in COMMANDS if words[1:3] == ["devices", "show"]]
    compared = [words[2] for words in COMMANDS if words[1] == "validate" and len(words) > 2]
    assert all((ROOT / "devices" / f"{name}.toml").is_file() for name in shown)
    assert all((ROOT / "validation" / name).is_dir() for name in compared if not name.startswith("--"))


def test_targets_of_make_exist():
    targets = [text.split()[1] for text in QUOTED if text.startswith("make ")]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_documentation_has_the_page():
    assert "validation/CREDIBILITY.md" in (ROOT / "docs" / "credibility.md").read_text(encoding="utf-8")

"""The report of a plan says what is recommended, why, and what stands behind it; a damaged plan is refused."""

import copy
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from ablationsim.errors import OutputError
from ablationsim.report.plan import render, verdict, write_plan_report
from ablationsim.report.plan_figures import pareto
from ablationsim.report.plan_file import read_plan
from ablationsim.study.planning.record import JSON


def needle(power: float, seconds: float) -> dict:
    return {
        "name": "needle",
        "profile": "mwa_emprint_13g_like",
        "tip_mm": [53.1, 26.1, -6.6],
        "entry_mm": [81.0, 132.0, 12.4],
        "direction": [0.25, 0.95, 0.17],
        "power_w": power,
        "duration_s": seconds,
        "energy_kj": power * seconds / 1e3,
        "depth_mm": 111.2,
    }


DOCUMENT = {
    "schema": "ablationsim plan",
    "version": 1,
    "mode": "optimize",
    "case": "A tumour beside a vein",
    "statement": "Made for study.",
    "required_margin_mm": 5.0,
    "plans": [
        {
            "name": "plan_1",
            "needles": [needle(100.0, 270.0)],
            "reduced": {"mam_mm": 5.9, "coverage": 1.0, "healthy_ml": 30.1},
            "confirmed": {
                "mam_mm": 5.3,
                "coverage": 1.0,
                "under_0": 0.0,
                "under_required": 0.0,
                "healthy_ml": 28.4,
                "zone_ml": 35.2,
                "time_s": 300.0,
            },
            "access": ["The needle passes 6.2 mm from hepatic_vein."],
            "feasible": True,
            "pareto": True,
            "folder": "plans/plan_1",
        },
        {
            "name": "plan_2",
            "needles": [needle(60.0, 200.0)],
            "reduced": {"mam_mm": 0.4, "coverage": 1.0, "healthy_ml": 12.0},
            "confirmed": {"mam_mm": -1.2, "coverage": 0.991, "under_required": 0.8, "healthy_ml": 11.1},
            "access": [],
            "feasible": True,
            "pareto": True,
            "folder": "plans/plan_2",
        },
        {
            "name": "plan_3",
            "needles": [needle(100.0, 480.0)],
            "reduced": {"mam_mm": 8.4, "coverage": 1.0, "healthy_ml": 44.0},
            "confirmed": None,
            "access": ["The needle passes 1.1 mm from portal_vein; at least 3 mm are asked for."],
            "feasible": False,
            "pareto": False,
            "folder": None,
        },
    ],
    "recommended": "plan_1",
    "best": "plan_1",
    "why": "plan_1 spends the least healthy tissue of those with 5 mm.",
    "search": {"evaluations": 48210, "full_runs": 4, "wall_s": 212.4, "rounds": 2},
    "notes": ["Directions lie on a grid."],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / JSON).write_text(json.dumps(DOCUMENT))
    return tmp_path


def changed(folder, **changes):
    (folder / JSON).write_text(json.dumps({**copy.deepcopy(DOCUMENT), **changes}))
    return folder


class Text(HTMLParser):
    """The text of a page and its tags with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self._style = "", [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"
        self.text += " "

    def handle_endtag(self, tag):
        self._style = False
        self.text += " "

    def handle_data(self, text):
        self.text += "" if self._style else text


def words(page: str) -> str:
    return re.sub(r"\s+", " ", Text(page).text)


def test_a_plan_is_read(folder):
    plan = read_plan(folder)
    assert plan.recommended is plan.plans[0]
    assert plan.shown is plan.recommended
    first, second, third = plan.plans
    assert first.minutes == 5.0  # as the full model has it, not the needle
    assert second.minutes == pytest.approx(200.0 / 60.0)
    assert (third.confirmed.known, third.measures.mam_mm) == (False, 8.4)
    assert first.folder is None  # there is no finished run
    assert verdict(plan) == "enough"


def test_the_page_says_what_is_recommended_and_why(folder):
    page = render(read_plan(folder), {})
    text = words(page)
    assert text.count("Research use only. Not a medical device.") == 2
    assert "Plan 1, recommended" in text
    assert "plan_1 spends the least healthy tissue of those with 5 mm." in text
    assert "5.3 mm least margin (MAM) as much as wanted, or more" in text
    assert "28.4 mL healthy tissue spent" in text
    assert "100 W 4 min 30 s 27.0 kJ 53.1, 26.1, −6.6 mm 81.0, 132.0, 12.4 mm 111.2 mm" in text
    assert "The needle passes 6.2 mm from hepatic_vein." in text
    assert "Plan 2 60 W, 200 s −1.2 mm – 99.1 % 80.0 % 11.1 mL 3.3 min 0.4 mm −1.6 mm" in text
    assert "Plan 3 100 W, 480 s – – – – 44.0 mL 8.0 min 8.4 mm – not allowed not confirmed" in text
    assert "runs of the full model 4" in text
    assert "rounds 2" in text
    assert "all together 212 s" in text
    assert "Made for study." in text
    assert not re.search(r"\b(nan|inf|None)\b", text)


@pytest.mark.parametrize(
    ("margins", "said"),
    [
        ((5.0, None), "enough"),
        ((4.99, 4.99), "covered"),
        ((0.0, 5.0), "dents"),
        ((0.0, None), "covered"),
        ((-0.1, 6.0), "short"),
        ((None, None), "unconfirmed"),
    ],
)
def test_the_verdict_is_that_of_the_full_model(folder, margins, said):
    plans = copy.deepcopy(DOCUMENT["plans"])
    plans[0]["confirmed"] = {"mam_mm": margins[0], "mam_without_needles_mm": margins[1]}
    plan = read_plan(changed(folder, plans=plans))
    assert verdict(plan) == said
    text = words(render(plan, {}))
    assert ("leaves a part of the tumour alive" in text) == (said == "short")
    assert ("No run of the full model stands behind" in text) == (said == "unconfirmed")


def test_no_plan_recommended_says_why(folder):
    plan = read_plan(changed(folder, recommended=None, why="No way to the tumour keeps off the vessels."))
    text = words(render(plan, {}))
    assert "No plan is recommended No way to the tumour keeps off the vessels." in text
    assert ", recommended" not in text
    assert plan.shown is plan.best


def test_one_plan_needs_no_comparison(folder):
    plan = read_plan(changed(folder, mode="evaluate", plans=DOCUMENT["plans"][:1], recommended=None))
    assert pareto(plan) is None
    text = words(render(plan, {}))
    assert "All plans" not in text
    assert "No plan is recommended" not in text  # nothing was looked for
    assert DOCUMENT["why"] in text


def test_plans_are_drawn_by_margin_and_cost(folder):
    figure = pareto(read_plan(folder))
    healthy, time = figure.axes
    assert healthy.get_xlabel() == "healthy tissue spent / mL"
    assert time.get_xlabel() == "time of the generators / min"
    assert healthy.get_ylabel() == "least margin / mm"
    for ax, across in ((healthy, [(28.4, 5.3), (11.1, -1.2)]), (time, [(5.0, 5.3), (200 / 60, -1.2)])):
        full = [tuple(map(float, line.get_xydata()[0])) for line in ax.lines if line.get_color() == "#1f5f8b"]
        for place in across:
            assert any(drawn == pytest.approx(place) for drawn in full)
    names = {text.get_text() for text in healthy.texts}
    assert names == {"1", "2", "3"}


def test_text_of_a_plan_cannot_become_markup(folder):
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    plans = copy.deepcopy(DOCUMENT["plans"])
    plans[0] |= {"name": evil, "access": [evil]}
    plans[0]["needles"][0] |= {"name": evil, "profile": evil}
    evils = {
        "plans": plans,
        "recommended": evil,
        "best": evil,
        "why": evil,
        "case": evil,
        "statement": evil,
        "notes": [evil],
    }
    tags = [tag for tag, _ in Text(render(read_plan(changed(folder, **evils)), {})).tags]
    assert not {"script", "img"} & set(tags)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "not ablationsim plan 1"),
        ({"recommended": "plan_9"}, "'plan_9' is none of plan_1, plan_2, plan_3"),
        ({"plans": [{**DOCUMENT["plans"][0], "folder": "../elsewhere"}]}, "outside the folder"),
        ({"plans": [{**DOCUMENT["plans"][0], "folder": "/etc"}]}, "outside the folder"),
        ({"plans": [{"name": "plan_1"}]}, "'needles' is missing"),
        ({"plans": [{**DOCUMENT["plans"][0], "needles": [{"name": "n", "tip_mm": [1, 2]}]}]}, "2 coordinates"),
        ({"required_margin_mm": None}, "damaged"),
        ({"plans": 3}, "damaged"),
    ],
)
def test_a_damaged_plan_is_refused(folder, changes, message):
    with pytest.raises(OutputError, match=re.escape(message)):
        read_plan(changed(folder, **changes))


def test_a_folder_without_a_plan_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"plan\.json is missing"):
        write_plan_report(tmp_path)
    (tmp_path / JSON).write_text('{"schema": ')
    with pytest.raises(OutputError, match="damaged"):
        write_plan_report(tmp_path)


def test_the_report_is_written_with_what_there_is(folder, small_run, quick_cli):
    shutil.copytree(small_run.folder, folder / "plans/plan_1")
    (folder / "plans/plan_1/report.html").touch()
    page = folder / "report.html"
    assert f"Report: {page}" in quick_cli("report", folder).stdout
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    tags = Text(page.read_text(encoding="utf-8")).tags
    # The run has no patient: there are no planes, and no tumour: there are no margins.
    assert [attributes["src"][:15] for tag, attributes in tags if tag == "img"] == ["data:image/png;"]
    assert [attributes["href"] for tag, attributes in tags if tag == "a"] == ["plans/plan_1/report.html"]
    assert read_plan(folder).plans[0].folder == (folder / "plans/plan_1").resolve()

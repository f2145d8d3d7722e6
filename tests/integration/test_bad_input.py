"""Bad input and bad places: one clear paragraph, exit code 2 or 1, no traceback, nothing written, nothing lost."""

import json
import os
import re
import resource
import shutil

import pytest

TUBE = """
[[vessel]]
name = "branch"
kind = "portal_vein"
points = [["8 mm", "-40 mm", "10 mm"], ["8 mm", "40 mm", "10 mm"]]
diameter = "5 mm"
flow = "100 mL/min"
"""

CASES = {
    "malformed TOML": (lambda t: t.replace("[tissue]", "[tissue"), ["not valid TOML", "line"]),
    "unknown key": (lambda t: t.replace('power = "60 W"', 'powr = "60 W"'), ["'powr'", "did you mean 'power'"]),
    "unknown table": (
        lambda t: t.replace("[tissue]", "[tisue]"),
        ["'tisue'", "did you mean 'tissue'", "[tissue] is missing"],
    ),
    "wrong dimension": (lambda t: t.replace('"60 W"', '"60 s"'), ["protocol[1].power", "expects a power", "60 s"]),
    "no unit": (lambda t: t.replace('"60 W"', "60"), ["protocol[1].power", "60 W"]),
    "unknown unit": (lambda t: t.replace('"60 W"', '"60 Wat"'), ["protocol[1].power", "Wat"]),
    "not a number": (lambda t: t.replace('"60 W"', '"nan W"'), ["protocol[1].power", "nan"]),
    "unknown device": (lambda t: t.replace("_2cm_", "_2m_"), ["rfa_cooltip_17g_2m_like", "did you mean"]),
    "no device file": (lambda t: t.replace("rfa_cooltip_17g_2cm_like", "mine.toml"), ["mine.toml", "cannot be read"]),
    "power above the limit": (lambda t: t.replace("60 W", "900 W"), ["900 W", "200 W", "rfa_cooltip_17g_2cm_like"]),
    "zero-length protocol": (lambda t: t.replace('"5 s"', '"0 s"'), ["protocol[1].duration", "greater than zero"]),
    "no protocol step": (lambda t: "protocol = []\n" + t.replace("[[protocol]]", "[unused]"), ["protocol is empty"]),
    "tissue law out of range": (
        lambda t: t.replace("[[probe]]", 'electric_conductivity = "9 S/m"\n[[probe]]'),
        ["tissue.electric_conductivity", "9 S/m", "S/m"],
    ),
    "unknown tissue": (
        lambda t: t.replace("porcine", "porcin"),
        ["tissue.set", "did you mean 'liver_porcine_ex_vivo'"],
    ),
    "electrode outside": (
        lambda t: t + '[domain]\nradius = "40 mm"\nheight = "20 mm"\ncentre = ["0 mm", "0 mm", "0 mm"]\n',
        ["outside the cylinder", "section 'tip'", "mm"],
    ),
    "electrode too near the edge": (
        lambda t: t + '[domain]\nradius = "40 mm"\nheight = "22 mm"\ncentre = ["0 mm", "0 mm", "10 mm"]\n',
        ["1.00 mm inside", "enlarge the domain"],
    ),
    "probe outside": (lambda t: t.replace('"5 mm"', '"500 mm"'), ["probe 'p5'", "outside"]),
    "domain in metres": (lambda t: t + '[domain]\nradius = "60 m"\n', ["domain.radius", "1000 mm"]),
    "no return for the current": (lambda t: t + '[domain]\nboundary = "insulated"\n', ["domain.boundary", "return"]),
    "mesh that is not there": (lambda t: t + '[domain]\nmesh = "none.msh"\n', ["domain.mesh", "none.msh"]),
    "mesh that is none": (lambda t: t + '[domain]\nmesh = "case.msh"\n', ["domain.mesh", "case.msh", "corrupted"]),
    "vessel outside": (
        lambda t: t + TUBE.replace("8 mm", "300 mm"),
        ["'branch' lies outside", "mm from it", "Check its unit"],
    ),
    "needle through a tube": (
        lambda t: t + TUBE.replace("8 mm", "1 mm").replace("portal_vein", "tube"),
        ["mm of applicator A0 lie inside vessel 'branch'", "no needle passes"],
    ),
    "flow without unit": (lambda t: t + TUBE.replace("100 mL/min", "100"), ["vessel[1].flow", "10 mL/min", "'100'"]),
    "negative diameter": (lambda t: t + TUBE.replace('"5 mm"', '"-5 mm"'), ["vessel[1].diameter", "greater than zero"]),
    "vessel without a shape": (
        lambda t: t + '[[vessel]]\nname = "v"\nkind = "portal_vein"\n',
        ["vessel[1]", "exactly one of points, surface, centreline, labels, facets", "none of them"],
    ),
    "surface without unit": (
        lambda t: t + '[[vessel]]\nname = "v"\nkind = "tube"\nsurface = "case.msh"\n',
        ["surface needs unit"],
    ),
    "axes that are not known beside an image": (
        lambda t: (
            t
            + '[[vessel]]\nname = "v"\nkind = "portal_vein"\nsurface = "v.stl"\nunit = "mm"\n'
            + '[[vessel]]\nname = "w"\nkind = "portal_vein"\nlabels = "v.nii.gz"\nlabel = 2\n'
        ),
        ["vessel 'v'", "surface needs orientation, 'RAS' or 'LPS'"],
    ),
    "surface that is none": (
        lambda t: t + '[[vessel]]\nname = "v"\nkind = "portal_vein"\nsurface = "v.stl"\nunit = "mm"\n',
        ["vessel 'v'", "v.stl"],
    ),
    "10 million triangles": (
        lambda t: t + '[[vessel]]\nname = "v"\nkind = "portal_vein"\nsurface = "large.stl"\nunit = "mm"\n',
        ["vessel 'v'", "10000000 triangles", "5"],
    ),
    "label image that is none": (
        lambda t: t + '[[vessel]]\nname = "v"\nkind = "portal_vein"\nlabels = "v.nii.gz"\nlabel = 2\n',
        ["vessel 'v'", "v.nii.gz"],
    ),
    "facets without a mesh": (
        lambda t: t + '[[vessel]]\nname = "v"\nkind = "portal_vein"\nfacets = "wall"\n',
        ["vessel 'v'", "domain.mesh"],
    ),
    "two vessels of one name": (lambda t: t + TUBE + TUBE, ["2 vessels are named 'branch'"]),
    "tumour of no known perfusion": (
        lambda t: t + '[tumour]\ncentre = ["0 mm", "0 mm", "9 mm"]\nradius = "9 mm"\nset = "hc"\n',
        ["tumour.set", "did you mean 'hcc'"],
    ),
    "several at once": (
        lambda t: t.replace('"60 W"', '"60 s"').replace("_2cm_", "_2m_").replace("porcine", "porcin"),
        ["3 problems", "protocol[1].power", "rfa_cooltip_17g_2m_like", "liver_porcin_ex_vivo"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_case_file(name, small, tmp_path, quick_cli):
    change, words = CASES[name]
    case = tmp_path / "case.toml"
    case.write_text(change(small))
    for other in ("case.msh", "v.stl", "v.nii.gz"):
        (tmp_path / other).write_bytes(b"\x00\x01 no mesh")
    with (tmp_path / "large.stl").open("wb") as large:
        # A header that says so, and as many bytes, none of which takes space on the disk.
        large.write(b"large".ljust(80) + (10_000_000).to_bytes(4, "little"))
        large.truncate(84 + 50 * 10_000_000)
    before = sorted(tmp_path.iterdir())
    done = quick_cli("run", case, "-o", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.startswith("ablationsim: ")
    for word in words:
        assert word in done.stderr
    assert sorted(tmp_path.iterdir()) == before, "something was written"


def test_a_process_of_its_own_prints_no_traceback(small, tmp_path, cli):
    (tmp_path / "case.toml").write_text(small.replace("60 W", "60 s"))
    done = cli("run", "case.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "expects a power" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["case.toml"]


@pytest.mark.parametrize(
    ("kind", "word"), [("missing", "no such file"), ("folder", "directory"), ("junk", "not UTF-8")]
)
def test_something_else_as_case_file(kind, word, tmp_path, quick_cli):
    path = tmp_path / "case.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "junk":
        path.write_bytes(bytes(range(256)) * 20)
    done = quick_cli("check", path)
    assert done.returncode == 2
    assert word in done.stderr


@pytest.mark.parametrize("place", ["/proc/ablationsim/run", "case.toml/run", "x" * 300])
def test_an_impossible_output_folder(place, small, tmp_path, quick_cli, monkeypatch):
    (tmp_path / "case.toml").write_text(small)
    monkeypatch.chdir(tmp_path)
    done = quick_cli("run", "case.toml", "-o", place)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "--output" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["case.toml"]


def test_a_read_only_output_folder(small, tmp_path, cli):
    (tmp_path / "case.toml").write_text(small)
    (tmp_path / "locked").mkdir(mode=0o555)
    # Root may write everywhere, unless it gives up its capabilities.
    launcher = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = cli("run", tmp_path / "case.toml", "-o", tmp_path / "locked" / "run", launcher=launcher)
    assert done.returncode == 1
    assert "no permission to write" in done.stderr


def test_a_full_disk_at_the_start(small, small_run, tmp_path, cli):
    # The run of the fixture has filled the cache of compiled kernels, so that it is the folder that cannot be written.
    (tmp_path / "case.toml").write_text(small)
    limit = 8192
    words = ["run", tmp_path / "case.toml", "-o", tmp_path / "run"]
    done = cli(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").rglob("*.part"))
    assert not (tmp_path / "run" / "zone.json").exists()


def test_a_folder_with_a_run_is_kept(small, small_run, tmp_path, quick_cli):
    (tmp_path / "case.toml").write_text(small)
    folder = tmp_path / "run"
    shutil.copytree(small_run.folder, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = quick_cli("run", tmp_path / "case.toml", "-o", folder)
    assert done.returncode == 1
    assert all(word in done.stderr for word in ("already holds a run", "--resume", "--overwrite", "--output"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_overwriting_replaces_the_run_and_leaves_other_files(small, small_run, tmp_path, quick_cli):
    (tmp_path / "case.toml").write_text(small.replace("60 W", "30 W"))
    folder = tmp_path / "run"
    shutil.copytree(small_run.folder, folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "fields" / "view.pvsm").write_text("mine")
    (folder / "fields" / "frame_9999.vtu").write_text("of a longer run")
    done = quick_cli("run", tmp_path / "case.toml", "-o", folder, "--overwrite", "--no-report")
    assert done.returncode == 0, done.stderr
    assert (folder / "notes.txt").read_text() == (folder / "fields" / "view.pvsm").read_text() == "mine"
    assert not (folder / "fields" / "frame_9999.vtu").exists()
    assert (folder / "case.toml").read_text() == (tmp_path / "case.toml").read_text()


def test_a_bad_case_does_not_cost_the_run_that_it_would_overwrite(small, small_run, tmp_path, quick_cli):
    (tmp_path / "case.toml").write_text(small + '[domain]\nmesh = "case.msh"\n')
    (tmp_path / "case.msh").write_text("no mesh")
    folder = tmp_path / "run"
    shutil.copytree(small_run.folder, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = quick_cli("run", tmp_path / "case.toml", "-o", folder, "--overwrite")
    assert done.returncode == 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["case.toml", "report.html", "fields"])
def test_files_of_the_user_are_not_replaced(name, small, tmp_path, quick_cli, monkeypatch):
    (tmp_path / "my.toml").write_text(small)
    (tmp_path / name).write_text("mine")
    monkeypatch.chdir(tmp_path)
    done = quick_cli("run", "my.toml", "-o", ".", "--overwrite")
    assert done.returncode == 1
    assert name in done.stderr
    assert "Choose another folder" in done.stderr
    assert (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_and_dots_as_output_folder_write_nothing_beside_it(small, tmp_path, quick_cli, monkeypatch):
    work, target = tmp_path / "work", tmp_path / "target"
    work.mkdir()
    target.mkdir()
    (work / "case.toml").write_text(small)
    (work / "link").symlink_to(target)
    for place in ("link", "../dots/run"):
        monkeypatch.chdir(work)
        done = quick_cli("run", "case.toml", "-o", place, "--no-report")
        assert done.returncode == 0, done.stderr
    assert (target / "zone.json").exists()
    assert (tmp_path / "dots" / "run" / "zone.json").exists()
    assert sorted(path.name for path in work.iterdir()) == ["case.toml", "link"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dots", "target", "work"]


def test_a_damaged_run_has_no_report(small_run, tmp_path, quick_cli):
    folder = tmp_path / "run"
    shutil.copytree(small_run.folder, folder)
    (folder / "fields.npz").write_bytes((folder / "fields.npz").read_bytes()[:-200])
    done = quick_cli("report", folder)
    assert done.returncode == 1
    assert "damaged" in done.stderr


def test_a_needle_through_a_vein_is_a_warning_with_the_length_inside(small, tmp_path, quick_cli):
    case = tmp_path / "case.toml"
    case.write_text(small + TUBE.replace("8 mm", "0 mm"))
    done = quick_cli("check", case)
    assert done.returncode == 0, done.stderr
    # All 5 mm of the diameter, to within the 0.2 mm steps along the needle.
    length = float(re.search(r"Warning: ([0-9.]+) mm of applicator A0 lie inside vessel 'branch'", done.stdout)[1])
    assert length == pytest.approx(5.0, abs=0.3)


@pytest.mark.parametrize("x", ["0 mm", "3.2 mm"], ids=["through the electrode", "touching the electrode"])
def test_a_vein_at_the_electrode_gives_finite_numbers(x, small, tmp_path, quick_cli):
    case = tmp_path / "case.toml"
    at_body_temperature = small.replace("[[probe]]", 'temperature = "37 degC"\n[[probe]]')
    case.write_text(at_body_temperature + TUBE.replace("8 mm", x))
    done = quick_cli("run", case, "-o", tmp_path / "run", "--no-report")
    assert done.returncode == 0, done.stderr
    zone = json.loads((tmp_path / "run" / "zone.json").read_text())
    assert zone["energy_balance"]["relative_error"] < 1e-4
    assert 0.0 < zone["vessels"]["share"] < 1.0
    words = "lie inside vessel 'branch'" if x == "0 mm" else "touches the wall of vessel 'branch'"
    assert any(words in warning for warning in zone["warnings"])

"""Make the pictures of docs/view.md: ``python docs/make_view.py``.

Runs a microwave case in the sample anatomy, draws its planes, and takes pictures of its pages in a browser (Chromium
and its driver, see hpc/system-packages.sh). Writes ``docs/assets/view``.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from make_figures import ASSETS, ROOT, WIDTH
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import ablationsim
from ablationsim.report.build import report_data
from ablationsim.report.figures import png
from ablationsim.report.html import turnable
from ablationsim.report.planes import three_planes

sys.path.insert(0, str(ROOT / "tests"))

from browser import chromium

FOLDER = ASSETS / "view"
CASE = ROOT / "meshes" / "anatomy_mwa.toml"
LABELS = {"liver": 1, "hepatic_vein": 2, "portal_vein": 3, "tumour": 4}
SETTLED = 3.0
"""Seconds that a page gets for its last picture."""


def main() -> None:
    """Run the case and take the pictures."""
    data = tomllib.loads(CASE.read_text(encoding="utf-8"))
    tumour = data.pop("tumour")
    del data["vessel"]
    data |= {"patient": {"labels": tumour["labels"], "structures": LABELS}, "tumour": {"set": tumour["set"]}}
    case = ablationsim.Case.from_dict(data, CASE.parent)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = ablationsim.simulate(case, folder / "run")
        shown = report_data(result, inside=False)
        write("planes", png(three_planes(shown), dpi=120))
        (folder / "space.html").write_text(turnable(shown) or "", encoding="utf-8")
        with chromium() as browser:
            browser.set_window_size(1100, 640)
            browser.get((folder / "space.html").as_uri())
            time.sleep(SETTLED)
            write("space", browser.get_screenshot_as_png())
            command = [sys.executable, "-m", "ablationsim.cli", "view", str(folder / "run"), "--no-browser"]
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
                assert process.stdout is not None
                found = re.search(r"http://\S+", process.stdout.readline())
                assert found is not None
                browser.set_window_size(1500, 1000)
                browser.get(found[0])
                WebDriverWait(browser, 60).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#plane2 svg image"))
                time.sleep(SETTLED)
                write("page", browser.get_screenshot_as_png())
                process.send_signal(signal.SIGINT)


def write(name: str, content: bytes) -> None:
    """Write a picture, at most as wide as the others, in all its colours: those of the margins are small areas."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    FOLDER.mkdir(parents=True, exist_ok=True)
    image.save(FOLDER / f"{name}.png", optimize=True)
    print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()

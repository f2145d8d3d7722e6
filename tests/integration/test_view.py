"""Pages with a picture in space, in a browser: they draw, obey, and speak with nobody else."""

import base64
import io
import os
import re
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
from browser import chromium
from drawn import drawn
from matplotlib.image import imread
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from ablationsim.report.html import turnable

PATIENCE = 60  # s


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


def wait(browser, condition):
    return WebDriverWait(browser, PATIENCE, 0.05).until(lambda _: condition())


def seen(element) -> np.ndarray:
    """Red, green and blue of a picture on the page, 0 to 1."""
    return imread(io.BytesIO(base64.b64decode(element.screenshot_as_base64)))[..., :3]


def addresses(browser) -> list[str]:
    """What the page has asked for."""
    return browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")


def test_the_picture_in_space_can_be_turned(browser, tmp_path):
    page = turnable(drawn(tmp_path, shift=(-8.0, 0.0, 0.0)))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    wait(browser, lambda: browser.find_element(By.TAG_NAME, "body").get_attribute("data-state") == "drawn")
    picture = browser.find_element(By.ID, "picture")

    def click(text: str) -> np.ndarray:
        next(b for b in browser.find_elements(By.TAG_NAME, "button") if b.text == text).click()
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        return seen(picture)

    def middle_of_red(image: np.ndarray) -> np.ndarray:
        """Where the part of the tumour is that the zone leaves over, from the middle of the picture, in its widths."""
        red = (image[..., 0] > 0.4) & (image[..., 1] < 0.3) & (image[..., 2] < 0.3)
        assert red.sum() > 100
        rows, columns = np.nonzero(red)
        return np.array([columns.mean(), rows.mean()]) / image.shape[1] - [0.5, 0.5 * image.shape[0] / image.shape[1]]

    # What is left over is at the patient's right: at the left of a picture from the front, at the right of one from
    # behind.
    assert middle_of_red(click("back"))[0] > 0.02
    first = click("front")
    assert middle_of_red(first)[0] < -0.02
    assert picture.size["width"] > 500
    ActionChains(browser).drag_and_drop_by_offset(picture, 120, 40).perform()
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert np.abs(seen(picture) - first).mean() > 0.005
    for box in browser.find_elements(By.CSS_SELECTOR, "#parts input[type=checkbox]"):
        if box.is_selected():
            box.click()
    empty = click("front")
    assert np.ptp(empty[: empty.shape[0] // 2], axis=1).max() < 0.02  # rows of the ground alone, without the scale
    assert addresses(browser) == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.fixture(scope="module")
def shown(small_run):
    """The process that shows a run, and the address that it says."""
    command = [sys.executable, "-m", "ablationsim.cli", "view", str(small_run.folder), "--no-browser"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        line = process.stdout.readline()
        try:
            yield process, re.search(r"http://\S+", line)[0]
        finally:
            process.kill()


def test_a_run_is_shown_on_this_computer_alone_until_it_is_stopped(browser, shown):
    process, address = shown
    listening = [each for each in psutil.Process(process.pid).net_connections() if each.status == psutil.CONN_LISTEN]
    assert [each.laddr.ip for each in listening] == ["127.0.0.1"]
    assert re.match(r"http://127\.0\.0\.1:\d+/index\.html\?secret=[0-9a-f]{32}&", address)

    browser.get(address)
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#plane2 svg image"))
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "canvas"))
    assert "Research use only. Not a medical device." in browser.find_element(By.TAG_NAME, "body").text

    def plane(number: int) -> str:
        return browser.find_element(By.ID, f"plane{number}").get_attribute("innerHTML")

    # From the last frame to the first: the tissue has not been heated yet.
    time, hot = browser.find_element(By.ID, "time").text, plane(0)
    assert re.fullmatch(r"\d+ s after the start", time)
    browser.find_element(By.CSS_SELECTOR, ".controls [role=slider]").send_keys(Keys.HOME)
    wait(browser, lambda: browser.find_element(By.ID, "time").text == "0 s after the start")
    wait(browser, lambda: plane(0) != hot)
    # A click on one plane moves the others there.
    before = plane(1)
    picture = browser.find_elements(By.CSS_SELECTOR, ".picture")[0]
    ActionChains(browser).move_to_element_with_offset(picture, 30, 30).click().perform()
    wait(browser, lambda: plane(1) != before)

    # The browser draws what is in space.
    canvas = browser.find_element(By.CSS_SELECTOR, "canvas")
    wait(browser, lambda: np.ptp(seen(canvas).reshape(-1, 3), axis=0).max() > 0.3)
    boxes = browser.find_elements(By.CSS_SELECTOR, ".controls input[type=checkbox]")
    full = seen(canvas)
    boxes[0].click()
    wait(browser, lambda: np.abs(seen(canvas) - full).max() > 0.2)

    own = "{}//127.0.0.1:{}/".format("http:", listening[0].laddr.port)
    assert all(name.startswith((own, "data:", "blob:")) for name in addresses(browser))
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []

    browser.get("about:blank")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


def test_a_folder_without_a_run_is_refused(quick_cli, tmp_path):
    left = quick_cli("view", tmp_path, "--no-browser")
    assert left.returncode != 0
    assert "holds no finished run" in left.stderr

# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window or a network, for tests of pages.

`python tests/browser.py` installs it where apt is the package manager; users have no need of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait
from selenium_axe_python import Axe

from harness.distribution import APT, find_family

PACKAGES = ("chromium", "chromium-driver")
PROGRAM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    not (PROGRAM and DRIVER), reason="chromium and chromedriver are not installed"
)
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-sync", "--disable-component-update"),
    *("--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
_PATIENCE_S = 20
DESK, PHONE = (1400, 1000), (390, 800)


class Browser:
    """A started browser, and what a test wants to know of a page.

    Args:
        driver: selenium's.
    """

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, page: Path) -> None:
        """Show a page, as a file."""
        self.driver.get(page.resolve().as_uri())

    def find(self, selector: str) -> list[WebElement]:
        """Return the elements that a CSS selector finds and that can be seen."""
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return [element for element in found if element.is_displayed()]

    def texts(self, selector: str) -> list[str]:
        """Return the texts of what a selector finds."""
        return [element.text for element in self.find(selector)]

    def choose(self, selector: str, choice: str) -> None:
        """Take an option of a list by its text; without a text, click."""
        (element,) = self.find(selector)
        if choice:
            Select(element).select_by_visible_text(choice)
        else:
            element.click()

    def wait_for(self, selector: str, text: str) -> None:
        """Return as soon as a text stands somewhere."""
        WebDriverWait(self.driver, _PATIENCE_S).until(lambda _: text in self.texts(selector))

    def complaints(self) -> list[str]:
        """Return what the browser has written to its console since the last time."""
        return [str(line["message"]) for line in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return what the page has loaded besides itself."""
        script = "return performance.getEntriesByType('resource').map((one) => one.name)"
        return [one for one in self.driver.execute_script(script) if not one.startswith("data:")]

    def violations(self) -> list[str]:
        """Return what axe holds against the page, a rule and its places a line."""
        axe = Axe(self.driver)
        axe.inject()
        found = axe.run()["violations"]
        return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


@contextlib.contextmanager
def started_browser(profile: Path) -> Iterator[Browser]:
    """Start a browser; it is gone when the block is left.

    Args:
        profile: a new folder for what it keeps.
    """
    options = ChromeOptions()
    options.binary_location = str(PROGRAM)
    for option in (*_OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(str(DRIVER)))
    try:
        driver.set_window_size(*DESK)
        yield Browser(driver)
    finally:
        driver.quit()


def install() -> None:
    """Install what is missing; without apt or the right to, tests that need it are skipped."""
    root = os.geteuid() == 0
    if (PROGRAM and DRIVER) or find_family() is not APT or not (root or shutil.which("sudo")):
        return
    sudo = [] if root else ["sudo", "-n"]
    command = [*sudo, *APT.install, *APT.unattended, *PACKAGES]
    if subprocess.run([*sudo, *APT.refresh], check=False).returncode == 0:
        subprocess.run(command, check=False)


if __name__ == "__main__":
    install()

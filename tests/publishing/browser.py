"""Debian's Chromium, as on a phone or on a desk, with a list of all it asked the network for."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

from coursework.engine import packages

_PROGRAMS = ("chromium", "chromedriver")


def require_chromium() -> None:
    """Install Chromium where that is possible; skip the test where it is not, and say so."""
    if all(map(shutil.which, _PROGRAMS)):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip("NO BROWSER: the site was not looked at; install chromium and chromium-driver")
    packages.install(["chromium", "chromium-driver"], print)


@contextmanager
def phone() -> Iterator[WebDriver]:
    """Return a browser with a window of 390 by 844 CSS pixels."""
    metrics = {"width": 390, "height": 844, "pixelRatio": 2.0, "mobile": True, "touch": True}
    options = webdriver.ChromeOptions()
    options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    with _chromium(options) as driver:
        yield driver


@contextmanager
def desk() -> Iterator[WebDriver]:
    """Return a browser with a window of 1366 by 900 CSS pixels."""
    options = webdriver.ChromeOptions()
    options.add_argument("--window-size=1366,900")
    with _chromium(options) as driver:
        yield driver


@contextmanager
def _chromium(options: webdriver.ChromeOptions) -> Iterator[WebDriver]:
    require_chromium()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     "--disable-dev-shm-usage", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def requested(driver: Any) -> list[str]:
    """Return the address of each request that pages made since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]


def complaints(driver: Any) -> list[str]:
    """Return what pages wrote to the console as errors."""
    entries = driver.get_log("browser")
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

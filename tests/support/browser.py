"""A headless Chromium for tests of pages; those tests are skipped where there is none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path():
    """Where Chromium is: CHROMIUM names it, or it is on the PATH; None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, COMMANDS)), None)


@contextmanager
def chromium() -> Iterator:
    """A browser of playwright's, without its own download."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: install one, or name it in CHROMIUM")
    with playwright.sync_playwright() as engine:
        # Containers often run as root, where Chromium's sandbox does not start. Only pages of ours are opened.
        browser = engine.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()

"""A browser for tests of the pages of boards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    browser = Browser(tmp_path / "user")
    yield browser
    browser.close()

"""Keeps out phrases that have to be read twice. CONTRIBUTING.md states the style."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = sorted(
    path
    for pattern in ("*.py", "*.md", "*.html", "*.js")
    for folder in ("clevrpolicy", "gtapolicy", "harness", "leaderboards", "training", "docs", "examples", ".")
    for path in (ROOT.glob(pattern) if folder == "." else (ROOT / folder).rglob(pattern))
)
# What to avoid, and what to write instead.
PHRASES = {
    r"go(es)? on|went on|going on": "resumes, continues",
    r"sittings?": "session",
    r"told|tells?\b": "reports, records, says",
    r"asked was|asked for was": "but ... was requested",
    r"by lot|a lot that|the lot\b": "randomly, sample",
    r"(is|are) not sure|surely": "is not significant",
    r"stands? (in|on|at|beside|there)": "is in",
    r"the dear|dear part": "the expensive step",
    r"wish(es)? for": "wants, requests",
    r"what is (held|told|asked|wanted)": "name the thing",
    r"where there (is|are) (none|no)\b": "if there is none",
    r"come to lie|comes to lie": "is",
    r"mend(s|ed)?": "fix",
    r"as it stands|as they stand": "unchanged",
    r"just so (many|much)|no more than that": "exactly",
}


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_phrase_has_to_be_read_twice(phrase: str) -> None:
    pattern = re.compile(rf"(?<![\w-])(?:{phrase})(?![\w-])", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:90]}"
        for path in TEXTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"write {PHRASES[phrase]!r} instead:\n" + "\n".join(found)

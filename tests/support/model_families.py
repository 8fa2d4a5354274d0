"""Writes the table of model families in docs/training.md from what tests/flow/test_zoo.py recorded.

pytest tests/flow/test_zoo.py --junitxml=families.xml
python tests/support/model_families.py families.xml
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

DOCS = Path(__file__).parents[2] / "docs" / "training.md"
BEGIN, END = "<!-- model families: begin -->\n", "<!-- model families: end -->\n"
COLUMNS = {
    "scored": "scored",
    "vm-cpt": "VM-CPT",
    "cot-sft": "CoT SFT with LoRA",
    "rl": "RL with PolicyRollout",
}


def table(outcomes: Mapping[str, Mapping[str, str]]) -> str:
    """A row for each family in Markdown, and below the table the sentences that are not `yes`, by number."""
    notes: list[str] = []
    lines = [f"| family | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for family, outcome in outcomes.items():
        cells = [_cell(outcome[column], notes) for column in COLUMNS]
        lines.append(f"| {family} | {' | '.join(cells)} |")
    listed = [f"{number}. {note.rstrip('.')}." for number, note in enumerate(notes, 1)]
    return "\n".join([*lines, "", *listed]) + "\n"


def _cell(text: str, notes: list[str]) -> str:
    if text == "yes":
        return text
    if text not in notes:
        notes.append(text)
    return f"refused ({notes.index(text) + 1})"


def recorded(junit: Path) -> dict[str, dict[str, str]]:
    """The outcome of each family, in the order of the tests."""
    properties = ElementTree.parse(junit).iter("property")
    return {entry.attrib["name"]: json.loads(entry.attrib["value"]) for entry in properties}


def documented() -> str:
    """The table in the docs."""
    return DOCS.read_text().partition(BEGIN)[2].partition(END)[0]


def main(junit: Path) -> None:
    DOCS.write_text(DOCS.read_text().replace(BEGIN + documented(), BEGIN + table(recorded(junit))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

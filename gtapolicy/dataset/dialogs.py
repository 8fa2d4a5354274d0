"""A dialog in GTA's shape: a query about images, and the tool calls that answer it with what each returned.

Dialogs know nothing of policies: tools are named without version. An importer reads them from the real GTA,
the scenarios make them up; everything after (profiles, versions, instances) is the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Argument = str | int | bool | float


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call and its result."""

    tool: str
    """Without version, as in the table of rules."""
    arguments: Mapping[str, Argument]
    """Optional arguments stand only where they differ from their default."""
    returned: str
    """What the tool gave back, as a model reads it in the interaction history."""
    math: bool = False
    """Whether the image holds mathematical expressions (it then takes MathOCR to read it)."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """By argument: where its value comes from, in words, for the chain of thought."""


@dataclass(frozen=True, slots=True)
class Dialog:
    """A query with its images and the calls that answer it."""

    id: str
    family: str
    """The kind of query, such as ocr_calc."""
    query: str
    images: tuple[str, ...]
    """Paths as the calls name them, such as image/image_12.jpg."""
    steps: tuple[Step, ...]
    open: bool = False
    """Whether the question is open-ended: a search then asks for more results."""

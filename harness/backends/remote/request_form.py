"""How a request is written for a server that rejects a part of the usual form (HTTP 400 or 422).

    the server rejects             sent instead
    the name of the token limit    its other name
    temperature 0 or 1, seed       nothing, so the server's own setting applies
    another temperature, top_p     nothing is sent, UserError: the user has asked for it
    a strict JSON schema           the same schema without `strict`, then none: the prompt asks in words

What the server then accepts is used for all later requests, and recorded in the description of the backend.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import UserError
from harness.records import Json

# By field of a request: the flag that sets it, and what may be sent instead of it; None to leave it out.
_FIELDS = {
    "temperature": ("temperature", None),
    "top_p": ("top_p", None),
    "seed": ("seed", None),
    "max_tokens": ("max_new_tokens", "max_completion_tokens"),
    "max_completion_tokens": ("max_new_tokens", "max_tokens"),
}
# The server knows the limit, but the prompt or the limit is too long.
_TOO_LONG = re.compile(r"context|too (?:large|long|many|high|big)|exceed|at most|maximum|less than", re.I)
_SCHEMA_FORMS = "with a strict JSON schema", "with a JSON schema that is not strict", "in words"


@dataclass(frozen=True)
class RequestForm:
    """The fields of a request that are renamed or left out, and the form of its JSON schema."""

    changes: Mapping[str, str | None] = field(default_factory=dict)
    schema_form: int = 0

    def body(self, fields: Json, schemas: Sequence[Json]) -> dict[str, Any]:
        """The request. `schemas`: the fields that ask for JSON of a schema, the strictest first."""
        names = {name: self.changes.get(name, name) for name in fields}
        kept = {new: fields[name] for name, new in names.items() if new is not None}
        return {**kept, **(schemas[self.schema_form] if self.schema_form < len(schemas) else {})}

    def after(
        self, name: str | None, reason: str, body: Json, schemas: Sequence[Json]
    ) -> "RequestForm | None":
        """The form to try after the server has rejected the named field, or an unknown one; None at the end.

        UserError, with the server's reason, if the user has asked for what it rejects.
        """
        if name is None:
            more = self.schema_form < len(schemas)
            return replace(self, schema_form=self.schema_form + 1) if more else None
        flag, new = _FIELDS[name]
        # Both names of the limit were rejected, or its value.
        if new in self.changes or (new is not None and _TOO_LONG.search(reason)):
            return None
        if name == "top_p" or (name == "temperature" and body[name] not in (0, 1)):
            raise UserError(
                f"{flag}: expected a value that the server accepts, got {body[name]} ({reason}); omit it"
            )
        return replace(self, changes={**self.changes, name: new})

    @property
    def notes(self) -> list[str]:
        """What differs from the usual form, in words."""
        changed = [
            f"{name}: left out" if new is None else f"{name}: sent as {new}"
            for name, new in self.changes.items()
        ]
        return [
            *changed,
            *([f"JSON: asked for {_SCHEMA_FORMS[self.schema_form]}"] if self.schema_form else []),
        ]


def rejected_field(words: str, body: Json) -> str | None:
    """The first field that is named in a server's words, of those that can be changed."""
    found = {name: re.search(rf"\b{name}\b", words) for name in _FIELDS if name in body}
    places = {name: match.start() for name, match in found.items() if match}
    return min(places, key=places.__getitem__) if places else None


def flag_of(name: str) -> str:
    """The flag that sets a field, as it is typed."""
    return f"--{_FIELDS[name][0].replace('_', '-')}"

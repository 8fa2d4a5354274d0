"""Sends one request to a server behind an API: retries temporary errors, and adapts a form that it rejects.

This is the only place that retries: the providers' clients would do so unseen, each in its own way.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from harness.backends import Endpoint
from harness.backends.remote.request_form import RequestForm, rejected_field
from harness.progress import note
from harness.records import Json

# Seconds before a request is sent again: 0.5, 1, 2, 4, 8, 8, ..., unless the server asks for another wait.
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
# Waits from this many seconds on are shown.
SHOWN_WAIT = 5.0
# Errors that may not repeat, besides those from 500 on: a timeout, a conflict, a rate limit.
TEMPORARY = (408, 409, 429)
# A field of the request, or its value.
FORM_REJECTED = (400, 422)


@dataclass
class Sender:
    """Sends requests to one server, and remembers the form that it accepts."""

    # The provider's module, with its error classes.
    sdk: Any
    # Relative to the base URL.
    path: str
    endpoint: Endpoint
    # The base URL, for messages.
    server: str
    describe_error: Callable[[Exception], str]
    form: RequestForm = field(default_factory=RequestForm)
    # The time until which the user knows that requests wait.
    shown_until: float = 0.0

    async def send(self, client: Any, fields: Json, schemas: Sequence[Json]) -> tuple[bytes, float]:
        """The body of the answer, and the seconds that it took.

        Raises the client's errors, TimeoutError after --timeout seconds or if the server asks for a longer
        wait, and UserError if the server rejects sampling that the user asked for.
        """
        async with asyncio.timeout(self.endpoint.timeout) as limit:
            return await self._adapt(client, fields, schemas, limit.when() or 0)

    async def _adapt(
        self, client: Any, fields: Json, schemas: Sequence[Json], deadline: float
    ) -> tuple[bytes, float]:
        """Sends another form of the request whenever the server rejects one."""
        form, rejection = self.form, None
        while True:
            body = form.body(fields, schemas)
            try:
                answer = await self._retry(client, body, deadline)
            except self.sdk.APIStatusError as error:
                rejection, other = rejection or error, None
                if error.status_code in FORM_REJECTED:
                    name = rejected_field(words(error), body)
                    other = form.after(name, self.describe_error(error), body, schemas)
                if other is None:
                    raise rejection from None
                form = other
            else:
                self._remember(form)
                return answer

    async def _retry(self, client: Any, body: Json, deadline: float) -> tuple[bytes, float]:
        attempt = 0
        while True:
            started = time.monotonic()
            try:
                return await client.post(self.path, cast_to=bytes, body=body), time.monotonic() - started
            except (self.sdk.APIStatusError, self.sdk.APIConnectionError) as error:
                code = getattr(error, "status_code", 500)
                if attempt == self.endpoint.retries or not (code in TEMPORARY or code >= 500):
                    raise
                asked = retry_after(error)
                wait = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT) if asked is None else asked
                if asyncio.get_running_loop().time() + wait > deadline:
                    raise TimeoutError(self.describe_error(error)) from None
                self._show_wait(error, wait)
            await asyncio.sleep(wait)
            attempt += 1

    def _remember(self, form: RequestForm) -> None:
        if new := [note for note in form.notes if note not in self.form.notes]:
            note(f"{self.server} rejects a part of the requests; {'; '.join(new)}")
            self.form = form

    def _show_wait(self, error: Exception, wait: float) -> None:
        """Shows a long wait once, however many requests wait together."""
        now = time.monotonic()
        if wait >= SHOWN_WAIT and now >= self.shown_until:
            self.shown_until = now + wait
            message = f"{self.server}: {self.describe_error(error)}; sent again in {wait:.3g} s"
            note(message)


def words(error: Any) -> str:
    """All that a server says about a rejected request, first the field that it names itself."""
    return f"{getattr(error, 'param', '')} {error} {error.body}"


def retry_after(error: Any) -> float | None:
    """The seconds that the server asks to wait; None if it does not say."""
    value = error.response.headers.get("retry-after", "") if hasattr(error, "response") else ""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None

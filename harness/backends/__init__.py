"""Backends produce responses to prompts: models in this process, models behind an API, scripted baselines.

Read this file first, then `scripted.py` for the shortest examples. `local` runs checkpoints in this process,
`remote` sends requests to an API, and both serve prompts of the same policy together (`prefix_groups.py`).
`readable_prompts.py` says which prompts can be sent, and `identity.py` what a run records of its model.
`replicas.py` runs a checkpoint in several processes.
"""

import hashlib
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from harness import registry
from harness.errors import UserError
from harness.files import store
from harness.records import Json, Prompt, Response

if TYPE_CHECKING:
    from harness.files.benchmark import Benchmark

# Backends that answer from the benchmark itself (scripted.py). They are listed by name, because finding their
# classes through the registry would import torch only to learn that `hf` is not one of them.
SCRIPTED = ("random", "majority", "oracle")
# The prompts that an instant backend gets at a time.
PORTION = 10_000
# In place of a backend: external:NAME is a model that another program runs (harness/external.py).
EXTERNAL = "external"
# The name in a backend's description under which it lists what a server rejects, and what is sent instead.
CHANGED = "rejected by the server"
# In the description of a backend under "responses": they are in a file, so no request can be sent again.
FROM_FILE = "from a file"


@dataclass(frozen=True, slots=True)
class Decoding:
    """How responses are sampled, by any program."""

    max_new_tokens: int = 1024
    """Longer responses are cut off and counted as truncated."""
    temperature: float = 0.0
    """0 always takes the most likely token (greedy decoding)."""
    top_p: float = 1.0
    """Nucleus sampling; has no effect at temperature 0."""
    seed: int = 0
    """Seed of the sampling."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise UserError(f"max_new_tokens: expected 1 or more, got {self.max_new_tokens}")
        if not 0 <= self.temperature < math.inf:
            raise UserError(f"temperature: expected 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p: expected above 0 and at most 1, got {self.top_p}")


@dataclass(frozen=True, slots=True)
class Sampling(Decoding):
    """How responses are sampled."""

    batch_size: int = 16
    """Prompts that hf:PATH answers together."""

    def __post_init__(self) -> None:
        # A dataclass with slots is another class than the one that super() knows.
        Decoding.__post_init__(self)
        if self.batch_size < 1:
            raise UserError(f"batch_size: expected 1 or more, got {self.batch_size}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach a model behind an API. Nothing here changes its responses."""

    base_url: str | None = None
    """Address of the server, such as http://127.0.0.1:8000/v1. Default: the provider's own."""
    concurrency: int = 8
    """Requests in flight at the same time."""
    batch: bool = False
    """Send all requests as provider batches: about half the price, results within a day."""
    timeout: float = 600.0
    """Seconds that a request may take, with its retries and their waits."""
    retries: int = 6
    """How often a request is sent again after a rate limit, a server error or a broken connection."""

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise UserError(f"concurrency: expected 1 or more, got {self.concurrency}")
        if not 0 < self.timeout < math.inf:
            raise UserError(f"timeout: expected a number of seconds above 0, got {self.timeout:g}")
        if self.retries < 0:
            raise UserError(f"retries: expected 0 or more, got {self.retries}")
        if self.base_url is not None:
            check_url(self.base_url)


def check_url(url: str, flag: str = "base_url") -> None:
    """Raises UserError, which does not repeat the address, unless it is safe to write into a report."""
    try:
        address = urlsplit(url)
        host, port = address.hostname or "", address.port
        host.encode("idna")
        if host.replace(".", "").isdigit():
            ip_address(host)
        valid = address.scheme in ("http", "https") and host and port != 0
    except ValueError:  # a host, port or numeric address that cannot exist
        valid = False
    if not valid or url.split() != [url] or not url.isprintable():
        raise UserError(f"{flag}: expected an address such as http://127.0.0.1:8000/v1")
    if "@" in address.netloc or address.query or address.fragment:
        raise UserError(
            f"{flag}: expected no user, password or query in the address, because reports contain it; put "
            "the key into an environment variable"
        )


def server_address(name: str, endpoint: Endpoint) -> str | None:
    """The address that a provider's client uses; None for the provider's own. UserError if it is not one."""
    # The variable that the client reads.
    address = endpoint.base_url or os.environ.get(f"{name.upper()}_BASE_URL")
    if address:
        check_url(address)
    return address or None


class Backend(ABC):
    """Base class of all backends. To add one, subclass it and register it under `harness.backends`.

    `harness eval` uses a backend in this order:

    1. `YourBackend(argument, benchmark, sampling)`, with the argument of `--model name:argument`, or "". Load
       the model here. Raise UserError if that fails.
    2. `generate(prompts)`: the prompts that have no response yet.
    3. `description`: everything that the responses depend on, as plain JSON; written into report.json.
    4. Only if `batched` is true: `forget()` and `generate([prompt])` for a few prompts, one at a time.
       The report says how many of the responses differ.

    `harness judge` calls `structured` instead of `generate`, except in its `paper` setting.
    """

    # True if a response might depend on the prompts that are answered together with it.
    batched: bool = False
    # True if the constructor takes two more arguments: an Endpoint, and the folder of the run, where the
    # backend may store what it needs to resume.
    remote: bool = False
    # True if the constructor takes trust_remote_code, because checkpoints may ship code.
    runs_code: bool = False
    # True if it continues a response that the last part of a prompt begins.
    continues: bool = False
    # How many prompts it answers at the same time, if that does not depend on Sampling.batch_size.
    at_once: int | None = None
    # True if it runs no model and answers each prompt by itself. Then `generate` gets PORTION prompts at a
    # time, so that not all of them are in memory.
    instant: bool = False
    description: Json

    @abstractmethod
    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """One response per prompt, in any order, yielded as soon as it is complete.

        A prompt that cannot be answered yields `failure(prompt, reason)`: no exception and no empty text.
        """

    def structured(self, prompts: Sequence[Prompt], schema: Json) -> Iterator[Response]:
        """Like `generate`, with each text forced to be JSON of this schema where the backend can do so."""
        return self.generate(prompts)

    def forget(self) -> None:  # noqa: B027
        """Empties caches, so that the next response takes as long as if its prompt were the first."""


def portions(backend: Backend, prompts: Iterable[Prompt]) -> Iterator[list[Prompt]]:
    """The prompts as the backend gets them: all together, or PORTION at a time if it is instant."""
    rest = iter(prompts)
    while portion := list(islice(rest, PORTION) if backend.instant else rest):
        yield portion


def failure(prompt: Prompt, reason: str) -> Response:
    """The response to a prompt that could not be answered. It is never scored as a wrong answer."""
    return Response(*prompt.key, text=None, error=reason)


def retry(description: Json) -> str:
    """How the user gets responses in place of failed ones, given the description of the backend."""
    again = "run the same command again"
    if description.get("responses") == FROM_FILE:
        return f"put responses in place of the errors in the file and {again}"
    return again


def storable(responses: Iterable[Response]) -> Iterator[Response]:
    """The responses as they will be read from disk. One that could not be read again counts as failed."""
    for response in responses:
        try:
            yield msgspec.json.decode(msgspec.json.encode(response), type=Response)
        except (msgspec.MsgspecError, UnicodeEncodeError, TypeError, OverflowError) as error:
            yield Response(*response.key, text=None, error=f"the backend's response is not valid: {error}")


def make(
    model: str,
    benchmark: "Benchmark",
    sampling: Sampling,
    endpoint: Endpoint = Endpoint(),
    folder: Path | None = None,
    trust_remote_code: bool = False,
    flag: str = "model",
) -> Backend:
    """The backend of a model written NAME or NAME:ARGUMENT, such as oracle or hf:PATH.

    folder: the run's. flag: the name of the argument that contains the model, for errors. Only with
    `trust_remote_code` is the code run that a checkpoint may ship.
    """
    name, _, argument = model.partition(":")
    known = registry.names(registry.BACKENDS)
    if name == EXTERNAL:
        raise UserError(
            f"{flag}: expected a model that can be run here, got {model}, which another program runs; "
            "give its responses to `harness score`"
        )
    if name not in known and Path(model).exists():
        raise UserError(f"{flag}: expected a backend before the path, such as hf:{model} or replay:{model}")
    if name not in known:
        similar = get_close_matches(name, known, 1)
        expected = similar[0] if similar else f"a backend before the name, such as openai:{model}"
        raise UserError(f"{flag}: expected {expected}, got {model!r}; the backends are {', '.join(known)}")
    factory: Any = registry.load(registry.BACKENDS, name)
    if endpoint != Endpoint() and not factory.remote:
        flags = ", ".join(setting.name for setting in fields(Endpoint))
        raise UserError(f"{flags}: expected only with a remote model, got {name}")
    if trust_remote_code and not factory.runs_code:
        raise UserError(f"trust_remote_code: expected only with hf:PATH or vllm:PATH, got {model}")
    more: list[Any] = [endpoint, folder] if factory.remote else [True] if trust_remote_code else []
    backend: Backend = factory(argument, benchmark, sampling, *more)
    return backend


def is_scripted(model: str) -> bool:
    """Whether the model is a scripted baseline, which cannot read a prompt."""
    return model.partition(":")[0] in SCRIPTED


def model_help() -> str:
    """What the flag --model expects, with every registered backend."""
    names = ", ".join(registry.names(registry.BACKENDS))
    return f"The model: one of {names}, with an argument such as hf:PATH, openai:NAME or replay:RUN."


def location(model: str) -> str:
    """The path or hub id in NAME:LOCATION?OPTIONS; NAME if there is no location."""
    name, _, argument = model.partition(":")
    return argument.partition("?")[0] or name


def weights_digest(model: str) -> str | None:
    """sha256 over all weight files of a local checkpoint; None for any other model."""
    folder = Path(location(model))
    files = sorted(file for pattern in ("*.safetensors", "*.bin") for file in folder.glob(pattern))
    lines = "".join(f"{store.sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest() if files else None

"""Where responses come from: one file a backend, registered under the entry point group harness.backends."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from harness import registry
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Prompt, Response


@dataclass(frozen=True, slots=True)
class Sampling:
    """How responses are drawn."""

    max_new_tokens: int = 1024
    """Longer responses are cut and counted as truncated."""
    temperature: float = 0.0
    """0 takes the likeliest token each time (greedy)."""
    top_p: float = 1.0
    """Nucleus sampling; only where the temperature is above 0."""
    seed: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if self.temperature < 0:
            raise UserError(f"temperature: expected 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p: expected above 0 and at most 1, got {self.top_p}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a model behind an API is reached; nothing here changes what is asked of it."""

    base_url: str | None = None
    """Of the server, such as http://127.0.0.1:8000/v1; none: what the environment or the client names."""
    concurrency: int = 8
    """Requests that are under way at a time."""
    batch: bool = False
    """Send everything as the provider's batches: about half the price, within a day."""

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise UserError(f"concurrency: expected 1 or more, got {self.concurrency}")
        if self.base_url is not None:
            check_url(self.base_url)


def check_url(url: str) -> None:
    """Raises UserError unless the address can be written down: no password, no token, only http or https."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UserError("base_url: expected an address such as http://127.0.0.1:8000/v1")
    if "@" in address.netloc or address.query or address.fragment:
        # Not repeated here: what is left out may be the secret.
        raise UserError(
            "base_url: expected no user, password or query in the address, because it is written into the "
            "report; name the key in the environment"
        )


class Backend(Protocol):
    """Where responses come from; constructed as backend(argument, benchmark, sampling).

    A factory that has parameters called endpoint or folder is given these too: how its server is reached, and
    the run's folder, where it may keep what a resumed run needs. A backend that keeps work for prompts that
    begin alike has a method forget(), so that what one prompt takes alone can be measured.
    """

    batched: bool
    """True where a response might depend on how many are made at once; the run then checks it."""
    description: Mapping[str, Any]

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """A response for each prompt, in any order, yielded as it comes."""
        ...


def model_help() -> str:
    """What the flag --model expects, with every registered backend."""
    names = ", ".join(registry.names(registry.BACKENDS))
    return f"The model: one of {names}, with an argument such as hf:PATH, openai:NAME or replay:RUN."


def place(model: str) -> str:
    """Where a model comes from, of NAME:PLACE?OPTIONS: a path or an id; NAME where it has no place."""
    name, _, argument = model.partition(":")
    return argument.partition("?")[0] or name


def weights(model: str) -> str | None:
    """sha256 of all weights of a checkpoint's folder; None where the model names no such folder here."""
    folder = Path(place(model))
    files = sorted(file for kind in ("*.safetensors", "*.bin") for file in folder.glob(kind))
    told = "".join(f"{store.sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(told.encode()).hexdigest() if files else None


def make(
    model: str,
    benchmark: Benchmark,
    sampling: Sampling,
    endpoint: Endpoint = Endpoint(),
    folder: Path | None = None,
) -> Backend:
    """The backend for a model written as NAME or NAME:ARGUMENT, such as oracle or hf:PATH."""
    name, _, argument = model.partition(":")
    if name not in registry.names(registry.BACKENDS) and Path(model).exists():
        raise UserError(
            f"model: expected a backend in front, such as hf:{model} or replay:{model}, got {model}"
        )
    factory: Any = registry.load(registry.BACKENDS, name)
    asked_for = inspect.signature(factory).parameters
    if "endpoint" not in asked_for and endpoint != Endpoint():
        raise UserError(f"base_url, concurrency, batch: expected only with a model behind an API, got {name}")
    given = {"endpoint": endpoint, "folder": folder}
    backend: Backend = factory(
        argument, benchmark, sampling, **{k: v for k, v in given.items() if k in asked_for}
    )
    return backend

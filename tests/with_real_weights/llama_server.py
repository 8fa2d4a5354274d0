"""llama.cpp's server with a model of a GGUF file, on the loopback interface."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def llama_cpp(gguf: Path, threads: int = 1, positions: int = 8192) -> Iterator[str]:
    """The server's URL. It answers one request after the other and keeps the previous prompt's state."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(gguf)
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel = positions, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.warmup, params.verbosity = False, 0
    server = Server(params)
    yield str(server.listening_address)
    del server

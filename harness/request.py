"""What `harness eval` and `harness score` are asked for, and the folder that they reserve for a run.

PromptRequest  which prompts
EvalRequest    which prompts and which model: the flags of `harness eval`
ScoreRequest   which prompts, and what is known of the model that another program ran
Run            all that the responses depend on, in RUN/run.json; another one for the same folder is
               refused, unless every request to the model failed
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from tyro.conf import arg

from harness import backends, variants
from harness.backends import Decoding, Endpoint, Sampling
from harness.backends.identity import CHECKPOINTS, TRUSTED, identity
from harness.engine import EngineConfig
from harness.errors import UserError
from harness.files import store
from harness.files.kinds import RESPONSES, TRAINING
from harness.files.workdir import reserve
from harness.records import MULTI_TURN, Response, Run
from harness.variants import VARIANTS

if TYPE_CHECKING:
    from harness.files.benchmark import Benchmark

# What a run writes besides its request and its responses.
DERIVED = TRAINING, "sessions.jsonl", "scores.jsonl", "report.json", "report.html"
# By field of a Run: the flag that sets it, if the two names differ.
FLAGS = {
    "digest": "benchmark",
    "images_digest": "benchmark",
    "family": "benchmark",
    "weights": "model",
    "identity": "model",
    "address": "base_url",
    TRUSTED: "trust_remote_code",
}


# The tools that `harness export` writes for.
FormatName = Literal[
    "hub", "verl", "easyr1", "ms-swift", "trl", "inspect", "lmms-eval", "lm-eval", "verifiers"
]


@dataclass(frozen=True, kw_only=True)
class PromptRequest:
    """Which prompts of a benchmark."""

    variants: str = ",".join(VARIANTS)
    """Comma-separated, some of internalized (the policy is not in the prompt), in_context (it is) and
    override (another policy is in the prompt, and governs the answer)."""
    split: str = "test"
    """The split of the benchmark to score; cloze asks ClevrPolicy for single conditions (docs/scoring.md)."""
    limit: int | None = None
    """Use a random sample of N instances, the same for every model."""
    samples: int = 1
    """Responses per prompt."""

    def __post_init__(self) -> None:
        variants.parse(self.variants)
        if self.split.endswith(MULTI_TURN):
            split = self.split.removesuffix(MULTI_TURN)
            raise UserError(
                f"split: expected such as {split}, got {self.split}; use `harness eval --multi-turn`"
            )
        for name in ("limit", "samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: expected 1 or more, got {value}")


def check_samples(samples: int, temperature: float) -> None:
    """Raises UserError if several responses to a prompt are requested that would all be equal."""
    if samples > 1 and temperature == 0:
        raise UserError(f"samples: expected 1 with greedy decoding, got {samples}; set --temperature above 0")


@dataclass(frozen=True)
class EvalRequest(PromptRequest):
    """The request of `harness eval`: its fields are the flags of the command."""

    model: Annotated[str, arg(metavar="BACKEND[:ARGUMENT]", help=backends.model_help())]
    sampling: Sampling = field(default_factory=Sampling)
    endpoint: Endpoint = field(default_factory=Endpoint)
    trust_remote_code: bool = False
    """Run the code that an hf: or vllm: checkpoint ships. It can do anything that you can: read it first."""
    replicas: int | None = None
    """Load hf:PATH or vllm:PATH in N processes, each with a GPU if there are any, and share the prompts."""
    processes: EngineConfig = field(default_factory=EngineConfig)
    multi_turn: bool = False
    """Ask whole dialogs: the model calls, gets the recorded result and continues, until all calls are made or
    three were wrong (docs/gtapolicy.md)."""
    batch_check: bool = True
    """Send 16 prompts again, one at a time, to check that batching changes no response and to measure the
    time to the first token."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_replicas()
        check_samples(self.samples, self.sampling.temperature)

    def _check_replicas(self) -> None:
        if self.replicas is None:
            if self.processes.engine == "ray":
                raise UserError("replicas: expected a number with --engine ray, got none")
            return
        if self.replicas < 1:
            raise UserError(f"replicas: expected 1 or more, got {self.replicas}")
        if self.model.partition(":")[0] not in CHECKPOINTS:
            raise UserError(
                f"replicas: expected only with hf:PATH or vllm:PATH, got {self.model}; for a served model, "
                "raise --concurrency and start `vllm serve` with --data-parallel-size"
            )

    @property
    def run_split(self) -> str:
        """The split whose instances are scored. That of the dialogs has a name of its own."""
        return self.split + MULTI_TURN if self.multi_turn else self.split


@dataclass(frozen=True)
class ScoreRequest(PromptRequest):
    """What the user states about responses from elsewhere: which prompts, which model, which sampling."""

    model: Annotated[str, arg(metavar="NAME", help="Name of the model, for reports; or the folder of its "
                              "checkpoint, whose weights and training are then recorded.")]  # fmt: skip
    sampling: Decoding = field(default_factory=Decoding)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_samples(self.samples, self.sampling.temperature)
        if not self.model.strip():
            raise UserError("model: expected the name of the model that responded, got an empty one")
        if self.model.startswith(("/", "./", "../", "~")) and not Path(self.model).is_dir():
            raise UserError(
                f"model: expected a name, or the folder of a checkpoint, got the path {self.model}, which is "
                "no folder; correct it, or give a name"
            )


@dataclass(frozen=True)
class ExportRequest:
    """What to export."""

    for_: Annotated[FormatName, arg(name="for", help="The tool that will open the files.")]
    variants: str | None = None
    """Comma-separated, some of internalized, in_context and override. Default: internalized for the trainers
    verl, easyr1, ms-swift and trl, otherwise all."""
    splits: str | None = None
    """Comma-separated splits of the benchmark. Default: all."""
    limit: int | None = None
    """Use a random sample of N instances of each split, the same as in `harness eval`."""

    def __post_init__(self) -> None:
        if self.variants is not None:
            variants.parse(self.variants)
        if self.limit is not None and self.limit < 1:
            raise UserError(f"limit: expected 1 or more, got {self.limit}")


@dataclass(frozen=True)
class ImportRequest:
    """What the logs do not say. All flags replace what they say."""

    model: str | None = None
    """Name of the model in reports."""
    limit: int | None = None
    """The --limit of the export, if it had one."""
    max_new_tokens: int | None = None
    """Longer responses were cut off."""
    temperature: float | None = None
    """0 for greedy decoding."""
    top_p: float | None = None
    """Nucleus sampling; 1 if the logs do not say it."""
    seed: int | None = None
    """Seed of the sampling; 0 if the logs do not say it."""


def reserve_run(benchmark: "Benchmark", request: EvalRequest, out: Path) -> Run:
    """Reserves the folder for a run, or resumes the run that it contains. The caller has locked it.

    The path of the benchmark may change, because the digest identifies its content. A finished run may be
    copied to a machine without the checkpoint, so what answers is compared only if it is known. A run that
    an old version started keeps its instances.
    """
    run = make_run(benchmark, request)
    if (out / "run.json").is_file() and (out / RESPONSES).is_file():
        run = replace(run, sampled=store.read_json(out / "run.json", Run).sampled)
    unknown = [name for name in ("weights", "identity") if getattr(run, name) is None]
    may_differ = ["benchmark", "sampled", *unknown]

    def reserved() -> Run:
        return msgspec.convert(reserve(out, "run.json", run, "a run", may_differ, FLAGS), Run)

    try:
        return reserved()
    except UserError:
        if not _discard_failures(out):
            raise
        return reserved()


def _discard_failures(out: Path) -> bool:
    """Whether every request of the run failed; then the folder contains no work, and is emptied."""
    log = store.Log(out / RESPONSES, Response)
    if not log.path.exists() or {path.name for path in out.iterdir()} - {"run.json", RESPONSES, *DERIVED}:
        return False
    with store.writing(log.path):
        responses = log.read()
        if not responses or any(response.error is None for response in responses):
            return False
        for name in DERIVED:
            (out / name).unlink(missing_ok=True)
        # The lock belongs to this file, so it is emptied and not removed.
        os.truncate(log.path, 0)
    return True


def make_run(benchmark: "Benchmark", request: EvalRequest) -> Run:
    """The run that answers a request, before a folder is reserved for it."""
    manifest = benchmark.manifest
    return Run(
        benchmark=str(benchmark.folder.resolve()),
        digest=manifest.digest,
        images_digest=manifest.images_digest,
        family=manifest.family,
        model=request.model,
        split=request.run_split,
        variants=tuple(v.name for v in variants.parse(request.variants)),
        limit=request.limit,
        sampled=request.limit is not None,
        samples=request.samples,
        sampling=msgspec.to_builtins(request.sampling),
        weights=backends.weights_digest(request.model),
        identity=identity(request.model, request.endpoint, request.trust_remote_code),
    )

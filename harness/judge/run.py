"""`harness judge`: a language model scores how faithfully responses cite their policy (paper, Referral).

Verdicts are appended to RUN/verdicts.<digest>.jsonl as they arrive and are never requested twice. The digest
covers the judge, the setting and the sampling. RUN/judge.<digest>.json says what the judge is (its weights,
address and more): another one of this name is refused. The instance of a line is the digest of its prompt
(with instructions, policy and response), and its sample is the number of the repeat. The figures are written
to RUN/judgement.<digest>.<variants>.<limit>x<repeats>.json and shown in RUN/report.html.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from harness import backends, variants
from harness.backends.identity import identity
from harness.backends.readable_prompts import ReadablePrompts
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES, RUN, kind
from harness.judge.config import JudgeRequest, same_model, sample_order
from harness.judge.prompt import PROBES, ParsedVerdict, parse, schema
from harness.judge.prompt import prompt as judge_prompt
from harness.judge.summary import JudgedResponse, Judgement, summarize
from harness.metrics.referral import precision
from harness.progress import Bar
from harness.records import Instance, Json, Policy, Prompt, Response, Run
from harness.run import report_again
from harness.stats.clusters import cluster
from harness.text import printable, short
from harness.variants import VARIANTS, Variant

# How many true responses are judged as probes.
TRUE_PROBES = 3


@dataclass(frozen=True, slots=True)
class _CitedPolicy:
    """A response of the run, with the policy that it should cite."""

    instance: Instance
    variant: Variant
    response: Response
    policy: Policy


def judge(folder: Path, request: JudgeRequest, benchmark: Benchmark | None = None) -> Judgement:
    """Requests the missing verdicts, then summarizes all of them.

    `benchmark` is the run's benchmark; it is needed only if it was moved. Raises UserError if there is
    nothing to judge.
    """
    run = store.read_json(folder / "run.json", Run)
    _refuse_own_model(request.judge, run)
    benchmark = _benchmark_of(folder, run, benchmark)
    cited, failed = _responses_to_judge(folder, run, benchmark, request)
    prompts = [
        [
            judge_prompt(request.setting, benchmark, c.policy, c.response.text or "", repeat)
            for repeat in range(request.repeats)
        ]
        for c in cited
    ]
    probes = {
        name: judge_prompt(request.setting, benchmark, cited[0].policy, text) for name, text in PROBES.items()
    }
    true_probes = {
        c.instance.id: judge_prompt(request.setting, benchmark, c.policy, text)
        for c, text in _true_responses(benchmark, cited)
    }
    every = [*probes.values(), *true_probes.values(), *chain.from_iterable(prompts)]
    verdicts, backend = _request(folder, benchmark, request, every)

    def parsed(prompt: Prompt) -> ParsedVerdict:
        return parse(request.setting, verdicts[prompt.key])

    judged = [
        _judged(benchmark, response, repeats[0].instance, list(map(parsed, repeats)))
        for response, repeats in zip(cited, prompts, strict=True)
    ]
    probe_scores, true_scores = (
        {name: parsed(prompt).score for name, prompt in kind.items()} for kind in (probes, true_probes)
    )
    earlier = {
        path: store.read_json(path, Judgement)
        for path in sorted(folder.glob(f"judgement.{request.digest}.*json"))
    }
    if backend is None:  # nothing was requested in this session
        backend = next((one.backend for one in earlier.values() if one.backend), {})
    shared = [cluster(c.instance) for c in cited]
    scores = probe_scores, true_scores
    judgement = summarize(run, request, judged, shared, scores, failed, backend)
    old = folder / request.old_file
    is_same = old in earlier and earlier[old].judged == judgement.judged
    store.write_json(old if is_same else folder / request.file, judgement)
    report_again(benchmark, folder)
    return judgement


def _benchmark_of(folder: Path, run: Run, given: Benchmark | None) -> Benchmark:
    benchmark = given or Benchmark(Path(run.benchmark))
    if benchmark.manifest.digest != run.digest:
        raise UserError(
            f"{folder}: its benchmark has digest {run.digest[:12]}…, {benchmark.folder} has "
            f"{benchmark.manifest.digest[:12]}…: give the benchmark of the run by --benchmark"
        )
    return benchmark


def _refuse_own_model(judge: str, run: Run) -> None:
    """Refuses a judge that is the run's own model, also if the run replays another run."""
    replayed: set[Path] = set()
    while True:
        if same_model(judge, run.model):
            raise UserError(f"judge: expected another model than the run's own, got {judge}")
        name, _, argument = run.model.partition(":")
        if name != "replay" or kind(Path(argument)) != RUN:
            return
        path = Path(argument).resolve() / "run.json"
        if path in replayed:
            got = f"got {run.model}, which replays itself"
            raise UserError(f"{path}: model: expected the model that responded, {got}; restore the file")
        replayed.add(path)
        run = store.read_json(path, Run)


def _responses_to_judge(
    folder: Path, run: Run, benchmark: Benchmark, request: JudgeRequest
) -> tuple[list[_CitedPolicy], int]:
    """The responses to judge, and how many requests of the run failed.

    They are a random sample, because a benchmark's first instances may all have the same policy.
    """
    chosen = variants.parse(request.variants)
    missing = [v.name for v in chosen if v.name not in run.variants]
    if missing:
        raise UserError(f"variants: expected some of the run's ({', '.join(run.variants)}), got {missing[0]}")
    instances = {i.id: i for i in benchmark.instances(run.split)}
    # A request that failed and was sent again has two lines; the last one counts.
    responses = {r.key: r for r in store.Log(folder / RESPONSES, Response).read()}
    found, failed = [], 0
    for response in responses.values():
        variant, instance = VARIANTS.get(response.variant), instances.get(response.instance)
        if variant is None or instance is None:
            got = short(printable(f"{response.instance} under {response.variant}"), 120)
            expected = f"expected responses to the {run.split} split of {benchmark.folder}"
            raise UserError(f"{folder / RESPONSES}: {expected}, got one to {got}; delete its line")
        policy = variants.policy_id(instance, variant)
        if variant in chosen and policy is not None:
            if response.text is None:
                failed += 1
            else:
                found.append(_CitedPolicy(instance, variant, response, benchmark.policies[policy]))
    if not found:
        raise UserError(
            f"{folder}: expected responses that are governed by a policy under {request.variants}, got none"
        )
    found.sort(key=lambda cited: sample_order(cited.response.key))
    return found[: request.limit], failed


def _true_responses(
    benchmark: Benchmark, cited: Sequence[_CitedPolicy]
) -> Iterator[tuple[_CitedPolicy, str]]:
    """Gold responses that cite true rules only, for the first few of the judged instances."""
    for one in cited[:TRUE_PROBES]:
        family = benchmark.family_of(one.instance)
        try:
            text = family.gold(one.instance, one.variant)
        # Families are third-party code.
        except Exception:
            continue
        if _precision(benchmark, one, text) == 1:
            yield one, text


def _request(
    folder: Path, benchmark: Benchmark, request: JudgeRequest, prompts: Sequence[Prompt]
) -> tuple[Mapping[tuple[str, str, int], Response], Json | None]:
    """The verdicts of all prompts, from disk or requested now, and the backend if any was requested.

    Failed requests are sent again.
    """
    log = store.Log(folder / f"verdicts.{request.digest}.jsonl", Response)
    # Equal responses to equal policies give equal prompts, which are sent once.
    every = {p.key: p for p in prompts}

    def stored() -> dict[tuple[str, str, int], Response]:
        return {r.key: r for r in log.read() if r.error is None}

    if every.keys() <= (verdicts := stored()).keys():
        return verdicts, None
    # Before the lock creates the file, because this refuses a judge that does not exist.
    backend = backends.make(
        request.judge, benchmark, request.sampling, request.endpoint, folder, flag="judge"
    )
    with store.locked(log.path):
        verdicts = stored()
        _check_identity(folder, request, any_verdicts=bool(verdicts))
        missing = [p for key, p in every.items() if key not in verdicts]
        readable = ReadablePrompts(benchmark, lambda: missing)
        structured = request.setting == "structured"
        sent = list(readable)
        responses = backend.structured(sent, schema()) if structured else backend.generate(sent)
        with Bar(total=len(every), initial=len(every) - len(missing), desc="verdicts", unit="") as progress:
            for response in chain(readable.failures, backends.storable(responses)):
                log.append([response])
                verdicts[response.key] = response
                progress.update()
    return verdicts, backend.description


def _check_identity(folder: Path, request: JudgeRequest, any_verdicts: bool) -> None:
    """Records what the judge is besides its name. UserError if stored verdicts are from another one."""
    path = folder / f"judge.{request.digest}.json"
    weights = {"weights": backends.weights_digest(request.judge)}
    now = {**weights, **(identity(request.judge, request.endpoint) or {})}
    stored = store.read_json(path, dict[str, str | None]) if any_verdicts and path.exists() else now
    if changed := [name for name in now if stored.get(name) != now[name]]:
        raise UserError(
            f"judge: {folder} has verdicts of {request.judge} with another {' and '.join(changed)}; use that "
            f"one, or move verdicts.{request.digest}.jsonl away to request all verdicts again"
        )
    store.write_json(path, {**stored, **now})


def _judged(
    benchmark: Benchmark, cited: _CitedPolicy, prompt_digest: str, verdicts: Sequence[ParsedVerdict]
) -> JudgedResponse:
    return JudgedResponse(
        *cited.response.key,
        prompt=prompt_digest,
        scores=tuple(verdict.score for verdict in verdicts),
        reasons=tuple(verdict.reason for verdict in verdicts),
        rules=_precision(benchmark, cited, cited.response.text or ""),
    )


def _precision(benchmark: Benchmark, cited: _CitedPolicy, text: str) -> float | None:
    """The referral precision of a text as a response to this instance; None if the family fails."""
    family = benchmark.family_of(cited.instance)
    try:
        return precision(family.cited_rules(cited.instance, cited.variant, text))
    # Families are third-party code, and a response is any text.
    except Exception:
        return None

"""`harness judge`: a language model scores how truly a run's responses cite their policy (paper, Referral).

The judge's words are appended to RUN/verdicts.<digest>.jsonl as they come, and are never asked for twice: the
digest is of the judge, the setting and the sampling; a line's instance is the digest of the prompt, which
holds instructions, policy and response, and its sample is the repeat. The figures go to
RUN/judgement.<digest>.json, and from there into RUN/report.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from harness import backends, variants
from harness.backends import Backend
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.judge import prompt
from harness.judge.config import JudgeRequest, lot
from harness.judge.probes import CANARIES
from harness.judge.prompt import Reading, SettingName
from harness.judge.summary import Judged, Judgement, sum_up
from harness.metrics.referral import precision
from harness.records import Instance, Policy, Prompt, Response, Run
from harness.run import report_again
from harness.variants import VARIANTS, Variant


@dataclass(frozen=True, slots=True)
class _Case:
    """A response of the run, and the policy that it should cite."""

    instance: Instance
    variant: Variant
    response: Response
    policy: Policy


def judge(folder: Path, asked: JudgeRequest, benchmark: Benchmark | None = None) -> Judgement:
    """Asks the judge for what is missing, then sums up; UserError where there is nothing it may judge.

    The benchmark is the run's, and needs to be named only where it was moved.
    """
    run = store.read_json(folder / "run.json", Run)
    _refuse_itself(asked.judge, run)
    benchmark = benchmark or Benchmark(Path(run.benchmark))
    if benchmark.manifest.digest != run.digest:
        raise UserError(
            f"{folder}: its benchmark has digest {run.digest[:12]}…, {benchmark.folder} has "
            f"{benchmark.manifest.digest[:12]}…: name the benchmark that the run was made on, --benchmark"
        )
    cases, without = _cases(folder, run, benchmark, asked)
    prompts = [
        [
            prompt.prompt(asked.setting, benchmark, c.policy, c.response.text or "", k)
            for k in range(asked.repeats)
        ]
        for c in cases
    ]
    canaries = {
        name: prompt.prompt(asked.setting, benchmark, cases[0].policy, text)
        for name, text in CANARIES.items()
    }
    said = _ask(folder, benchmark, asked, [*canaries.values(), *(p for ps in prompts for p in ps)])
    judged = [
        _judged(benchmark, case, ps, [prompt.read(asked.setting, said[p.key]) for p in ps])
        for case, ps in zip(cases, prompts, strict=True)
    ]
    attacks = {name: prompt.read(asked.setting, said[p.key]).score for name, p in canaries.items()}
    judgement = sum_up(run, asked, judged, attacks, without)
    store.write_json(folder / f"judgement.{asked.digest}.json", judgement)
    report_again(benchmark, folder)
    return judgement


def _refuse_itself(judge: str, run: Run) -> None:
    """A model is not its own judge, whether its run is its own or one played again."""
    if _same(judge, run.model):
        raise UserError(f"judge: expected another model than the run's own, got {judge}")
    name, _, argument = run.model.partition(":")
    if name == "replay" and (Path(argument) / "run.json").is_file():
        _refuse_itself(judge, store.read_json(Path(argument) / "run.json", Run))


def _same(one: str, other: str) -> bool:
    """By whatever backend: of hf:PATH and vllm:PATH?option=value, the model is the same."""
    return Path(backends.location(one)).resolve() == Path(backends.location(other)).resolve()


def _cases(folder: Path, run: Run, benchmark: Benchmark, asked: JudgeRequest) -> tuple[list[_Case], int]:
    """The responses to judge, by lot, and how many of the run never came.

    A lot, not the first: benchmarks order instances by policy or in turn, and a few must stand for all.
    """
    chosen = variants.parse(asked.variants)
    missing = [v.name for v in chosen if v.name not in run.variants]
    if missing:
        raise UserError(f"variants: expected some of the run's ({', '.join(run.variants)}), got {missing[0]}")
    instances = {i.id: i for i in benchmark.instances(run.split)}
    # A request that failed and was made again is there twice: the last line counts.
    responses = {r.key: r for r in store.Log(folder / "responses.jsonl", Response).read()}
    cases, without = [], 0
    for response in responses.values():
        variant, instance = VARIANTS[response.variant], instances[response.instance]
        policy = variants.policy_id(instance, variant)
        if variant in chosen and policy is not None:
            if response.text is None:
                without += 1
            else:
                cases.append(_Case(instance, variant, response, benchmark.policies[policy]))
    if not cases:
        raise UserError(
            f"{folder}: expected responses that a policy governs under {asked.variants}, got none to judge"
        )
    cases.sort(key=lambda case: lot(case.response.key))
    return cases[: asked.limit], without


def _ask(
    folder: Path, benchmark: Benchmark, asked: JudgeRequest, prompts: Sequence[Prompt]
) -> Mapping[tuple[str, str, int], Response]:
    """The judge's words to every prompt: those on disk, and those that come now. A failure is asked again."""
    log = store.Log(folder / f"verdicts.{asked.digest}.jsonl", Response)
    with store.locked(log.path):
        said = {r.key: r for r in log.read() if r.error is None}
        # Equal responses to equal policies make equal prompts, which are asked once.
        every = {p.key: p for p in prompts}
        missing = [p for key, p in every.items() if key not in said]
        if not missing:
            return said
        backend = backends.make(asked.judge, benchmark, asked.sampling, asked.endpoint, folder)
        with tqdm(total=len(every), initial=len(every) - len(missing), desc="verdicts", unit="") as progress:
            for response in _generate(backend, asked.setting, missing):
                log.append([response])
                said[response.key] = response
                progress.update()
    return said


def _generate(backend: Backend, setting: SettingName, prompts: Sequence[Prompt]) -> Iterator[Response]:
    """By forced structured output where the backend has it."""
    if setting == "structured":
        return backend.structured(prompts, prompt.schema())
    return backend.generate(prompts)


def _judged(
    benchmark: Benchmark, case: _Case, prompts: Sequence[Prompt], readings: Sequence[Reading]
) -> Judged:
    claims = benchmark.family.cited_rules(case.instance, case.variant, case.response.text or "")
    return Judged(
        *case.response.key,
        prompt=prompts[0].instance,
        scores=tuple(reading.score for reading in readings),
        reasons=tuple(reading.reason for reading in readings),
        rules=precision(claims),
    )

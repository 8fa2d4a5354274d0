"""Chains of thought: which prompts are sent, which responses are kept, and that a kill loses none."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tyro

from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import generate
from harness import backends
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark, BenchmarkSpec, begin, seal
from harness.files.store import Log, read_json, write_lines
from harness.records import Instance, Part, Prompt, Response
from harness.variants import INTERNALIZED
from training.cot.generate import (
    CHAINS,
    MANIFEST,
    RESPONSES,
    SPEC,
    ChainOfThought,
    ChainsManifest,
    CotRequest,
    make_chains,
    read_chains,
)
from training.cot.prompts import normalize, select_instances

Script = Callable[[Prompt], str | Response]
WARM = Sampling(temperature=1.0)


@dataclass
class FakeModel:
    """Answers with a script and records the prompts."""

    script: Script
    description: dict[str, str] = field(default_factory=lambda: {"backend": "fake"})
    prompts: list[Prompt] = field(default_factory=list)
    rounds: int = 0

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        self.rounds += 1
        for prompt in prompts:
            self.prompts.append(prompt)
            answer = self.script(prompt)
            if not isinstance(answer, Response):
                answer = Response(*prompt.key, answer, finish_reason="stop")
            yield answer


Install = Callable[[Script], FakeModel]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def install_model(script: Script) -> FakeModel:
        model = FakeModel(script)
        monkeypatch.setattr(backends, "make", lambda *_, **__: model)
        return model

    return install_model


@pytest.fixture
def deep(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """ClevrPolicy-T at N=4."""
    out = tmp_path_factory.mktemp("benchmarks") / "deep"
    generate(out, SceneConfig(depth=4, policies=2, train=16, test=1, width=96, height=64), workers=1)
    return Benchmark(out)


@pytest.fixture
def text(text_folder: Path) -> Benchmark:
    return Benchmark(text_folder)


def train(benchmark: Benchmark) -> dict[str, Instance]:
    return {i.id: i for i in benchmark.instances("train")}


def with_reasoning(answer: str) -> str:
    return f"<think>\nBecause.\n</think>\n\\boxed{{{answer}}}"


def test_gold_chains_come_from_the_family_and_score_1(benchmark_: Benchmark, tmp_path: Path) -> None:
    statistics = make_chains(benchmark_, tmp_path / "cot", CotRequest())
    chains = read_chains(tmp_path / "cot", benchmark_)
    assert chains.keys() == train(benchmark_).keys()
    for i in train(benchmark_).values():
        assert chains[i.id] == benchmark_.family.gold(i, INTERNALIZED)
        assert benchmark_.family.grade(i, i.target, chains[i.id]).value == 1
    assert statistics.total.kept == statistics.total.asked == len(chains)
    assert not (tmp_path / "cot" / RESPONSES).exists()


def test_only_the_training_split_is_used(benchmark_: Benchmark, tmp_path: Path) -> None:
    make_chains(benchmark_, tmp_path / "cot", CotRequest("forward", "oracle"))
    others = {i.id for split in benchmark_.splits if split != "train" for i in benchmark_.instances(split)}
    assert benchmark_.instances("recall")
    assert not others & {r.instance for r in Log(tmp_path / "cot" / RESPONSES, Response).read()}


def test_forward_keeps_all_responses_of_the_oracle(benchmark_: Benchmark, tmp_path: Path) -> None:
    statistics = make_chains(benchmark_, tmp_path / "cot", CotRequest("forward", "oracle"))
    assert statistics.total.kept == len(train(benchmark_))
    responses = Log(tmp_path / "cot" / RESPONSES, Response).read()
    assert {r.variant for r in responses} == {"in_context"}


@pytest.mark.parametrize("mistaken", [CotRequest(), CotRequest("reverse", "fake")])
def test_two_processes_do_not_share_a_folder(
    text: Benchmark, tmp_path: Path, install: Install, mistaken: CotRequest
) -> None:
    def meanwhile(_: Prompt) -> str:
        with pytest.raises(UserError, match="another process is using this folder"):
            make_chains(text, tmp_path / "cot", mistaken)
        return with_reasoning("Case 0")

    model = install(meanwhile)
    request = CotRequest("forward", "fake")
    make_chains(text, tmp_path / "cot", request)
    assert make_chains(text, tmp_path / "cot", request).total.asked == len(model.prompts) == len(train(text))


def test_a_mistaken_command_leaves_no_folder(text: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a backend before the name"):
        make_chains(text, tmp_path / "cot", CotRequest("forward", "typo"))
    assert not (tmp_path / "cot").exists()


def test_a_box_without_reasoning_is_not_kept(text: Benchmark, tmp_path: Path) -> None:
    statistics = make_chains(text, tmp_path / "cot", CotRequest("forward", "random"))
    assert (statistics.total.kept, statistics.total.mean_characters) == (0, None)
    assert statistics.total.rejected == {"no think block": len(train(text))}
    with pytest.raises(UserError, match=r"none of 8 responses was kept"):
        read_chains(tmp_path / "cot", text)


def test_forward_keeps_right_responses_and_counts_the_reasons_for_the_others(
    text: Benchmark, tmp_path: Path, install: Install
) -> None:
    instances, (a, b, c, d, e, *_) = train(text), select_instances(text, None)
    answers = {
        a.id: "\\boxed{Case 0}",
        b.id: "<think>No answer.</think> So be it.",
        c.id: "<think>And so on",
        d.id: Response(d.id, "in_context", 0, with_reasoning(d.target), finish_reason="length"),
        e.id: Response(e.id, "in_context", 0, "I will not.", finish_reason="refusal"),
    }
    install(lambda p: answers.get(p.instance, with_reasoning("Case 0")))
    statistics = make_chains(text, tmp_path / "cot", CotRequest("forward", "fake"))
    rest = [i for i in instances.values() if i.id not in answers]
    right = {i.id for i in rest if i.target == "Case 0"}
    assert read_chains(tmp_path / "cot", text) == dict.fromkeys(right, with_reasoning("Case 0"))
    rejected = {"no think block": 2, "no box": 1, "truncated": 1, "refused": 1}
    assert statistics.total.rejected == {**rejected, "wrong": len(rest) - len(right)}


def test_wrong_responses_of_a_teacher_are_kept(text: Benchmark, tmp_path: Path, install: Install) -> None:
    model = install(lambda _: with_reasoning("Case 99"))
    assert make_chains(text, tmp_path / "cot", CotRequest("teacher", "fake")).total.kept == len(train(text))
    policies = {i.id: text.policies[i.policy_id or ""] for i in train(text).values()}
    assert all(p.parts[0] == policies[p.instance].content[0] for p in model.prompts)
    chain = Log(tmp_path / "cot" / CHAINS, ChainOfThought).read()[0]
    assert (chain.how, chain.model, chain.text) == ("teacher", "fake", with_reasoning("Case 99"))


def test_reverse_states_the_answer_only_in_the_last_part(
    rules_folder: Path, tmp_path: Path, install: Install
) -> None:
    benchmark = Benchmark(rules_folder)
    instances = train(benchmark)

    def script(p: Prompt) -> str:
        target = instances[p.instance].target
        half_right = json.dumps({"name": json.loads(target)["name"], "arguments": {"other": 1}})
        return with_reasoning(target if p.instance.endswith("0") else half_right)

    model = install(script)
    statistics = make_chains(benchmark, tmp_path / "cot", CotRequest("reverse", "fake", limit=60))
    for p in model.prompts:
        instance = instances[p.instance]
        assert p.parts[:-1] == benchmark.policies[instance.policy_id or ""].content + instance.query
        assert instance.target in p.parts[-1].value
        assert instance.target not in "".join(part.value for part in p.parts[:-1])
    right = [i for i in select_instances(benchmark, 60) if i.id.endswith("0")]
    assert 0 < len(right) < 60
    assert list(read_chains(tmp_path / "cot", benchmark)) == [i.id for i in right]
    assert statistics.total.rejected == {"wrong": 60 - len(right)}


def test_the_first_right_sample_is_kept_and_no_more_are_requested(
    text: Benchmark, tmp_path: Path, install: Install
) -> None:
    instances = train(text)
    needs = {name: number % 4 for number, name in enumerate(instances)}

    def script(p: Prompt) -> str:
        right = instances[p.instance].target
        return with_reasoning(right if p.sample >= needs[p.instance] else "Case 99")

    model = install(script)
    statistics = make_chains(text, tmp_path / "cot", CotRequest("forward", "fake", samples=3, sampling=WARM))
    assert Counter(p.instance for p in model.prompts) == {n: min(k + 1, 3) for n, k in needs.items()}
    assert read_chains(tmp_path / "cot", text).keys() == {name for name, k in needs.items() if k < 3}
    assert statistics.total.rejected == {"wrong": sum(k == 3 for k in needs.values())}


def test_a_providers_batch_contains_all_samples(text: Benchmark, tmp_path: Path, install: Install) -> None:
    model = install(lambda p: with_reasoning(train(text)[p.instance].target + ("" if p.sample else "9")))
    request = CotRequest("forward", "fake", limit=2, samples=2, sampling=WARM, endpoint=Endpoint(batch=True))
    assert make_chains(text, tmp_path / "cot", request).total.kept == 2
    assert sorted(p.sample for p in model.prompts) == [0, 0, 1, 1]
    assert model.rounds == 1


def test_statistics_add_up(text: Benchmark, tmp_path: Path, install: Install) -> None:
    install(lambda p: with_reasoning("Case 0") if p.instance[-1] in "0246" else "\\boxed{Case 0}")
    statistics = make_chains(text, tmp_path / "cot", CotRequest("forward", "fake", limit=7))
    counts = statistics.policies.values()
    assert statistics.policies.keys() == {i.policy_id for i in select_instances(text, 7)}
    assert [c.asked for c in counts] in ([4, 3], [3, 4])
    for count in (statistics.total, *counts):
        assert count.asked == count.kept + sum(count.rejected.values())
    assert statistics.total.kept == sum(c.kept for c in counts)
    kept = [c.text for c in Log(tmp_path / "cot" / CHAINS, ChainOfThought).read()]
    assert len(kept) == statistics.total.kept
    assert statistics.total.mean_characters == (sum(map(len, kept)) / len(kept) if kept else None)
    rows = [line.split() for line in str(statistics).splitlines()]
    assert rows[0][:3] == ["policy", "asked", "kept"]
    assert rows[-1][:3] == ["all", "7", str(statistics.total.kept)]
    manifest = read_json(tmp_path / "cot" / MANIFEST, ChainsManifest)
    assert manifest.statistics == statistics
    spec = manifest.asked
    assert (spec["family"], spec["digest"]) == ("clevrpolicy", text.manifest.digest)
    assert json.loads((tmp_path / "cot" / SPEC).read_text()) == spec


def test_a_smaller_limit_is_a_prefix_of_a_larger_one(benchmark_: Benchmark, tmp_path: Path) -> None:
    all_ids = [i.id for i in select_instances(benchmark_, None)]
    assert sorted(all_ids) == sorted(train(benchmark_))
    assert all_ids != list(train(benchmark_))
    for limit in (1, 3, 5, len(all_ids) + 1):
        assert [i.id for i in select_instances(benchmark_, limit)] == all_ids[:limit]
    make_chains(benchmark_, tmp_path / "cot", CotRequest(limit=5))
    assert list(read_chains(tmp_path / "cot", benchmark_)) == all_ids[:5]


def test_coverage_leaves_out_branches_and_is_nested(deep: Benchmark, tmp_path: Path) -> None:
    """Of four layers, and for each policy."""
    available = {(i.policy_id, i.target) for i in select_instances(deep, None)}
    policies, previous = {policy for policy, _ in available}, set[tuple[str | None, str]]()
    for cover in (0.01, 0.25, 0.5, 1.0):
        instances = select_instances(deep, None, cover)
        chosen = {(i.policy_id, i.target) for i in instances}
        for policy in policies:
            answers = [a for p, a in available if p == policy]
            assert sum(p == policy for p, _ in chosen) == max(1, round(cover * len(answers)))
        # All instances of a chosen answer are used.
        assert {i.id for i in instances} == {
            i.id for i in select_instances(deep, None) if (i.policy_id, i.target) in chosen
        }
        assert previous <= chosen
        previous = chosen
    assert previous == available
    half = select_instances(deep, None, 0.5)

    def conditions(instances: Sequence[Instance], policy: str | None) -> set[str]:
        of_policy = [i for i in instances if i.policy_id == policy]
        return {rule for i in of_policy for rule in deep.family.gold_rules(i, INTERNALIZED)}

    # Random answers would leave out hardly any condition.
    for policy in policies:
        assert len(conditions(half, policy)) < 0.75 * len(conditions(select_instances(deep, None), policy))
    make_chains(deep, tmp_path / "cot", CotRequest(cover=0.25, limit=5))
    chains = read_chains(tmp_path / "cot", deep)
    assert list(chains) == [i.id for i in select_instances(deep, 5, 0.25)]
    with pytest.raises(UserError, match=r"cover: expected a share above 0 and at most 1, got 0"):
        CotRequest(cover=0)


class UnevenBenchmark:
    """Three policies with 3, 5 and 7 answers, each of them the target of 2 to 20 instances."""

    folder = Path("uneven")

    def instances(self, split: str) -> list[Instance]:
        return [
            Instance(f"{policy}-{answer}-{n}", split, (), {}, f"P{policy}", f"Case {answer}")
            for policy, answers in enumerate((3, 5, 7))
            for answer in range(answers)
            for n in range(2 + 3 * answer)
        ]


def test_any_prefix_is_balanced() -> None:
    instances = select_instances(UnevenBenchmark(), None)  # type: ignore[arg-type]
    available = Counter((i.policy_id, i.target) for i in instances)
    policies, used = Counter(i.policy_id for i in instances), Counter[tuple[str | None, str]]()
    assert len(set(policies.values())) == 3
    for n, instance in enumerate(instances):
        used[instance.policy_id, instance.target] += 1
        by_policy = Counter(i.policy_id for i in instances[: n + 1])
        remaining = [p for p in policies if by_policy[p] < policies[p]]
        assert all(by_policy[p] >= max(by_policy.values()) - 1 for p in remaining)
        for answer in (a for a in available if used[a] < available[a]):
            assert used[answer] >= max(used[a] for a in available if a[0] == answer[0]) - 1


def test_failed_requests_are_counted_and_retried(text: Benchmark, tmp_path: Path, install: Install) -> None:
    instances, request = train(text), CotRequest("forward", "fake", samples=2, sampling=WARM)
    failing = set(list(instances)[:3])

    def at_first(p: Prompt) -> str | Response:
        if p.instance in failing and (p.sample == 0 or p.instance != min(failing)):
            return Response(*p.key, text=None, error="HTTP 500")
        return with_reasoning("Case 99" if p.instance in failing else instances[p.instance].target)

    install(at_first)
    first = make_chains(text, tmp_path / "cot", request)
    assert first.total.rejected == {"error": 3}
    assert read_chains(tmp_path / "cot", text).keys() == instances.keys() - failing

    model = install(lambda p: with_reasoning(instances[p.instance].target))
    assert make_chains(text, tmp_path / "cot", request).total.kept == len(instances)
    assert {p.key for p in model.prompts} == {(i, "in_context", 0) for i in failing}

    model = install(lambda _: "")
    assert make_chains(text, tmp_path / "cot", request).total.kept == len(instances)
    assert model.prompts == []


SLOW = """
import sys, time
from pathlib import Path
from harness import backends
from harness.files.benchmark import Benchmark
from training.cot.config import CotRequest
from training.cot.generate import make_chains
make_backend = backends.make
def slow(*arguments):
    backend = make_backend(*arguments)
    generate = backend.generate
    def slowly(prompts):
        for response in generate(prompts):
            time.sleep(0.02)
            yield response
    backend.generate = slowly
    return backend
backends.make = slow
make_chains(Benchmark(Path(sys.argv[1])), Path(sys.argv[2]), CotRequest("forward", "oracle", limit=120))
"""


def test_kill_9_loses_nothing(rules_folder: Path, tmp_path: Path) -> None:
    out, benchmark = tmp_path / "killed", Benchmark(rules_folder)
    log = out / RESPONSES
    for kill_after in (5, 40):
        process = subprocess.Popen([sys.executable, "-c", SLOW, rules_folder, out], stderr=subprocess.DEVNULL)
        while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= kill_after):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (out / MANIFEST).exists()
        with pytest.raises(UserError, match=r"no cot\.json.*same `trimpi cot` command again"):
            read_chains(out, benchmark)
    kept = Log(log, Response).read()
    assert len(kept) >= 40
    log.write_bytes(log.read_bytes()[:-9])
    statistics = make_chains(benchmark, out, CotRequest("forward", "oracle", limit=120))
    assert statistics.total.kept == 120
    again = Log(log, Response).read()
    assert len(again) == 120
    assert again[: len(kept) - 1] == kept[:-1]
    make_chains(benchmark, tmp_path / "uninterrupted", CotRequest("forward", "oracle", limit=120))
    assert (out / CHAINS).read_bytes() == (tmp_path / "uninterrupted" / CHAINS).read_bytes()


def test_chains_of_another_benchmark_are_refused(
    text: Benchmark, visual_folder: Path, tmp_path: Path
) -> None:
    make_chains(text, tmp_path / "cot", CotRequest())
    other = Benchmark(visual_folder)
    ours, theirs = text.manifest.digest[:12], other.manifest.digest[:12]
    both_digests = rf"{ours}.*{theirs}|{theirs}.*{ours}"
    with pytest.raises(UserError, match=both_digests):
        read_chains(tmp_path / "cot", other)
    with pytest.raises(UserError, match=r"^benchmark: .* with another digest"):
        make_chains(other, tmp_path / "cot", CotRequest())


def test_changed_chains_are_refused(text: Benchmark, tmp_path: Path) -> None:
    make_chains(text, tmp_path / "cot", CotRequest("forward", "oracle"))
    file = tmp_path / "cot" / CHAINS
    original = file.read_bytes()
    for changed in (original.replace(b"Case 0", b"Case 1"), original[:-9]):
        assert changed != original
        file.write_bytes(changed)
        with pytest.raises(UserError, match=r"it has changed; delete .*cot\.json"):
            read_chains(tmp_path / "cot", text)
    (tmp_path / "cot" / MANIFEST).unlink()
    make_chains(text, tmp_path / "cot", CotRequest("forward", "oracle"))
    assert file.read_bytes() == original


def test_a_folder_resumes_only_with_the_same_request(text: Benchmark, tmp_path: Path) -> None:
    make_chains(text, tmp_path / "cot", CotRequest(limit=2))
    with pytest.raises(UserError, match=r"chains of thought with limit 2\b.*\b3\b"):
        make_chains(text, tmp_path / "cot", CotRequest(limit=3))
    with pytest.raises(UserError, match=r"how 'gold'.*'forward'"):
        make_chains(text, tmp_path / "cot", CotRequest("forward", "oracle", limit=2))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="expected a new or empty folder"):
        make_chains(text, tmp_path / "mine", CotRequest())


def test_a_benchmark_without_policies_is_refused(tmp_path: Path) -> None:
    spec = BenchmarkSpec("clevr-skills", {}, {})
    begin(tmp_path / "free", spec)
    write_lines(tmp_path / "free" / "policies.jsonl", [])
    question = Instance("a", "train", (Part("text", "?"),), {"skill": "exists"}, None, "yes")
    write_lines(tmp_path / "free" / "instances.train.jsonl", [question])
    seal(tmp_path / "free", spec)
    with pytest.raises(UserError, match="expected training instances with a policy, got none"):
        make_chains(Benchmark(tmp_path / "free"), tmp_path / "cot", CotRequest())
    assert not (tmp_path / "cot").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"how": "gold", "model": "oracle"}, "gold uses no model"),
        ({"how": "gold", "samples": 2}, "gold uses no model"),
        ({"how": "forward"}, "model: expected a model for forward chains"),
        ({"how": "reverse", "model": "oracle"}, "model: expected one that reads"),
        ({"how": "teacher", "model": "majority"}, "model: expected one that reads"),
        ({"how": "forward", "model": "oracle", "samples": 2}, "set --temperature"),
        ({"limit": 0}, "limit: expected 1 or more, got 0"),
    ],
)
def test_wrong_flags_are_refused(flags: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CotRequest(**flags)  # type: ignore[arg-type]


def test_every_field_is_a_flag() -> None:
    line = (
        "--how forward --model hf:x --limit 9 --cover 0.5 --samples 2 --temperature 1 --max-new-tokens 64 "
        "--concurrency 2"
    )
    request = tyro.cli(CotRequest, args=line.split(), config=(tyro.conf.OmitArgPrefixes,))
    sampling = Sampling(max_new_tokens=64, temperature=1)
    assert request == CotRequest("forward", "hf:x", 9, 0.5, 2, sampling, Endpoint(concurrency=2))


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        ("<think>a</think>\\boxed{Case 1}", "<think>\na\n</think>\n\\boxed{Case 1}"),
        (" <think>\na\nb\n</think>\n\nIt is \\boxed{Case 1}.\n", "<think>\na\nb\n</think>\n\\boxed{Case 1}"),
        (
            "<think>\\boxed{Case 2}?</think>\\boxed{Case 1}",
            "<think>\n\\boxed{Case 2}?\n</think>\n\\boxed{Case 1}",
        ),
        ('<think>a</think>\\boxed{{"q": "}{{"}}', '<think>\na\n</think>\n\\boxed{{"q": "}{{"}}'),
        ("<think>a</think>\\boxed{Case 1} or \\boxed{Case 2}", "<think>\na\n</think>\n\\boxed{Case 2}"),
        # The marks of other models, and a thought that the prompt opened.
        ("<thinking>a</thinking>\\boxed{Case 1}", "<think>\na\n</think>\n\\boxed{Case 1}"),
        ("[THINK]a[/THINK]\\boxed{Case 1}", "<think>\na\n</think>\n\\boxed{Case 1}"),
        ("a</think>\\boxed{Case 1}", "<think>\na\n</think>\n\\boxed{Case 1}"),
    ],
)
def test_the_format_is_normalized(response: str, kept: str) -> None:
    assert normalize(response).text == kept
    assert normalize(kept).text == kept


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("", "no think block"),
        ("\\boxed{Case 1}", "no think block"),
        ("</think>\\boxed{Case 1}", "no think block"),
        ("[THINK]a<think>b</think>\\boxed{Case 1}", "no think block"),
        ("<think> </think>\\boxed{Case 1}", "no think block"),
        ("Sure: <think>a</think>\\boxed{Case 1}", "no think block"),
        ("<think>a</think><think>b</think>\\boxed{Case 1}", "no think block"),
        ("<think>\\boxed{Case 1}</think>", "no box"),
        ("<think>a</think>\\boxed{Case 1", "no box"),
        ("<think>a</think>\\boxed{ }", "no box"),
    ],
)
def test_a_wrong_format_is_rejected(response: str, reason: str) -> None:
    assert (normalize(response).text, normalize(response).reason) == (None, reason)

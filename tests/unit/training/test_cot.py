"""Chains of thought: what is asked, what is kept, and that nothing paid for is lost."""

from __future__ import annotations

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

from harness import backends
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark, BenchmarkSpec, begin, seal
from harness.files.store import Log, read_json, write_lines
from harness.records import Instance, Part, Prompt, Response
from harness.variants import INTERNALIZED
from training.cot.generate import CHAINS, MADE, RESPONSES, Chain, Cot, Made, make, read
from training.cot.prompts import choose, in_form

Script = Callable[[Prompt], str | Response]
WARM = Sampling(temperature=1.0)


@dataclass
class Model:
    """Answers by a script, and remembers what it was asked."""

    script: Script
    batched: bool = False
    description: dict[str, str] = field(default_factory=lambda: {"backend": "fake"})
    asked: list[Prompt] = field(default_factory=list)
    rounds: int = 0

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        self.rounds += 1
        for prompt in prompts:
            self.asked.append(prompt)
            said = self.script(prompt)
            yield said if isinstance(said, Response) else Response(*prompt.key, said, finish_reason="stop")


Install = Callable[[Script], Model]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def installed(script: Script) -> Model:
        model = Model(script)
        monkeypatch.setattr(backends, "make", lambda *_: model)
        return model

    return installed


@pytest.fixture
def text(text_folder: Path) -> Benchmark:
    return Benchmark(text_folder)


def train(benchmark: Benchmark) -> dict[str, Instance]:
    return {i.id: i for i in benchmark.instances("train")}


def thought(answer: str) -> str:
    return f"<think>\nBecause.\n</think>\n\\boxed{{{answer}}}"


def test_gold_is_the_familys_own_and_scores_1(benchmark_: Benchmark, tmp_path: Path) -> None:
    statistics = make(benchmark_, tmp_path / "cot", Cot())
    chains = read(tmp_path / "cot", benchmark_)
    assert chains.keys() == train(benchmark_).keys()
    for i in train(benchmark_).values():
        assert chains[i.id] == benchmark_.family.gold(i, INTERNALIZED)
        assert benchmark_.family.grade(i, i.target, chains[i.id]).value == 1
    assert statistics.total.kept == statistics.total.asked == len(chains)
    assert not (tmp_path / "cot" / RESPONSES).exists()


def test_neither_recall_items_nor_the_test_split_get_in(benchmark_: Benchmark, tmp_path: Path) -> None:
    make(benchmark_, tmp_path / "cot", Cot("forward", "oracle"))
    others = {i.id for split in benchmark_.splits if split != "train" for i in benchmark_.instances(split)}
    assert benchmark_.instances("recall")
    assert not others & {r.instance for r in Log(tmp_path / "cot" / RESPONSES, Response).read()}


def test_forward_keeps_all_that_the_oracle_says(benchmark_: Benchmark, tmp_path: Path) -> None:
    statistics = make(benchmark_, tmp_path / "cot", Cot("forward", "oracle"))
    assert statistics.total.kept == len(train(benchmark_))
    asked = Log(tmp_path / "cot" / RESPONSES, Response).read()
    assert {r.variant for r in asked} == {"in_context"}


def test_a_box_without_reasoning_is_not_kept(text: Benchmark, tmp_path: Path) -> None:
    statistics = make(text, tmp_path / "cot", Cot("forward", "random"))
    assert (statistics.total.kept, statistics.total.mean_characters) == (0, None)
    assert statistics.total.rejected == {"no think block": len(train(text))}
    with pytest.raises(UserError, match=r"none was kept of 8"):
        read(tmp_path / "cot", text)


def test_forward_keeps_what_is_right_and_counts_why_the_rest_is_not(
    text: Benchmark, tmp_path: Path, install: Install
) -> None:
    instances, (a, b, c, d, e, *_) = train(text), choose(text, None)
    said = {
        a.id: "\\boxed{Case 0}",
        b.id: "<think>No answer.</think> So be it.",
        c.id: "<think>And so on",
        d.id: Response(d.id, "in_context", 0, thought(d.target), finish_reason="length"),
        e.id: Response(e.id, "in_context", 0, "I will not.", finish_reason="refusal"),
    }
    install(lambda p: said.get(p.instance, thought("Case 0")))
    statistics = make(text, tmp_path / "cot", Cot("forward", "fake"))
    rest = [i for i in instances.values() if i.id not in said]
    right = {i.id for i in rest if i.target == "Case 0"}
    assert read(tmp_path / "cot", text) == dict.fromkeys(right, thought("Case 0"))
    expected = {
        "no think block": 2,
        "no box": 1,
        "truncated": 1,
        "refused": 1,
        "wrong": len(rest) - len(right),
    }
    assert statistics.total.rejected == expected


def test_a_teacher_is_believed(text: Benchmark, tmp_path: Path, install: Install) -> None:
    model = install(lambda _: thought("Case 99"))
    assert make(text, tmp_path / "cot", Cot("teacher", "fake")).total.kept == len(train(text))
    policies = {i.id: text.policies[i.policy_id or ""] for i in train(text).values()}
    assert all(p.parts[0] == policies[p.instance].content[0] for p in model.asked)
    chain = Log(tmp_path / "cot" / CHAINS, Chain).read()[0]
    assert (chain.how, chain.model, chain.text) == ("teacher", "fake", thought("Case 99"))


def test_reverse_tells_the_answer_in_the_last_part_alone(
    rules_folder: Path, tmp_path: Path, install: Install
) -> None:
    benchmark = Benchmark(rules_folder)
    instances = train(benchmark)

    def script(p: Prompt) -> str:
        target = instances[p.instance].target
        half_right = json.dumps({"name": json.loads(target)["name"], "arguments": {"other": 1}})
        return thought(target if p.instance.endswith("0") else half_right)

    model = install(script)
    statistics = make(benchmark, tmp_path / "cot", Cot("reverse", "fake", limit=60))
    for p in model.asked:
        instance = instances[p.instance]
        assert p.parts[:-1] == benchmark.policies[instance.policy_id or ""].content + instance.query
        assert instance.target in p.parts[-1].value
        assert instance.target not in "".join(part.value for part in p.parts[:-1])
    told = [i for i in choose(benchmark, 60) if i.id.endswith("0")]
    assert 0 < len(told) < 60
    assert list(read(tmp_path / "cot", benchmark)) == [i.id for i in told]
    assert statistics.total.rejected == {"wrong": 60 - len(told)}


def test_the_first_right_sample_is_kept_and_no_more_are_asked(
    text: Benchmark, tmp_path: Path, install: Install
) -> None:
    instances = train(text)
    needs = {name: number % 4 for number, name in enumerate(instances)}

    def script(p: Prompt) -> str:
        right = instances[p.instance].target
        return thought(right if p.sample >= needs[p.instance] else "Case 99")

    model = install(script)
    statistics = make(text, tmp_path / "cot", Cot("forward", "fake", samples=3, sampling=WARM))
    assert Counter(p.instance for p in model.asked) == {n: min(k + 1, 3) for n, k in needs.items()}
    assert read(tmp_path / "cot", text).keys() == {name for name, k in needs.items() if k < 3}
    assert statistics.total.rejected == {"wrong": sum(k == 3 for k in needs.values())}


def test_all_samples_go_out_together_in_a_providers_batch(
    text: Benchmark, tmp_path: Path, install: Install
) -> None:
    model = install(lambda p: thought(train(text)[p.instance].target + ("" if p.sample else "9")))
    asked = Cot("forward", "fake", limit=2, samples=2, sampling=WARM, endpoint=Endpoint(batch=True))
    assert make(text, tmp_path / "cot", asked).total.kept == 2
    assert sorted(p.sample for p in model.asked) == [0, 0, 1, 1]
    assert model.rounds == 1


def test_statistics_add_up(text: Benchmark, tmp_path: Path, install: Install) -> None:
    install(lambda p: thought("Case 0") if p.instance[-1] in "0246" else "\\boxed{Case 0}")
    statistics = make(text, tmp_path / "cot", Cot("forward", "fake", limit=7))
    shares = statistics.policies.values()
    assert statistics.policies.keys() == {i.policy_id for i in choose(text, 7)}
    assert [s.asked for s in shares] in ([4, 3], [3, 4])
    for share in (statistics.total, *shares):
        assert share.asked == share.kept + sum(share.rejected.values())
    assert statistics.total.kept == sum(s.kept for s in shares)
    kept = [c.text for c in Log(tmp_path / "cot" / CHAINS, Chain).read()]
    assert len(kept) == statistics.total.kept
    assert statistics.total.mean_characters == (sum(map(len, kept)) / len(kept) if kept else None)
    rows = [line.split() for line in str(statistics).splitlines()]
    assert rows[0][:3] == ["policy", "asked", "kept"]
    assert rows[-1][:3] == ["all", "7", str(statistics.total.kept)]
    made = read_json(tmp_path / "cot" / MADE, Made)
    assert made.statistics == statistics
    assert (made.asked.family, made.asked.digest) == ("clevrpolicy", text.manifest.digest)


def test_a_smaller_limit_is_the_beginning_of_a_larger(benchmark_: Benchmark, tmp_path: Path) -> None:
    whole = [i.id for i in choose(benchmark_, None)]
    assert sorted(whole) == sorted(train(benchmark_))
    assert whole != list(train(benchmark_))
    for limit in (1, 3, 5, len(whole) + 1):
        assert [i.id for i in choose(benchmark_, limit)] == whole[:limit]
    make(benchmark_, tmp_path / "cot", Cot(limit=5))
    assert list(read(tmp_path / "cot", benchmark_)) == whole[:5]


class Uneven:
    """Three policies with 3, 5 and 7 answers, each asked for from 2 to 20 times."""

    folder = Path("uneven")

    def instances(self, split: str) -> list[Instance]:
        return [
            Instance(f"{policy}-{answer}-{n}", split, (), {}, f"P{policy}", f"Case {answer}")
            for policy, answers in enumerate((3, 5, 7))
            for answer in range(answers)
            for n in range(2 + 3 * answer)
        ]


def test_any_beginning_is_balanced() -> None:
    instances = choose(Uneven(), None)  # type: ignore[arg-type]
    available = Counter((i.policy_id, i.target) for i in instances)
    policies, taken = Counter(i.policy_id for i in instances), Counter[tuple[str | None, str]]()
    assert len(set(policies.values())) == 3
    for n, instance in enumerate(instances):
        taken[instance.policy_id, instance.target] += 1
        asked = Counter(i.policy_id for i in instances[: n + 1])
        open_ = [p for p in policies if asked[p] < policies[p]]
        assert all(asked[p] >= max(asked.values()) - 1 for p in open_)
        for answer in (a for a in available if taken[a] < available[a]):
            assert taken[answer] >= max(taken[a] for a in available if a[0] == answer[0]) - 1


def test_failed_requests_are_counted_and_asked_again(
    text: Benchmark, tmp_path: Path, install: Install
) -> None:
    instances, asked = train(text), Cot("forward", "fake", samples=2, sampling=WARM)
    failing = set(list(instances)[:3])

    def at_first(p: Prompt) -> str | Response:
        if p.instance in failing and (p.sample == 0 or p.instance != min(failing)):
            return Response(*p.key, text=None, error="HTTP 500")
        return thought("Case 99" if p.instance in failing else instances[p.instance].target)

    install(at_first)
    first = make(text, tmp_path / "cot", asked)
    assert first.total.rejected == {"error": 3}
    assert read(tmp_path / "cot", text).keys() == instances.keys() - failing

    model = install(lambda p: thought(instances[p.instance].target))
    assert make(text, tmp_path / "cot", asked).total.kept == len(instances)
    assert {p.key for p in model.asked} == {(i, "in_context", 0) for i in failing}

    model = install(lambda _: "")
    assert make(text, tmp_path / "cot", asked).total.kept == len(instances)
    assert model.asked == []


SLOW = """
import sys, time
from pathlib import Path
from harness import backends
from harness.files.benchmark import Benchmark
from training.cot.generate import Cot, make
make_backend = backends.make
def slow(*asked):
    backend = make_backend(*asked)
    generate = backend.generate
    def slowly(prompts):
        for response in generate(prompts):
            time.sleep(0.02)
            yield response
    backend.generate = slowly
    return backend
backends.make = slow
make(Benchmark(Path(sys.argv[1])), Path(sys.argv[2]), Cot("forward", "oracle", limit=120))
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
        assert not (out / MADE).exists()
        with pytest.raises(UserError, match=r"no cot\.json.*same `trimpi cot` command again"):
            read(out, benchmark)
    kept = Log(log, Response).read()
    assert len(kept) >= 40
    log.write_bytes(log.read_bytes()[:-9])
    statistics = make(benchmark, out, Cot("forward", "oracle", limit=120))
    assert statistics.total.kept == 120
    again = Log(log, Response).read()
    assert len(again) == 120
    assert again[: len(kept) - 1] == kept[:-1]
    make(benchmark, tmp_path / "whole", Cot("forward", "oracle", limit=120))
    assert (out / CHAINS).read_bytes() == (tmp_path / "whole" / CHAINS).read_bytes()


def test_chains_of_another_benchmark_are_refused(
    text: Benchmark, visual_folder: Path, tmp_path: Path
) -> None:
    make(text, tmp_path / "cot", Cot())
    other = Benchmark(visual_folder)
    ours, theirs = text.manifest.digest[:12], other.manifest.digest[:12]
    for use in (lambda: read(tmp_path / "cot", other), lambda: make(other, tmp_path / "cot", Cot())):
        with pytest.raises(UserError, match=rf"{ours}.*{theirs}.*another folder"):
            use()


def test_chains_that_were_changed_are_refused(text: Benchmark, tmp_path: Path) -> None:
    make(text, tmp_path / "cot", Cot("forward", "oracle"))
    file = tmp_path / "cot" / CHAINS
    whole = file.read_bytes()
    for changed in (whole.replace(b"Case 0", b"Case 1"), whole[:-9]):
        assert changed != whole
        file.write_bytes(changed)
        with pytest.raises(UserError, match=r"not as it was made: delete .*cot\.json"):
            read(tmp_path / "cot", text)
    (tmp_path / "cot" / MADE).unlink()
    make(text, tmp_path / "cot", Cot("forward", "oracle"))
    assert file.read_bytes() == whole


def test_a_folder_goes_on_only_with_what_it_was_begun_for(text: Benchmark, tmp_path: Path) -> None:
    make(text, tmp_path / "cot", Cot(limit=2))
    with pytest.raises(UserError, match="contains chains of thought with limit 2, but 3 was requested"):
        make(text, tmp_path / "cot", Cot(limit=3))
    with pytest.raises(UserError, match="how 'gold', but 'forward' was requested"):
        make(text, tmp_path / "cot", Cot("forward", "oracle", limit=2))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="expected a new or empty folder"):
        make(text, tmp_path / "mine", Cot())


def test_a_benchmark_without_policies_is_refused(tmp_path: Path) -> None:
    begun = BenchmarkSpec("clevr-skills", {}, {})
    begin(tmp_path / "free", begun)
    write_lines(tmp_path / "free" / "policies.jsonl", [])
    question = Instance("a", "train", (Part("text", "?"),), {"skill": "exists"}, None, "yes")
    write_lines(tmp_path / "free" / "instances.train.jsonl", [question])
    seal(tmp_path / "free", begun)
    with pytest.raises(UserError, match="expected training instances that a policy governs, got none"):
        make(Benchmark(tmp_path / "free"), tmp_path / "cot", Cot())
    assert not (tmp_path / "cot").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"how": "gold", "model": "oracle"}, "gold asks no model"),
        ({"how": "gold", "samples": 2}, "gold asks no model"),
        ({"how": "forward"}, "expected who writes the forward chains"),
        ({"how": "reverse", "model": "oracle"}, "expected one that can read"),
        ({"how": "forward", "model": "oracle", "samples": 2}, "set a temperature"),
        ({"limit": 0}, "limit: expected 1 or more, got 0"),
    ],
)
def test_what_cannot_be_asked(words: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Cot(**words)  # type: ignore[arg-type]


def test_every_field_is_a_flag() -> None:
    line = (
        "--how forward --model hf:x --limit 9 --samples 2 --temperature 1 --max-new-tokens 64 --concurrency 2"
    )
    asked = tyro.cli(Cot, args=line.split(), config=(tyro.conf.OmitArgPrefixes,))
    sampling = Sampling(max_new_tokens=64, temperature=1)
    assert asked == Cot("forward", "hf:x", 9, 2, sampling, Endpoint(concurrency=2))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("<think>a</think>\\boxed{Case 1}", "<think>\na\n</think>\n\\boxed{Case 1}"),
        (" <think>\na\nb\n</think>\n\nIt is \\boxed{Case 1}.\n", "<think>\na\nb\n</think>\n\\boxed{Case 1}"),
        (
            "<think>\\boxed{Case 2}?</think>\\boxed{Case 1}",
            "<think>\n\\boxed{Case 2}?\n</think>\n\\boxed{Case 1}",
        ),
        ('<think>a</think>\\boxed{{"q": "}{{"}}', '<think>\na\n</think>\n\\boxed{{"q": "}{{"}}'),
        ("<think>a</think>\\boxed{Case 1} or \\boxed{Case 2}", "<think>\na\n</think>\n\\boxed{Case 2}"),
    ],
)
def test_the_form(said: str, kept: str) -> None:
    assert in_form(said).text == kept
    assert in_form(kept).text == kept


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "no think block"),
        ("\\boxed{Case 1}", "no think block"),
        ("a</think>\\boxed{Case 1}", "no think block"),
        ("<think> </think>\\boxed{Case 1}", "no think block"),
        ("Sure: <think>a</think>\\boxed{Case 1}", "no think block"),
        ("<think>a</think><think>b</think>\\boxed{Case 1}", "no think block"),
        ("<think>\\boxed{Case 1}</think>", "no box"),
        ("<think>a</think>\\boxed{Case 1", "no box"),
        ("<think>a</think>\\boxed{ }", "no box"),
    ],
)
def test_what_has_not_the_form(said: str, reason: str) -> None:
    assert (in_form(said).text, in_form(said).reason) == (None, reason)

"""Published language models on scenes in words: `make test-real`, which installs and converts them.

The figures that it prints are those of docs/published_weights.md. They are not what is tested: both models
are small and the samples too. What is tested is that real tokenizers, templates and weights pass through
every command.
"""

from pathlib import Path

import pytest

from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import generate
from harness.backends import Sampling
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES
from harness.judge.config import JudgeRequest
from harness.judge.run import judge
from harness.records import Report, Response
from harness.report.figures import table
from harness.request import EvalRequest
from harness.run import evaluate
from training import config
from training.cot.config import CotRequest
from training.cot.generate import make_chains
from training.train import train

CHECKPOINTS = Path(__file__).parents[2] / ".venv-real" / "checkpoints"
if not CHECKPOINTS.is_dir():
    pytest.skip("make test-real converts the models", allow_module_level=True)

SMOLLM2, GEMMA3 = (f"hf:{CHECKPOINTS / name}" for name in ("smollm2", "gemma3"))
# A gold response at N=4 has 151 to 210 tokens.
SAMPLING = Sampling(max_new_tokens=224, batch_size=8)
QUESTIONS = 8
SFT = {"epochs": 4, "batch_size": 2, "micro_batch": 2, "lora_rank": 8, "learning_rate": 1e-3}
# The teacher is the model after CoT SFT, with the policy in its prompt. It recites the policy instead of
# answering, so OPCD unlearns what CoT SFT taught (docs/published_weights.md).
TEACHER = {"method": "opcd", "divergence": "forward", "model": "start"}
OPCD = {
    "prompts": 4,
    "responses": 2,
    "micro_batch": 4,
    "max_new_tokens": 128,
    "max_steps": 8,
    "learning_rate": 2e-5,
    "warmup_steps": 0,
    "teacher": TEACHER,
}
SCENES = {"policies": 1, "min_objects": 2, "max_objects": 4, "scenes": "words", "width": 160, "height": 112}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A benchmark of each depth."""
    out = tmp_path_factory.mktemp("benchmarks")
    for depth in range(1, 5):
        generate(out / str(depth), SceneConfig(depth=depth, train=64, test=60, **SCENES), workers=1)
    return [out / str(depth) for depth in range(1, 5)]


def scored(model: str, benchmark: Path, out: Path, variant: str) -> Report:
    request = EvalRequest(model, SAMPLING, variants=variant, limit=QUESTIONS, batch_check=False)
    report = evaluate(Benchmark(benchmark), request, out)
    assert all(r.error is None for r in store.read_lines(out / RESPONSES, Response))
    print(table({out.name: report}))
    return report


@pytest.mark.parametrize("model", [SMOLLM2, GEMMA3], ids=["smollm2", "gemma3"])
def test_policies_in_context(model: str, folders: list[Path], tmp_path: Path) -> None:
    for depth, folder in enumerate(folders, 1):
        scored(model, folder, tmp_path / f"N={depth}", "in_context")


def test_a_small_judge(folders: list[Path], tmp_path: Path) -> None:
    evaluate(Benchmark(folders[1]), EvalRequest("oracle", variants="internalized", limit=2), tmp_path / "run")
    request = JudgeRequest(SMOLLM2, setting="paper", limit=2, sampling=SAMPLING)
    try:
        judgement = judge(tmp_path / "run", request)
    except UserError as error:
        print(error)
    else:
        print([response.scores for response in judgement.responses])
    verdicts = list(store.read_lines(next((tmp_path / "run").glob("verdicts.*.jsonl")), Response))
    assert verdicts and all(verdict.error is None for verdict in verdicts)


def test_a_policy_is_internalized(folders: list[Path], tmp_path: Path) -> None:
    """After CoT SFT with LoRA, the model answers in the form of the gold reasoning. OPCD follows it."""
    make_chains(Benchmark(folders[1]), tmp_path / "chains", CotRequest(limit=16))
    base = SMOLLM2.removeprefix("hf:")
    data = [{"benchmark": folders[1], "cot": tmp_path / "chains"}]
    recipe = config.load("cot-sft-opcd", "tiny", base=base, data=data, sft={"cot-sft": SFT}, rl=OPCD)
    before = scored(SMOLLM2, folders[1], tmp_path / "before", "internalized")
    train(recipe, tmp_path / "run")
    stages = [
        scored(f"hf:{tmp_path / 'run' / stage}", folders[1], tmp_path / stage, "internalized")
        for stage in recipe.stages
    ]
    unparsed = [next(r.unparsed for r in x.rows if r.label == "accuracy") for x in (before, *stages)]
    assert unparsed[1] < unparsed[0]

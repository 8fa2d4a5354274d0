"""Memory of training Qwen2.5-VL-7B on GPUs of 80 GB, by arithmetic: the table in docs/training.md.

    python tests/bench/memory_plan.py

Nothing is measured. Sizes are those of the published config; GB are 10^9 bytes.
"""

from tabulate import tabulate

GB = 1e9
# Of a GPU's 80 GB, without CUDA's context, communication buffers and fragmentation (assumed 6 GB).
USABLE = 74
HIDDEN, FEED_FORWARD, LAYERS, HEADS, KEY_VALUE_HEADS, HEAD_DIM, VOCABULARY = (
    3584,
    18944,
    28,
    28,
    4,
    128,
    152064,
)
KEY_VALUE = KEY_VALUE_HEADS * HEAD_DIM

LAYER = (
    2 * HIDDEN * HIDDEN + HIDDEN  # query with bias, output
    + 2 * (HIDDEN * KEY_VALUE + KEY_VALUE)  # key, value with bias
    + 3 * HIDDEN * FEED_FORWARD
    + 2 * HIDDEN  # norms
)  # fmt: skip
EMBEDDINGS = 2 * VOCABULARY * HIDDEN  # input and output, not tied
VISION = 0.676e9
WEIGHTS = LAYERS * LAYER + EMBEDDINGS + HIDDEN + VISION
RANK = 8
LORA = RANK * LAYERS * (2 * 2 * HIDDEN + 2 * (HIDDEN + KEY_VALUE) + 3 * (HIDDEN + FEED_FORWARD))
# Bytes of keys and values of one token in bfloat16.
CACHE = 2 * LAYERS * KEY_VALUE * 2

# The scale paper-clevr; the tokens are assumptions: a long policy with pictures, a question with one picture.
POLICY_TOKENS, QUESTION_TOKENS, NEW_TOKENS, CHAIN_TOKENS = 2500, 300, 2048, 500
RESPONSES = 384 * 8
# One process samples so many at a time (training/rl/shared_prefix.py), sharded ones all of theirs.
ROWS_OF_ONE_PROCESS = 64
# Share of the GPU that vLLM may use (rl.vllm = "colocate").
VLLM_SHARE = 0.4


def state(trained: float, gpus: int) -> float:
    """Weights in float32, their gradients, and Adam's two moments, divided among the GPUs (FSDP, ZeRO-3)."""
    return (4 * WEIGHTS + (4 + 8) * trained) / gpus


def working(trained: float, gpus: int) -> float:
    """Weights in bfloat16: autocast's copies of what is trained on one GPU; gathered parts on several."""
    return 2 * (trained if gpus == 1 else EMBEDDINGS + 2 * LAYER)


def activations(rows: int, tokens: int) -> float:
    """The residual stream before each layer (float32) with gradient checkpointing, and one layer in full."""
    return rows * tokens * (4 * LAYERS * HIDDEN + 2 * (3 * FEED_FORWARD + 8 * HIDDEN + 2 * KEY_VALUE))


def cache(gpus: int) -> float:
    """Keys and values of what generate() samples at a time, half of it with the policy."""
    rows = ROWS_OF_ONE_PROCESS if gpus == 1 else RESPONSES / gpus
    return rows * cache_of_response()


def cache_of_response() -> float:
    prompt = (POLICY_TOKENS + 2 * QUESTION_TOKENS) / 2
    return (prompt + NEW_TOKENS) * CACHE


def rows_of_generate(gpus: int) -> float:
    """How many responses per GPU fit when generate() samples them."""
    return (USABLE * GB - state(WEIGHTS, gpus) - working(WEIGHTS, gpus)) / cache_of_response()


def plan(gpus: int) -> dict[str, float]:
    """Peak bytes per GPU of each way to train."""

    def training(trained: float, rows: int, tokens: int) -> float:
        return state(trained, gpus) + working(trained, gpus) + activations(rows, tokens)

    rl = training(WEIGHTS, 4, QUESTION_TOKENS + NEW_TOKENS)
    reference, engine = 4 * WEIGHTS / gpus, VLLM_SHARE * 80 * GB
    # While generate() samples there are no activations.
    sampling = state(WEIGHTS, gpus) + working(WEIGHTS, gpus) + cache(gpus)
    return {
        "LoRA SFT, 16 rows a pass": training(LORA, 16, QUESTION_TOKENS + CHAIN_TOKENS),
        "full SFT (VM-CPT), 16 rows a pass": training(
            WEIGHTS, 16, POLICY_TOKENS + QUESTION_TOKENS + CHAIN_TOKENS
        ),
        "RL, generate()": max(rl, sampling),
        "RL with reference model, generate()": max(rl, sampling) + reference,
        "RL, vLLM colocate": rl + engine,
        "RL with reference model, vLLM colocate": rl + reference + engine,
        "RL with reference model, vLLM on other GPUs": rl + reference,
    }


def cell(size: float) -> str:
    return f"{size / GB:.0f}" if size <= USABLE * GB else f"**{size / GB:.0f}**"


def main() -> None:
    print(
        f"weights {WEIGHTS / GB:.2f}e9, LoRA {LORA / 1e6:.1f}e6; cache {CACHE} bytes a token; vLLM's share "
        f"holds {(VLLM_SHARE * 80 * GB - 2 * WEIGHTS - 2 * GB) / CACHE:.0f} tokens of cache; logits in full "
        f"{4 * (QUESTION_TOKENS + NEW_TOKENS) * VOCABULARY * 4 / GB:.1f} GB"
    )
    plans = {gpus: plan(gpus) for gpus in (1, 4, 8)}
    rows = [[name, *(cell(sizes[name]) for sizes in plans.values())] for name in plans[1]]
    print(
        tabulate(
            rows, ["GB per GPU", *(f"{gpus} GPU{'s' * (gpus > 1)}" for gpus in plans)], tablefmt="github"
        )
    )
    host = [
        [name, *(f"{gpus * copies * 4 * WEIGHTS / GB:.0f}" for gpus in plans)]
        for name, copies in (("host RAM", 1), ("host RAM with reference model", 2))
    ]
    print(tabulate(host, tablefmt="github"))
    print({gpus: round(rows_of_generate(gpus)) for gpus in (4, 8)}, "responses per GPU fit with generate()")


if __name__ == "__main__":
    main()

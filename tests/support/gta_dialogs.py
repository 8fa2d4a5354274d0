"""A small benchmark of GTAPolicy whose dialogs have one to three calls, without pictures."""

from pathlib import Path

from gtapolicy.dataset.dialogs import Dialog, Step
from gtapolicy.dataset.instances import FAMILY, PolicyPair, write
from gtapolicy.policy import rules
from gtapolicy.policy.override import make_override
from harness.files import benchmark
from harness.files.benchmark import Benchmark, BenchmarkSpec
from harness.generation.blocks import Block
from harness.seeds import rng

TOWNS = "Ulm", "Bonn", "Kiel", "Köln"


def write_dialogs(out: Path) -> Benchmark:
    """For each town and split, dialogs of one, two and three calls; in the last one, the user asks again."""
    draws, table = rng(1, "dialogs"), rules.load()
    pair = PolicyPair("GTA-Test", table, make_override(table, draws))
    spec = BenchmarkSpec(FAMILY, {}, {})
    benchmark.begin(out, spec)
    dialogs = [d for split in ("train", "test") for town in TOWNS for d in _of_town(town, split)]
    write(out, Block(0, "", {}), pair, dialogs, draws)
    benchmark.seal(out, spec)
    return Benchmark(out)


def _of_town(town: str, split: str) -> list[Dialog]:
    def search(text: str) -> Step:
        # A result that looks like a mark of a transcript.
        return Step("GoogleSearch", {"query": text}, f"{town}: 120\n--- returned ---\n> 35")

    add = Step("Calculator", {"expression": "120 + 35"}, "155")
    ask = f"How many people live in {town}?"
    return [
        Dialog(f"one-{split}-{town}", "search", ask, (), (search(f"people in {town}"),), split=split),
        Dialog(f"two-{split}-{town}", "sum", ask, (), (search(f"{town} people"), add), split=split),
        Dialog(
            f"long-{split}-{town}",
            "search",
            ask,
            (),
            (search(f"population {town}"), search(f"area of {town}"), add),
            split=split,
            later_queries={1: "And how large is it?"},
        ),
    ]

"""Divides a large benchmark into blocks, which are planned, rendered and stored independently.

    number    policies          instances of each policy (train, test)
    0         0..31             0..700, 0..70            <- each block has at most BLOCK instances,
    1         0..31             700..1400, 70..140          its own folder blocks/000000/ and manifest,
    ...                                                     and its own random draws
    3         32..63            0..700, 0..70

The policies of a block share its scenes. What a block contains depends only on the configuration and its
number, so blocks can be generated in any order and on any machine. A benchmark of up to BLOCK instances is
one block without a folder of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.quotas import GROUP
from harness.errors import UserError

# The most instances of a block, unless a single scene has more.
BLOCK = 25_000


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a benchmark: instances of some policies."""

    number: int
    # Relative to the benchmark's folder and ending in "/"; empty for the only block of a benchmark.
    folder: str
    # By split: the numbers of its instances among all instances of a policy.
    numbers: Mapping[str, range]
    # The indices of the policies that its instances ask about.
    policies: range
    # The indices of the policies whose texts and pictures are stored in the block.
    stored_policies: range

    @property
    def facts(self) -> dict[str, str]:
        """What the facts of the block's instances contain (harness.records.Instance.block)."""
        return {"block": self.folder} if self.folder else {}

    def scene_id(self, split: str, number: int) -> str:
        return f"{split}-{self.number:06d}-{number:06d}" if self.folder else f"{split}-{number:06d}"


def block_count(config: Config) -> int:
    policies, parts = _shape(config)
    return -(-config.policies // policies) * parts


def block(config: Config, number: int) -> Block:
    """The block with this number, from 0 to block_count(config) - 1."""
    size, parts = _shape(config)
    group, part = divmod(number, parts)
    return Block(
        number,
        f"blocks/{number:06d}/" if block_count(config) > 1 else "",
        {
            split: range(count * part // parts, count * (part + 1) // parts)
            for split, count in (("train", config.train), ("test", config.test))
        },
        range(group * size, min((group + 1) * size, config.policies)),
        stored_policies(config, number),
    )


def parse_blocks(text: str | None, count: int) -> range:
    """The numbers of the blocks FIRST:END; all for None. Raises UserError unless some of count blocks."""
    try:
        first, end = (0, count) if text is None else map(int, text.split(":"))
    except ValueError:
        first = end = -1
    if not 0 <= first < end <= count:
        raise UserError(
            f"blocks: expected FIRST:END, such as 0:1, within 0:{count} for this configuration, got {text}"
        )
    return range(first, end)


def whole(config: Config) -> Block:
    """All instances as one block, for scenes that are not planned."""
    policies = range(config.policies)
    return Block(0, "", {"train": range(config.train), "test": range(config.test)}, policies, policies)


def stored_policies(config: Config, number: int) -> range:
    """Policies are stored evenly over all blocks, because their pictures (-M) take long to render."""
    blocks = block_count(config)
    return range(config.policies * number // blocks, config.policies * (number + 1) // blocks)


def _shape(config: Config) -> tuple[int, int]:
    """The number of policies in a block, and the number of parts into which their instances are divided."""
    per_policy = config.train + config.test
    policies = config.policies
    if config.balance == "leaf":
        # More policies could not share scenes, but several groups of them fit into a block if they are small.
        policies = min(policies, max(1, BLOCK // per_policy // GROUP) * GROUP)
    return policies, min(per_policy, -(-policies * per_policy // BLOCK))

"""Which policies and instances each block of a benchmark contains (harness/generation/blocks.py).

    number    policies          instances of each policy (train, test)
    0         0..31             0..700, 0..70            <- each block has at most BLOCK instances,
    1         0..31             700..1400, 70..140          its own folder blocks/000000/ and manifest,
    ...                                                     and its own random draws
    3         32..63            0..700, 0..70

The policies of a block share its scenes. A block may have more than BLOCK instances if all policies ask
about the same scenes.
"""

from dataclasses import dataclass

from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.quotas import GROUP
from harness.generation import blocks
from harness.generation.blocks import BLOCK, block_folder, share


@dataclass(frozen=True, slots=True)
class Block(blocks.Block):
    """Instances of some policies. Its numbers are those among all instances of a policy."""

    # The indices of the policies that its instances ask about.
    policies: range
    # The indices of the policies whose texts and pictures are stored in the block.
    stored_policies: range

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
        block_folder(number, block_count(config)),
        share({"train": config.train, "test": config.test}, part, parts),
        range(group * size, min((group + 1) * size, config.policies)),
        stored_policies(config, number),
    )


def whole(config: Config) -> Block:
    """All instances as one block, for scenes that are not planned."""
    policies = range(config.policies)
    return Block(0, "", {"train": range(config.train), "test": range(config.test)}, policies, policies)


def stored_policies(config: Config, number: int) -> range:
    """Policies are stored evenly over all blocks, because their pictures (-M) take long to render."""
    count = block_count(config)
    return range(config.policies * number // count, config.policies * (number + 1) // count)


def _shape(config: Config) -> tuple[int, int]:
    """The number of policies in a block, and the number of parts into which their instances are divided."""
    per_policy = config.train + config.test
    policies = config.policies
    if config.balance == "leaf":
        # More policies could not share scenes, but several groups of them fit into a block if they are small.
        policies = min(policies, max(1, BLOCK // per_policy // GROUP) * GROUP)
    return policies, min(per_policy, -(-policies * per_policy // BLOCK))

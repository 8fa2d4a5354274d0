"""The source of all random draws: a generator for each seed and path of names.

Draws with different seeds or names are independent, and each can be repeated alone, in any process and order.
"""

import hashlib
import json
import random


def rng(seed: int, *path: str | int) -> random.Random:
    """The generator for (seed, path), the same on every machine: its state is a sha256 of them."""
    name = json.dumps([seed, *path]).encode()
    return random.Random(int.from_bytes(hashlib.sha256(name).digest(), "big"))

"""Every random draw of the project comes from here: sha256 over a seed and a path of names.

So no two seeds share items, and any item can be drawn alone, in any process, in any order.
"""

from __future__ import annotations

import hashlib
import json
import random


def rng(seed: int, *path: str | int) -> random.Random:
    """A generator of its own for each (seed, path); the same on every machine."""
    name = json.dumps([seed, *path]).encode()
    return random.Random(int.from_bytes(hashlib.sha256(name).digest(), "big"))

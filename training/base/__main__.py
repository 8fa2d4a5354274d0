"""python -m training.base OUT [SEED]: write a tiny untrained checkpoint for the demo and the tests."""

import sys
from pathlib import Path

from harness.errors import UserError
from training.base.model.checkpoint import save_random

if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not all(word.isdecimal() for word in sys.argv[2:]):
        sys.exit(f"expected: python -m training.base OUT [SEED], got: {' '.join(sys.argv[1:]) or 'nothing'}")
    out, seed = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 0
    try:
        save_random(out, seed)
    except UserError as error:
        sys.exit(str(error))
    print(f"{out}: an untrained Qwen2.5-VL with about a million random weights (seed {seed})")

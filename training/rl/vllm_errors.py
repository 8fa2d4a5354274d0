"""What keeps vLLM from sampling in RL, as a sentence: it is missing, cannot start, or refuses a prompt."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from harness.errors import UserError
from harness.registry import to_install
from harness.text import reason
from training.config import RlSettings

# The files of TRL that call vLLM.
CALLERS = {"vllm_generation.py", "vllm_client.py"}


def check_installed(settings: RlSettings) -> None:
    """Raises UserError if these settings sample with vLLM and it is not installed."""
    if settings.vllm != "off" and find_spec("vllm") is None:
        raise UserError(
            f"rl.vllm: expected vLLM to be installed for {settings.vllm!r}, found none; set it to 'off', or "
            f"{to_install('vllm')}"
        )


@contextmanager
def vllm_errors() -> Iterator[None]:
    """Within the context, turns an error of vLLM, or of TRL's code that calls it, into a UserError."""
    try:
        yield
    except UserError:
        raise
    # From a missing server to a GPU without memory, vLLM has errors of every kind.
    except Exception as error:
        files = {Path(frame.filename).name for frame in traceback.extract_tb(error.__traceback__)}
        if not files & CALLERS:
            raise
        raise UserError(
            f"rl.vllm: vLLM cannot sample: {reason(error)}; correct rl.vllm_server or the fields vllm_* of "
            "rl.trl, or set rl.vllm to 'off'"
        ) from error

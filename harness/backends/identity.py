"""What answers besides the weights: a run records it, and another one under the same folder is refused."""

import hashlib
import re
from functools import cache
from pathlib import Path

from harness.backends import EXTERNAL, Endpoint, is_scripted, location, server_address
from harness.files import store

# The backends whose argument is a checkpoint. Any other model is behind an address, or scripted.
CHECKPOINTS = ("hf", "vllm")
# Of a local checkpoint, the files of each kind.
FILES = {
    "adapter": ("adapter_config.json",),
    "config": ("config.json",),
    "tokenizer": (
        "tokenizer*", "*.model", "*.tiktoken", "vocab.*", "merges.txt", "special_tokens_map.json",
        "added_tokens.json", "tekken.json",
    ),
    "chat template": ("chat_template*", "additional_chat_templates/*"),
    "processor": ("*processor_config.json",),
    "generation config": ("generation_config.json",),
    "code": ("**/*.py",),
}  # fmt: skip
# Whether the checkpoint's code is run.
TRUSTED = "code of the checkpoint"
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
HUB_SECONDS = 10

Identity = dict[str, str | None]


def identity(model: str, endpoint: Endpoint, trust_remote_code: bool = False) -> Identity | None:
    """By kind, sha256 of a local checkpoint's files; the revision of a hub id; the address of a server.

    A kind without files has no value. Returns None for a scripted or an external model, and for a checkpoint
    that is not on this machine.
    """
    name, place = model.partition(":")[0], location(model)
    if name in CHECKPOINTS:
        run_code: Identity = {TRUSTED: "run" if trust_remote_code else None}
        if Path(place).is_dir():
            return {**{kind: _digest(Path(place), files) for kind, files in FILES.items()}, **run_code}
        revision = None if is_local(place) else hub_revision(place)[0]
        return {"revision": revision, **run_code} if revision else None
    if is_scripted(model) or name in ("replay", EXTERNAL):
        return None
    address = server_address(name, endpoint)
    return {"address": address.rstrip("/") if address else None}


def _digest(folder: Path, patterns: tuple[str, ...]) -> str | None:
    files = sorted({f for pattern in patterns for f in folder.glob(pattern) if f.is_file()})
    lines = "".join(f"{store.sha256(file)}  {file.relative_to(folder)}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest() if files else None


def is_local(argument: str) -> bool:
    """Whether a checkpoint is looked for in a folder, and not on the hub."""
    return Path(argument).exists() or not HUB_ID.fullmatch(argument)


@cache
def hub_revision(hub_id: str) -> tuple[str | None, bool]:
    """The commit that a hub id stands for, or None; and whether it is known only from the local cache."""
    import httpx
    from huggingface_hub import HfApi, constants

    try:
        return HfApi().model_info(hub_id, timeout=HUB_SECONDS).sha, False
    # No network, no such checkpoint, or not a hub id.
    except (OSError, ValueError, httpx.HTTPError):
        folder = f"models--{hub_id.replace('/', '--')}"
        reference = Path(constants.HF_HUB_CACHE) / folder / "refs" / "main"
        return (reference.read_text().strip() if reference.is_file() else None), True

"""What the cells of a sweep are computed from: its base checkpoints and its benchmarks.

Both are identified by their content. Moving a base or naming it by another path changes no cell.
"""

import hashlib
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
from huggingface_hub import hf_hub_download

from harness.backends import Endpoint, weights_digest
from harness.backends.identity import identity
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import MANIFEST, Benchmark
from training.sweep.grid import BASE, BASES, MakeCommand, Sweep, data_folders

CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Base:
    # Path, id on the hub or command, as the file of the sweep has it.
    source: str
    # Of its weights, tokenizer, templates and configs; on the hub, of its id and commit.
    digest: str


@dataclass(frozen=True, slots=True)
class BenchmarkInfo:
    """What a report says about a benchmark."""

    digest: str
    family: str
    # Numbers of instances.
    train: int
    test: int
    # None if its family has no such setting.
    depth: int | None = None
    visual: bool | None = None
    policies: int | None = None

    @property
    def kind(self) -> str:
        """Such as "clevrpolicy-T N=4"."""
        return f"{self.family}-{'M' if self.visual else 'T'} N={self.depth}" if self.depth else self.family


def provide_bases(sweep: Sweep, file: Path, out: Path) -> dict[str, Base]:
    """Generates each base in OUT, or links it there; those on the hub need neither. Returns them by name.

    Raises UserError if one is missing, before anything is generated.
    """
    found = {
        name: _find_base(source, file, name)
        for name, source in sweep.base_sources.items()
        if isinstance(source, str)
    }
    with store.writing(out):
        (out / BASES if sweep.bases else out).mkdir(parents=True, exist_ok=True)
        (out / "data").mkdir(exist_ok=True)
    bases = {}
    for name, source in sweep.base_sources.items():
        folder = out / BASE if name == BASE else out / BASES / name
        if isinstance(source, MakeCommand):
            command = source.command(folder.relative_to(out).as_posix())
            _make(command, folder, CONFIG, out)
            bases[name] = Base(command, _digest(folder))
            continue
        on_disk, digest = found[name]
        if on_disk is not None:
            _link(folder, on_disk)
        bases[name] = Base(source, digest)
    return bases


def _find_base(source: str, file: Path, name: str) -> tuple[Path | None, str]:
    """The folder of a base, None for one on the hub, and its digest."""
    folder = (file.parent / source).resolve()
    if (folder / CONFIG).is_file():
        return folder, _digest(folder)
    key = BASE if name == BASE else f"{BASES}.{name}"
    problem = f"there is no {folder / CONFIG}"
    # A path relative to the working directory is a likely mistake, and not an id on the hub.
    if not (folder.is_dir() or Path(source).is_dir() or source.startswith((".", "/"))):
        try:
            # .../snapshots/COMMIT/config.json
            commit = Path(hf_hub_download(source, CONFIG)).parent.name
            return None, hashlib.sha256(f"{source} {commit}".encode()).hexdigest()
        except (OSError, ValueError) as error:
            problem += f", and none on the hub: {str(error).splitlines()[0]}"
    raise UserError(
        f"{file}: {key}: expected the folder of a checkpoint relative to this file, or an id on the hub, got "
        f"{source}: {problem}"
    )


def _digest(folder: Path) -> str:
    """Of all that a run records of a checkpoint."""
    model = f"hf:{folder}"
    recorded = weights_digest(model), identity(model, Endpoint())
    return hashlib.sha256(msgspec.json.encode(recorded, order="sorted")).hexdigest()


def _link(link: Path, folder: Path) -> None:
    if link.is_symlink() and link.resolve() != folder:
        link.unlink()
    if not link.exists():
        link.symlink_to(folder)


def make_benchmarks(sweep: Sweep, out: Path) -> None:
    for folder, (name, seed) in data_folders(sweep).items():
        path = out / "data" / folder
        _make(sweep.benchmarks[name].command(f"data/{folder}", seed), path, MANIFEST, out)
    for name, source in sweep.general.items():
        _make(source.command(f"data/{name}"), out / "data" / name, MANIFEST, out)


def describe(out: Path, folder: str) -> BenchmarkInfo:
    manifest = Benchmark(out / "data" / folder).manifest
    train, test = (manifest.counts.get(f"instances.{split}.jsonl", 0) for split in ("train", "test"))
    known = {name: manifest.config.get(name) for name in ("depth", "visual", "policies")}
    return BenchmarkInfo(manifest.digest, manifest.family, train, test, **known)


def _make(command: str, folder: Path, last_file: str, out: Path) -> None:
    """Runs a command that generates a folder, unless the file that it writes last is already there.

    Raises UserError if the folder was generated by another command. NAME.command next to it has its command.
    """
    used = folder.with_name(f"{folder.name}.command")
    if used.exists() and used.read_text(encoding="utf-8").split() != command.split():
        raise UserError(
            f"{folder}: expected the result of `{command}`, got that of another command, see {used}; use "
            "another folder for this sweep, or delete both and the runs on them"
        )
    if (folder / last_file).exists():
        return
    print(command, flush=True)
    store.write(used, command.encode())
    try:
        arguments = shlex.split(command)
        if arguments[:1] == ["python"]:
            arguments[0] = sys.executable
        ended = subprocess.run(arguments, cwd=out, env=environment(), check=False)
    except (ValueError, IndexError, OSError) as error:
        raise UserError(f"make: expected a command that is installed, got {command!r}: {error}") from None
    if ended.returncode or not (folder / last_file).exists():
        used.unlink()
        raise UserError(f"{folder}: `{command}` failed with the output above; correct it in the sweep's file")


def environment() -> dict[str, str]:
    """Of the processes that a sweep starts."""
    # Commands of this Python's environment come first, even if it is not activated.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # One thread per process, because several run side by side on a few cores.
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

"""The `harness` command: eval, prompts, score, judge, report, compare, browse, show, verify, list."""

from pathlib import Path

from tyro.conf import Positional

from harness import registry
from harness.browse.command import browse
from harness.compare.page import table as comparison_table
from harness.compare.page import write_comparison
from harness.compare.pairs import compare as compare_runs
from harness.console import command_line
from harness.errors import UserError
from harness.external import ResponseLine, ScoreRequest, prompt_lines, score_responses
from harness.files import store
from harness.files.kinds import RUN, RUN_OR_RUNS, refuse, require, runs_in
from harness.general import published
from harness.judge.config import JudgeRequest
from harness.judge.run import judge as judge_run
from harness.judge.summary import figures
from harness.judge.summary import table as judgement_table
from harness.metrics.metric import installed
from harness.records import Report
from harness.report.figures import read_report, table
from harness.report.page import warnings
from harness.report.savings import savings
from harness.report.text import terminal_table
from harness.request import EvalRequest, PromptRequest
from harness.run import evaluate
from harness.show import show
from harness.text import printable
from harness.verify import verify as verify_benchmark


def eval_(benchmark: Positional[str], /, request: EvalRequest, *, out: Path) -> None:
    """Score a model on a benchmark and write OUT/report.html. Run the same command again to resume.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE], such as
            mmlu-pro:path/to/MMLU-Pro. SOURCE is a local folder or file, or a Hugging Face id.
        request: Which model to score, and on what.
        out: Folder of the run.
    """
    _print_report(evaluate(published.open(benchmark), request, out), out)


def prompts(
    benchmark: Positional[str], /, request: PromptRequest, *, out: Path, inline: bool = False
) -> None:
    """Write the prompts to a file, for a model that is run by another program. `harness score` is next.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE].
        request: Which prompts.
        out: The file, with a JSON object per line: id, prompt_sha256 and messages as for OpenAI's API.
        inline: Write images into the file as data URIs, and not as file:// addresses.
    """
    with store.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    store.write_lines(out, prompt_lines(published.open(benchmark), request, inline))
    print(out)


def score(
    benchmark: Positional[str], responses: Positional[Path], /, request: ScoreRequest, *, out: Path
) -> None:
    """Score responses that another program generated, and write OUT/report.html as `harness eval` does.

    Args:
        benchmark: The benchmark that the prompts are of.
        responses: A file with a JSON object per line: the id of a prompt and a text, or an error if there is
            no response. Optional: finish_reason (stop, length, refusal), prompt_tokens, completion_tokens,
            seconds.
        request: Which prompts were requested, and which model responded with which sampling.
        out: Folder of the run.
    """
    lines = store.read_lines(responses, ResponseLine)
    _print_report(score_responses(published.open(benchmark), request, lines, str(responses), out), out)


def _print_report(report: Report, out: Path) -> None:
    print(table({report.run.model: report}))
    for saving in savings(report.usage):
        print(saving)
    for warning in warnings(report):
        print(printable(f"note: {warning}"))
    print(f"report: {out / 'report.html'}")


def judge(run: Positional[Path], /, request: JudgeRequest, *, benchmark: str | None = None) -> None:
    """Let a language model score from 0 to 10 how faithfully the responses of a run cite their policy.

    The figures are written to RUN/judgement.*.json and RUN/report.html. Run the same command again to resume.

    Args:
        run: Folder of a run.
        request: Which model judges, and how.
        benchmark: The benchmark of the run, if it was moved.
    """
    require(run, RUN)
    moved = published.open(benchmark) if benchmark is not None else None
    judgement = judge_run(run, request, moved)
    print(judgement_table(judgement))
    if not judgement.n:
        reason = judgement.responses[0].reasons[0] or ""
        unscored = figures(judgement)["unscored verdicts"]
        first = f"; the first {reason}; solve this and run the same command again" if ": " in reason else ""
        raise UserError(f"{run}: no verdict has a score: {unscored}{first}")


def report(runs: Positional[tuple[Path, ...]], /) -> None:
    """Print the figures of finished runs as one table.

    Args:
        runs: Folders of runs, or folders that contain runs.
    """
    if not runs:
        raise UserError("runs: expected the folders of one or more runs, got none")
    for run in runs:
        if not runs_in(run):
            refuse(run, RUN_OR_RUNS)
    folders = list(dict.fromkeys(folder for run in runs for folder in runs_in(run)))
    names = [folder.resolve().name for folder in folders]
    labels = [str(f) if names.count(name) > 1 else name for f, name in zip(folders, names, strict=True)]
    reports, notes = {}, []
    for label, folder in zip(labels, folders, strict=True):
        try:
            reports[label] = read_report(folder)
        except UserError as error:
            if folder in runs:
                raise
            notes.append(str(error))
    if not reports:
        raise UserError("; ".join(notes))
    print(table(reports))
    notes += [f"{label}: {failure}" for label, report in reports.items() for failure in report.failures]
    for note in notes:
        print(printable(f"note: {note}"))


def compare(
    base: Positional[Path], tuned: Positional[tuple[Path, ...]], /, *, out: Path | None = None
) -> None:
    """Compare two or more models on all benchmarks on which both were scored, instance by instance.

    Args:
        base: A run, or a folder of runs, of the model before training.
        tuned: The same for one or more models after training.
        out: Write compare.json, compare.md and compare.html to this folder.
    """
    comparison = compare_runs(base, tuned)
    print(comparison_table(comparison))
    if out is not None:
        write_comparison(comparison, out)
        print(f"page: {out / 'compare.html'}")


def verify(benchmark: Positional[str], /) -> None:
    """Check every file of a benchmark, and that every gold response scores 1.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE].
    """
    print(verify_benchmark(published.open(benchmark)))


def list_() -> None:
    """List the installed families, published benchmarks, backends and metrics."""
    for group in (registry.FAMILIES, registry.GENERAL, registry.BACKENDS):
        print(f"{group.removeprefix('harness.')}: {', '.join(registry.names(group))}")
    rows = [(m.title, m.direction, m.explanation) for m in installed().values()]
    print(f"\n{terminal_table(('metric', 'better', 'explanation'), rows, texts=3)}")


def main() -> None:
    command_line(
        {
            "eval": eval_,
            "prompts": prompts,
            "score": score,
            "judge": judge,
            "report": report,
            "compare": compare,
            "browse": browse,
            "show": show,
            "verify": verify,
            "list": list_,
        },
        prog="harness",
        description="Scores models on policies that they have internalized, are shown, or must override.",
    )

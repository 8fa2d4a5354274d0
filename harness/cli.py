"""The `harness` command: one function for each subcommand."""

import sys
from pathlib import Path

from tyro.conf import Positional

from harness.console import command_line
from harness.errors import UserError
from harness.judge.config import JudgeRequest
from harness.records import Report
from harness.request import EvalRequest, ExportRequest, ImportRequest, PromptRequest, ScoreRequest
from harness.text import printable


def eval_(benchmark: Positional[str], /, request: EvalRequest, *, out: Path) -> None:
    """Score a model on a benchmark and write OUT/report.html. Run the same command again to resume.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE], such as
            mmlu-pro:path/to/MMLU-Pro. SOURCE is a local folder or file, or a Hugging Face id.
        request: Which model to score, and on what.
        out: Folder of the run.
    """
    from harness.general import published
    from harness.run import evaluate

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
    from harness.external import contains_prompts, prompt_lines
    from harness.files import store
    from harness.files.kinds import require_replaceable
    from harness.general import published
    from harness.progress import note

    require_replaceable(out, "a file of prompts", contains_prompts)
    with store.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    store.write_lines(out, prompt_lines(published.open(benchmark), request, inline))
    if request.samples > 1:
        flags = f"--samples {request.samples} --temperature T"
        note(
            f"note: sample the {request.samples} responses to each prompt at a temperature T above 0, where "
            f"they differ, and give `harness score` {flags}"
        )
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
        request: Which prompts were requested, and which model responded with which sampling. Nothing is
            generated here: model and sampling are what the report says.
        out: Folder of the run.
    """
    from harness.external import ResponseLine, score_responses
    from harness.files import store
    from harness.general import published

    lines = store.Lines(responses, ResponseLine)
    _print_report(score_responses(published.open(benchmark), request, lines, str(responses), out), out)


def export(benchmark: Positional[str], out: Positional[Path], /, request: ExportRequest) -> None:
    """Write a benchmark in the form that another evaluator or trainer opens; OUT/README.md says how.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE].
        out: Folder of the export. Run the same command again after an interruption.
        request: For which tool, and what.
    """
    from harness.export.write import export as write_export
    from harness.general import published

    done = write_export(published.open(benchmark), request, out)
    for written in done.tables:
        print(f"{written.variant} {written.split}: {written.rows} rows")
    print(f"how to use it: {out / 'README.md'}")


def import_log(
    benchmark: Positional[str], logs: Positional[tuple[Path, ...]], /, request: ImportRequest, *, out: Path
) -> None:
    """Score the logs of Inspect, lmms-eval or lm-eval, and write OUT/report.html as `harness eval` does.

    Args:
        benchmark: The benchmark that was exported for them, or that Inspect read itself.
        logs: Logs, or folders of logs, which together have a response to each prompt of their variants.
        request: What the logs do not say.
        out: Folder of the run.
    """
    from harness.general import published
    from harness.import_log.logs import import_logs

    _print_report(import_logs(published.open(benchmark), logs, request, out), out)


def _print_report(report: Report, out: Path) -> None:
    from harness.report.figures import table
    from harness.report.page import warnings
    from harness.report.savings import savings
    from harness.report.text import terminal_width

    print(table({report.run.model: report}, terminal_width()))
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
    from harness.files.kinds import RUN, require
    from harness.general import published
    from harness.judge.run import judge as judge_run
    from harness.judge.summary import figures, table

    require(run, RUN)
    moved = published.open(benchmark) if benchmark is not None else None
    judgement = judge_run(run, request, moved)
    print(table(judgement))
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
    from harness.files.kinds import RUN_OR_RUNS, refuse, runs_in
    from harness.report.figures import differences, read_report, table
    from harness.report.page import notes_of
    from harness.report.text import terminal_width

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
    print(table(reports, terminal_width()))
    notes += differences(reports)
    notes += notes_of(reports)
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
    from harness.compare.differences import compare as compare_runs
    from harness.compare.page import table, write_comparison
    from harness.report.text import terminal_width

    comparison = compare_runs(base, tuned)
    print(table(comparison, terminal_width()))
    if out is not None:
        write_comparison(comparison, out)
        print(f"page: {out / 'compare.html'}")


def browse(
    benchmark: Positional[str],
    /,
    *,
    run: tuple[Path, ...] = (),
    out: Path | None = None,
    limit: int = 48,
    port: int = 8766,
) -> None:
    """Show the instances of a benchmark in a browser: policy, images, and what runs responded.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE].
        run: Folders of runs on it, whose responses are shown.
        out: Write a random sample to this .html file instead of serving all instances.
        limit: The most instances of the sample.
        port: Port to listen on, for this machine only; 0 picks a free one.
    """
    from harness.browse.page import is_page, render
    from harness.browse.selection import Source, read_runs, sample
    from harness.browse.serve import HOST, make_server
    from harness.files import store
    from harness.files.kinds import require_replaceable
    from harness.general import published
    from harness.progress import note

    if out is not None and out.suffix != ".html":
        raise UserError(f"out: expected a file name that ends in .html, got {out}")
    if limit < 1:
        raise UserError(f"limit: expected 1 or more, got {limit}")
    if out is not None:
        require_replaceable(out, "a page of this command", is_page)
    opened = published.open(benchmark)
    source = Source(opened, read_runs(opened, run))
    if out is not None:
        page = render(source, [(position, instance) for _, position, instance in sample(source, limit)])
        with store.writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        store.write(out, page.html.encode(errors="replace"))
        for warning in page.warnings:
            note(printable(f"note: {warning}"))
        print(out)
        return
    with make_server(source, port) as server:
        print(f"http://{HOST}:{server.server_port}/ (Ctrl-C stops it)", flush=True)
        server.serve_forever()


def show(benchmark: Positional[str], instance: Positional[str], /, *, png: Path | None = None) -> None:
    """Show an instance: images, policy and gold response, in the terminal or as a PNG.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE].
        instance: Its id, which is the first field of a line in instances.test.jsonl.
        png: Write a PNG to this file instead, in which the policy is drawn with the path to the answer.
    """
    from harness.general import published
    from harness.show import find, terminal, write_png

    if png is not None and png.suffix != ".png":
        raise UserError(f"png: expected a file name that ends in .png, got {png}")
    bench = published.open(benchmark)
    found = find(bench, instance)
    if png is None:
        print(terminal(bench, found, colors=sys.stdout.isatty()))
    else:
        write_png(bench, found, png)
        print(png)


def verify(benchmark: Positional[str], /) -> None:
    """Check every file of a benchmark, and that every gold response scores 1.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE].
    """
    from harness.general import published
    from harness.verify import verify as verify_benchmark

    print(verify_benchmark(published.open(benchmark)))


def list_() -> None:
    """List the installed families, published benchmarks, backends and metrics."""
    from harness import registry
    from harness.metrics.metric import installed
    from harness.report.text import terminal_table, terminal_width

    for group in (registry.FAMILIES, registry.GENERAL, registry.BACKENDS):
        print(f"{group.removeprefix('harness.')}: {', '.join(registry.names(group))}")
    rows = [(m.title, m.direction, m.explanation) for m in installed().values()]
    head = "metric", "better", "explanation"
    print(f"\n{terminal_table(head, rows, texts=3, width=terminal_width())}")


def main() -> None:
    command_line(
        {
            "eval": eval_,
            "prompts": prompts,
            "score": score,
            "export": export,
            "import-log": import_log,
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

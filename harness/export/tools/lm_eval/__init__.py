"""lm-evaluation-harness: task files for `--include_path`."""

from collections.abc import Callable, Iterator, Mapping

from harness.export.format import Export, Questions, Table, copied

MODULE = "policy_task.py"


class LmEval(Questions):
    title = "lm-evaluation-harness"
    usage = """\
```
lm_eval --include_path {out}/tasks --tasks {name}_internalized --model hf-multimodal \\
    --apply_chat_template --model_args pretrained=CHECKPOINT,max_images=99 \\
    --gen_kwargs max_gen_toks=1024 --log_samples --output_path logs
harness import-log BENCH logs --out RUN
```

Models of the kinds hf-multimodal and vllm-vlm see images. Benchmarks of texts run with any model."""

    def files(self, export: Export) -> Mapping[str, str]:
        tasks = dict(task_files(export, _task))
        return {**tasks, f"tasks/{MODULE}": copied("lm_eval", MODULE)}


def task_files(export: Export, task: Callable[[Export, Table], str]) -> Iterator[tuple[str, str]]:
    """The path and the text of a task file for every variant and split except for training."""
    for table in export.tables:
        if table.split != "train":
            name = f"{export.name}_{table.variant}" + (f"_{table.split}" if table.split != "test" else "")
            yield f"tasks/{name}.yaml", f"task: {name}\n{task(export, table)}"


def common_fields(table: Table, target: str) -> str:
    """What both harnesses call the same."""
    return f"""\
test_split: {table.split}
output_type: generate_until
doc_to_target: {target}
process_results: !function policy_task.accuracy
generation_kwargs: {{until: [], do_sample: false, temperature: 0}}
metric_list:
  - {{metric: accuracy, aggregation: mean, higher_is_better: true}}
"""


def _task(_: Export, table: Table) -> str:
    images = "doc_to_image: !function policy_task.images\n" if table.images else ""
    return f"""\
custom_dataset: !function policy_task.load
dataset_kwargs: {{variant: {table.variant}, split: {table.split}}}
doc_to_text: question
{images}{common_fields(table, "answer")}metadata: {{version: 1}}
"""

"""lmms-eval: task files for `--include_path`."""

from collections.abc import Mapping

from harness.export.format import Export, Questions, Table, copied
from harness.export.tools.lm_eval import MODULE, common_fields, task_files


class LmmsEval(Questions):
    title = "lmms-eval"
    usage = """\
```
lmms-eval --include_path {out}/tasks --tasks {name}_internalized --model qwen2_5_vl_chat \\
    --model_args pretrained=CHECKPOINT --gen_kwargs max_new_tokens=1024 --log_samples --output_path logs
harness import-log BENCH logs --out RUN
```

The task files contain the absolute path of this folder: after you move or upload it, change `dataset_path`.
They switch off the removal of `<think>`, because the harness itself finds the answer after it."""

    def files(self, export: Export) -> Mapping[str, str]:
        return {**dict(task_files(export, _task)), f"tasks/{MODULE}": copied("lm_eval", MODULE)}


def _task(export: Export, table: Table) -> str:
    # Of a row, lmms-eval logs only the target, and `harness import-log` needs the id.
    return f"""\
dataset_path: {str(export.out.resolve())!r}
dataset_name: {table.variant}
dataset_kwargs: {{token: false}}
doc_to_visual: !function policy_task.images
doc_to_text: question
doc_to_messages: !function policy_task.messages
reasoning_tags: none
{common_fields(table, "id")}metadata: [{{version: 1}}]
"""

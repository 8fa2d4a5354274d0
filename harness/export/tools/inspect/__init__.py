"""Inspect: a task file that reads the exported data. `policy_internalization.py` needs no export."""

from collections.abc import Mapping

from harness.export.format import Export, Questions, copied


class Inspect(Questions):
    title = "Inspect"
    usage = """\
```
inspect eval {out}/policy.py -T variant=override --model MODEL --max-tokens 1024
harness import-log BENCH logs/LOG.eval --out RUN
```"""

    def files(self, export: Export) -> Mapping[str, str]:
        return {"policy.py": copied("inspect", "policy.py")}

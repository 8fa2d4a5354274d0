"""verifiers: a package with a taskset of this benchmark.

Without an export, `clevrpolicy` is an endless taskset, and `gtapolicy` plays dialogs (dialogs.py).
"""

from collections.abc import Mapping

from harness.export.format import Export, Questions, copied


class Verifiers(Questions):
    title = "verifiers"
    usage = """\
```
pip install -e {out}
vf-eval {name} --env.taskset.variant override          # or an environment of prime-rl
vf-validate {name} --only-gold --runtime.type subprocess    # gold responses score 1
```"""

    def files(self, export: Export) -> Mapping[str, str]:
        project = f"""\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{export.name.replace("_", "-")}"
version = "1"
description = "Questions of a policy internalization benchmark"
dependencies = ["verifiers", "policy-internalization[benchmarks]"]

[tool.setuptools]
packages = ["{export.name}"]
"""
        return {"pyproject.toml": project, f"{export.name}/__init__.py": copied("verifiers", "taskset.py")}

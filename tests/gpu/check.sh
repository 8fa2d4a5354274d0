#!/usr/bin/env bash
# Checks on one large GPU what the CPUs cannot show: at most 12 minutes, one JSON file of results.
#
#   tests/gpu/check.sh OUT              run the steps that have no result yet; run again to resume
#   tests/gpu/check.sh OUT --dry-run    the same steps at tiny size, on a CPU too
#
# The machine needs torch and transformers, for some steps also vLLM, and no network. Bring two folders:
#   OUT/bench, OUT/chains   from a dry run elsewhere, because rendering may be what fails
#   OUT/wheels              pip download --no-deps --dest OUT/wheels -r <(grep -v '^torch==' constraints.txt)
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -ge 1 ] || { sed -n 's/^# \{0,1\}//p' "$0" | tail -n +2; exit 2; }

out=$1 python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python
if [ -d "$out/wheels" ]; then
    python=$out/venv/bin/python
    if [ ! -e "$out/venv/.ready" ]; then
        # The machine's torch, transformers and vLLM stay; everything else comes from the wheels.
        python3 -m venv --system-site-packages "$out/venv"
        "$python" -m pip install --quiet --no-index --no-deps "$out"/wheels/*.whl
        "$python" -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
        touch "$out/venv/.ready"
    fi
fi
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TQDM_DISABLE=1 PYTHONPATH=tests/gpu:tests/support
exec "$python" tests/gpu/check.py "$@"

#!/usr/bin/env bash
# Checks on one large GPU what the CPUs cannot show: at most 12 minutes, one JSON file of results.
#
#   tests/gpu/check.sh OUT              run the steps that have no result yet; run again to resume
#   tests/gpu/check.sh OUT --dry-run    the same steps at tiny size, on a CPU too
#   MINUTES=8 tests/gpu/check.sh OUT    start no step after 8 minutes
#
# The machine needs Python 3.11 or newer with torch and pip, for some steps also vLLM, and no network. Bring:
#   OUT/bench, OUT/chains   from a dry run elsewhere, because rendering may be what fails
#   OUT/wheels              the packages of constraints.txt that the machine lacks, for its Python:
#                           pip download --no-deps --only-binary=:all: --python-version 3.12 \
#                               --dest OUT/wheels PACKAGE==VERSION ...
set -euo pipefail
[ $# -ge 1 ] || { sed -n 's/^# \{0,1\}//p' "$0" | tail -n +2; exit 2; }
out=$(realpath -m "$1")
cd "$(dirname "$0")/../.."

python=python3 paths=$PWD:$PWD/tests/gpu:$PWD/tests/support
[ -x .venv/bin/python ] && python=.venv/bin/python
if [ -d "$out/wheels" ]; then
    # dill, of the package datasets, knows installed packages by this name and would pickle others whole.
    python=python3 site=$out/site-packages
    paths=$site:$paths
    if [ ! -e "$site/.ready" ]; then
        # No virtual environment: the machine's Python may be one already, which another would not include.
        "$python" -m pip install --quiet --no-index --no-deps --upgrade --target "$site" "$out"/wheels/*.whl
        # The families and backends are found by the entry points of this checkout.
        PYTHONPATH=$site "$python" -c 'import setuptools; setuptools.setup()' --quiet egg_info
        touch "$site/.ready"
    fi
fi
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TQDM_DISABLE=1 PYTHONPATH=$paths
exec "$python" tests/gpu/check.py "$out" "${@:2}"

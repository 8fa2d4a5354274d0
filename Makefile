# The two commands of this project are `make demo` and `make test`; each installs what is missing first.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo lint test test-vllm

READY := .venv/.ready
READY_VLLM := .venv-vllm/.ready

# The models of demo and tests are tiny: threads that wait for each other soon cost more than they bring.
demo: export OMP_NUM_THREADS ?= 2
test test-vllm: export OMP_NUM_THREADS ?= 1

help: ## say what can be made
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make .venv and install the pinned versions, and what headless GL needs
	@echo 'setup: .venv is ready'

demo: $(READY) ## three benchmarks, a tiny model that learns a policy by heart, reports, leaderboards
	@.venv/bin/python examples/demo.py

lint: $(READY) ## ruff and mypy --strict
	@echo 'lint: ruff'
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet .
	@echo 'lint: mypy --strict'
	@.venv/bin/mypy

test: lint ## lint, then the whole test suite
	@echo 'test: pytest'
	@.venv/bin/pytest

# Of the CPU build: GiB of cache, and threads that the scheduler may move, on a machine that others use too.
test-vllm: export VLLM_CPU_KVCACHE_SPACE ?= 1
test-vllm: export VLLM_CPU_OMP_THREADS_BIND ?= nobind
test-vllm: $(READY_VLLM) ## the vllm backend against a real vLLM, built for CPUs, in .venv-vllm (4 GB)
	@echo 'test-vllm: pytest'
	@.venv-vllm/bin/pytest -rP tests/with_vllm
	@.venv-vllm/bin/pytest tests/contract/test_backends.py -k vllm

$(READY): pyproject.toml constraints.txt .ci/setup
	@.ci/setup

$(READY_VLLM): $(READY) .ci/setup-vllm
	@.ci/setup-vllm

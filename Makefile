# The main commands are `make demo` and `make test`. Each installs what is missing first.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo lint test test-interop test-ray test-real test-vllm test-zoo

READY := .venv/.ready
READY_VLLM := .venv-vllm/.ready
READY_ZOO := .venv-zoo/.ready
READY_RAY := .venv-ray/.ready
READY_REAL := .venv-real/.ready
READY_INTEROP := .venv-interop/.ready

# The models of the demo and the tests are tiny, so more threads would make them slower.
demo: export OMP_NUM_THREADS ?= 2
test test-interop test-ray test-real test-vllm test-zoo: export OMP_NUM_THREADS ?= 1

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## create .venv with the pinned versions, and install the packages for headless GL
	@echo 'setup: .venv is ready'

demo: $(READY) ## generate benchmarks, train a tiny model on a policy, write reports and leaderboards
	@.venv/bin/python examples/demo.py

lint: $(READY) ## run ruff and mypy --strict
	@echo 'lint: ruff'
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet .
	@echo 'lint: mypy --strict'
	@.venv/bin/mypy

# A process per core, up to four. The tests of a file share benchmarks and models, so they stay together. The files run in
# alphabetical order, so that the long ones of tests/flow do not come last, one process waiting for the other.
test: lint ## run lint, then all tests
	@echo 'test: pytest'
	@.venv/bin/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Settings of vLLM's CPU build: 1 GiB of cache, and threads that are not bound to cores, for a shared machine.
test-vllm: export VLLM_CPU_KVCACHE_SPACE ?= 1
test-vllm: export VLLM_CPU_OMP_THREADS_BIND ?= nobind
# TRL has no setting for the compiler, which takes longer than all tests. With this variable nothing is compiled.
test-vllm: export VLLM_CPU_CI_ENV ?= 1
test-vllm: $(READY_VLLM) ## test the vllm backend with vLLM's CPU build, installed in .venv-vllm (4 GB)
	@echo 'test-vllm: pytest'
	@.venv-vllm/bin/pytest -rP -p no:logging tests/with_vllm
	@.venv-vllm/bin/pytest tests/contract/test_backends.py -k vllm

test-zoo: $(READY_ZOO) ## test all model families, and write their table into docs/training.md, in .venv-zoo
	@echo 'test-zoo: pytest'
	@.venv-zoo/bin/pytest --junitxml=.venv-zoo/families.xml tests/flow/test_zoo.py
	@.venv-zoo/bin/python tests/support/model_families.py .venv-zoo/families.xml

test-real: $(READY_REAL) ## score and train two published language models on scenes in words, installed in .venv-real
	@echo 'test-real: pytest'
	@.venv-real/bin/pytest -rP -p no:logging tests/with_real_weights

test-interop: $(READY_INTEROP) ## test exports with the tools that open them, installed in .venv-interop
	@echo 'test-interop: pytest'
	@.venv-interop/bin/pytest -n 0 tests/with_interop

# Starting a node takes long on a busy machine.
test-ray: export RAY_raylet_start_wait_time_s ?= 200
test-ray: $(READY_RAY) ## test --engine ray on clusters of several nodes on this machine, installed in .venv-ray
	@echo 'test-ray: pytest'
	@.venv-ray/bin/pytest -n 0 tests/with_ray

$(READY): pyproject.toml constraints.txt .ci/setup
	@.ci/setup

$(READY_VLLM): $(READY) .ci/setup-vllm
	@.ci/setup-vllm

$(READY_ZOO): $(READY) .ci/setup-zoo
	@.ci/setup-zoo

$(READY_REAL): $(READY) .ci/setup-real tests/with_real_weights/checkpoints.py
	@.ci/setup-real

$(READY_INTEROP): $(READY) .ci/setup-interop
	@.ci/setup-interop

$(READY_RAY): $(READY) .ci/setup-ray
	@.ci/setup-ray

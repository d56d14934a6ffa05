# Every target is safe to run again. `make help` lists them.
PYTHON ?= python3.11
BIN := .venv/bin
SCGPT := $(BIN)/scgpt
# Two processes; each computes with one thread, since threads that wait for each other waste both cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadscope
export PYTHONDONTWRITEBYTECODE = 1

.DEFAULT_GOAL := help
.PHONY: help setup jars quickstart test long soak unit accept lint fmt lock wheel package cdktn reference pipelines parity torch-range bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/.locked: requirements.lock requirements.uv.lock pyproject.toml
	@PYTHON=$(PYTHON) sh scripts/check-tools
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

setup: .venv/.locked node_modules/.package-lock.json jars ## install everything that is locked, find the Terraform provider
	@$(SCGPT) provider

jars: ## Delta's jars for Spark, once; skipped without Java or Maven
	@sh scripts/fetch-jars

quickstart: setup ## real cells embedded through a deployed endpoint of the local workspace
	$(SCGPT) quickstart

lint: .venv/.locked ## ruff, mypy --strict, the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/.locked ## unit and contract tests
	$(PYTEST) tests/unit tests/contract

test: setup lint ## lint, unit, contract and the short acceptance tests
	$(PYTEST) tests -m "not long and not soak"

long: setup cdktn pipelines ## the acceptance cases that take minutes, with a seeded sample of the faults
	$(PYTEST) tests -m "long and not soak"

parity: reference ## against unmodified upstream scGPT
	$(BIN)/pytest tests/contract/test_upstream.py

accept: setup cdktn pipelines ## all acceptance cases, with a seeded sample of the faults
	$(PYTEST) tests/acceptance -m "not soak"

soak: setup ## the whole matrix of faults
	$(PYTEST) tests -m soak

fmt: .venv/.locked ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --no-annotate

lock: .venv/.locked ## resolve the dependencies of pyproject.toml and requirements.*.in anew
	$(COMPILE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) requirements.uv.in -o requirements.uv.lock
	$(COMPILE) requirements.cdktn.in -o requirements.cdktn.lock
	$(COMPILE) requirements.pipelines.in -o requirements.pipelines.lock
	$(COMPILE) requirements.reference.in -o requirements.reference.lock
	echo scgpt==0.2.4 | $(COMPILE) --no-deps - >> requirements.reference.lock
	npm install --package-lock-only

wheel: .venv/.locked ## wheel and sdist of this version, and the wheel that jobs run: dist/
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist .
	@$(BIN)/python -m scgpt_databricks.scripts.wheel

package: wheel ## the same, and the wheel installed and tried
	SCGPT_WHEEL=$$(ls -t dist/scgpt_databricks-*.whl | head -1) $(BIN)/pytest tests/acceptance/package

.cdktn/.locked: .venv/.locked requirements.cdktn.lock
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .cdktn
	$(BIN)/uv pip sync --quiet --python .cdktn/bin/python --require-hashes requirements.cdktn.lock
	@touch $@

cdktn: .cdktn/.locked ## the maintained fork of the CDK, to synthesise under both

.reference/.locked: .venv/.locked requirements.reference.lock
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .reference
	$(BIN)/uv pip sync --quiet --python .reference/bin/python --require-hashes requirements.reference.lock
	@touch $@

reference: .reference/.locked ## unmodified upstream scGPT in an environment of its own, for parity and benchmarks

torch-range: reference ## model tests and parity under the oldest, the locked and the newest torch
	@sh scripts/torch-range

.pipelines/.locked: .venv/.locked requirements.pipelines.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .pipelines
	$(BIN)/uv pip sync --quiet --python .pipelines/bin/python --require-hashes requirements.pipelines.lock
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	    > $$(.pipelines/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/repository.pth
	@touch $@

pipelines: .pipelines/.locked ## Spark Connect over what is installed, for declarative pipelines

bench: reference cdktn ## the figures: benchmarks/results.json
	$(BIN)/python -m benchmarks.run

clean: ## stop what was started, remove what was made
	@if [ -x $(SCGPT) ]; then $(SCGPT) workspace stop --quiet || true; fi
	@sh scripts/clean-plugin-cache
	rm -rf .local cdktf.out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info .venv .reference .cdktn .pipelines .torch dist node_modules

# One command each: `make train` sets everything up and trains, `make test` sets up and tests.
PYTHON ?= python3
VENV ?= .venv
THIRD_PARTY_VENV ?= .venv-third-party
BIN := $(VENV)/bin
CONFIG ?= tune_configs/cartpole-fedrdqn.yaml

.PHONY: train test test-all test-third-party lint docs bench results clean

train: $(VENV)/.installed
	$(BIN)/fedrl-ray train $(CONFIG)

# Three at a time on two cores: tests that start programs or Ray wait for them most of the time.
test: $(VENV)/.installed-dev
	$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder

test-all: $(VENV)/.installed-dev
	$(BIN)/pytest -m "slow or not slow"

# Environments of others, in a virtual environment of their own. Neither `make test` nor CI runs it.
test-third-party: $(THIRD_PARTY_VENV)/.installed
	$(THIRD_PARTY_VENV)/bin/pytest tests/third_party

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The documentation site in build/site; open its index.html. A broken link fails.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/federation.py --output docs/results
	$(BIN)/python benchmarks/sweep_cost.py --output docs/results
	$(BIN)/python benchmarks/soak.py --output docs/results
	$(BIN)/python benchmarks/rivals.py --output docs/results

# Every figure of docs/results.md and the README's picture. Less than two hours; what is finished is
# kept in runs/learning.
results: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/tabular_figure.py --output docs/results
	$(BIN)/python benchmarks/learning.py cartpole acrobot pendulum --seeds 5 --output docs/results
	$(BIN)/python benchmarks/presets.py

# torch comes first and pinned: a plain torch would pull gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

THIRD_PARTY := tests/third_party/requirements
$(THIRD_PARTY_VENV)/.installed: pyproject.toml constraints.txt $(wildcard $(THIRD_PARTY)*.txt)
	$(PYTHON) -m venv $(THIRD_PARTY_VENV)
	$(THIRD_PARTY_VENV)/bin/pip install --quiet --constraint constraints.txt torch
	$(THIRD_PARTY_VENV)/bin/pip install --quiet --constraint constraints.txt \
		--requirement $(THIRD_PARTY).txt --editable . pytest pytest-timeout
	$(THIRD_PARTY_VENV)/bin/pip install --quiet --no-deps --requirement $(THIRD_PARTY)-no-deps.txt
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench]"
	touch $@

clean:
	rm -rf algorithms/__pycache__ $(VENV) $(THIRD_PARTY_VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache

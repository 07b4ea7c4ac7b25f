# Two commands matter: `make demo` and `make test`. Both set up .venv themselves; `make setup` does only that.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Processes that share the tests.
JOBS ?= 2

# One extra line in the log beats a run that phones home.
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: setup demo test lint format clean
.DEFAULT_GOAL := setup

setup: $(READY)

# requirements.lock pins every version as a constraint; pip picks what this platform needs of it.
$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "medvid needs Python >= 3.11, $(PYTHON) is older; name another: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint requirements.lock --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true # pip compiles on one core; what is not Python fails in both
	@touch $@

demo: $(READY)
	$(BIN)/platform run tasks/unetr_btcv.yaml

# One thread each, or the processes wait for each other. What tests start finds compiled what an earlier one compiled.
test: export OMP_NUM_THREADS := 1
test: export PYTHONDONTWRITEBYTECODE :=
test: $(READY) lint
	$(BIN)/pytest -n $(JOBS) --dist worksteal

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --num-workers 2 core plugins datasets
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV)

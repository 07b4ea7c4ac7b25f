# Two commands matter: `make demo` and `make test`. Both set up .venv themselves; `make setup` does only that.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

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
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/platform run tasks/unetr_btcv.yaml

test: $(READY) lint
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy core plugins datasets
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV)

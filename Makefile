# Everything runs in .venv, which the first command makes from pyproject.toml and constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test torture giants lint clean

demo: $(READY)
	$(BIN)/embank demo embank-demo

test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# The long form of tests that `make test` has too; its last figures are in docs/reliability.md.
torture: $(READY)
	EMBANK_TORTURE=long $(BIN)/python -m pytest tests/test_torture_*.py -rP --durations=0

# Every backbone of keras.applications built and run, the largest too: an hour, and 20 GB of memory.
giants: $(READY)
	$(BIN)/python -m pytest tests/test_giants.py tests/test_embedder_engines.py -m giants

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "embank needs Python 3.11 or later: make PYTHON=/path/to/python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build embank-demo

# Two commands do it all: `make app` starts the dashboard, `make test` runs the tests. Both set up what they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: app test bench clean

app: $(VENV)/app
	$(BIN)/python app.py --open

test: $(VENV)/dev
	$(BIN)/python -m pytest

bench: .venv-bench/ready
	.venv-bench/bin/python -m benchmarks

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The stamps make an install happen again when the pins change, and only then.
$(VENV)/app: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	@touch $@ $(VENV)/app

.venv-bench/ready: benchmarks/requirements.txt requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) .venv-bench .pytest_cache

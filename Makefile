# Two commands do it all: `make app` starts the dashboard, `make test` runs the tests. Both set up what they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

# What looks at the page's scripts comes from npm: `make lint` needs it, `make test` uses it where it is.
NPM := $(shell command -v npm 2>/dev/null)

.PHONY: app test sweep lint lessons bench clean

app: $(VENV)/app
	$(BIN)/python app.py --open

test: $(VENV)/dev $(if $(NPM),node_modules/ready)
	$(BIN)/python -m pytest

lint: $(VENV)/dev node_modules/ready
	$(BIN)/ruff check .
	npm run --silent lint

# The same tests as other machines see them: with other instructions and threads, and a slow browser on a busy machine.
# Where the suite tries a few of many, as of the shipped models, all are tried.
sweep: $(VENV)/dev
	for capability in default avx2; do for threads in 1 2 4; do \
	  NOISESCOPE_SWEEP=1 ATEN_CPU_CAPABILITY=$$capability OMP_NUM_THREADS=$$threads $(BIN)/python -m pytest -q --ignore=tests/browser || exit 1; \
	done; done
	(while :; do :; done) & one=$$!; (while :; do :; done) & two=$$!; trap "kill $$one $$two" EXIT; \
	for turn in 1 2 3; do NOISESCOPE_SWEEP=1 NOISESCOPE_THROTTLE=6 $(BIN)/python -m pytest -q tests/browser || exit 1; done

# What every lesson claims, measured with several seeds, and each taken to its end in a browser.
lessons: $(VENV)/dev
	NOISESCOPE_LESSONS=all $(BIN)/python -m pytest -q tests/test_lessons.py tests/browser/test_lessons.py

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

node_modules/ready: package.json package-lock.json
	@npm ci --silent && touch $@ || echo "npm did not bring the linters of the page's scripts: those tests are skipped" >&2

.venv-bench/ready: benchmarks/requirements.txt requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt
	.venv-bench/bin/python -m pip install --quiet --no-deps k-diffusion==0.1.1.post1 dctorch==0.1.2  # they want NumPy 1
	@touch $@

clean:
	rm -rf $(VENV) .venv-bench .pytest_cache node_modules

# Two commands matter: `make demo` shows Puente at work, `make test` proves it. Both start from nothing.
# Everything is installed into .venv, from requirements.lock (what Puente runs on), requirements-dev.lock (that, and its tools) and
# requirements-bench.lock (that, and what the benchmarks compare it with).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A virtual environment that happens to be active must not leak into this one, and what Python has compiled is kept.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench practice-pack fonts screenshots lock clean

demo: $(VENV)/.installed
	$(BIN)/python -m samples.demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

check: $(VENV)/.installed-bench
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# What is fast, how fast, and against what: some minutes each, or seconds with BENCH=--quick.
bench: $(VENV)/.installed-bench
	$(BIN)/python -W ignore -m benchmarks $(BENCH)

# Two hours on two cores. It goes on where it was when it is started again; PRACTICE="--minutes 10" makes it shorter.
practice-pack: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 sacrebleu==2.6.0
	$(BIN)/python -m practice.train en es $(PRACTICE)
	$(BIN)/python -m practice.train es en $(PRACTICE)
	cp build/practice/practice-*.argosmodel practice/

# The fonts that paper is printed in, from npm: puente/printing/fonts/README.md.
fonts: $(VENV)/.installed
	$(BIN)/python -m tools.fonts

# The pictures of the README, from the browser in which the main job is tested.
screenshots: $(VENV)/.installed-dev
	PUENTE_SCREENSHOTS=docs/images $(BIN)/python -m pytest -n0 tests/browser/test_the_main_job.py

lock: $(VENV)/.installed-dev
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header --quiet pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header --quiet pyproject.toml --group build --group dev -o requirements-dev.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header --quiet pyproject.toml --group build --group dev --group bench -o requirements-bench.lock

clean:
	rm -rf $(VENV) demo.db* .pytest_cache .ruff_cache .hypothesis build *.egg-info

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Puente needs Python 3.11 or newer: make demo PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev requirements-bench.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	touch $@

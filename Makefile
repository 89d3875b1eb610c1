PYTHON ?= python3
BIN := .venv/bin
# Two trials at once must not fight for the same cores.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
# Tests start hundreds of interpreters: each would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo install check test lint types fast unit chromium clean

demo: .venv/.installed  ## install, then the whole search on an offline task
	$(BIN)/python -m search run configs/dev.yaml

install: .venv/.installed

check: .venv/.installed-test lint types fast  ## lint, type check and the fast tests: what to run before a commit

test: .venv/.installed-test lint types unit  ## lint, type check, all tests

lint: .venv/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.installed-test
	$(BIN)/mypy --num-workers 2

PYTEST := $(BIN)/python -m pytest --dist worksteal

fast: .venv/.installed-test
	$(PYTEST) --numprocesses 2 -m 'not slow' --quiet

unit: .venv/.installed-test  # three processes on two cores: slow tests wait half of their time
	$(PYTEST) --numprocesses 3

chromium:  ## a browser for the tests of the report, where it is missing and root may install it
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq >/dev/null 2>&1 && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1; } || \
		echo "no chromium: the report's tests in a browser will be skipped"

# Without --no-compile pip spends half of its time on modules that nothing here imports; the others are compiled then.
PIP := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt
# .made: the environment is whole. .installing: packages are being installed; what an interruption leaves of one pip
# takes for whole, so the next install begins with a new environment.
USABLE := { [ -e .venv/.made ] || [ -e .venv/.installed ]; } && [ ! -e .venv/.installing ] && $(BIN)/python -c '' 2>&1
UNUSABLE := $(shell { $(USABLE); } >/dev/null || echo environment)

.PHONY: environment
environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V); try make PYTHON=python3.11"; exit 2; }
	@{ $(USABLE); } >/dev/null || { $(PYTHON) -m venv --clear .venv && touch .venv/.made; }

.venv/.installed: pyproject.toml constraints.txt $(UNUSABLE)
	@$(MAKE) --no-print-directory environment
	@touch .venv/.installing
	$(PIP) --editable .
	@touch $@ && rm .venv/.installing

.venv/.installed-test: pyproject.toml constraints.txt $(UNUSABLE)
	@$(MAKE) --no-print-directory environment
	@touch .venv/.installing
	$(PIP) --editable '.[test]'
	@touch .venv/.installed $@ && rm .venv/.installing

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

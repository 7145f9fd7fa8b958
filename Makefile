# `make demo` and `make test` need nothing but Python 3.11+ and the network on the first run.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help venv demo up services test vllm test-vllm smoke-vllm chaos load site pictures manifests lint clean
.DEFAULT_GOAL := help

help:  ## Show this help
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

venv: $(STAMP)  ## Create .venv and install latentwatch into it

# Compiling all that is installed takes minutes, and most of it is never imported: Python compiles the
# rest when it is, and keeps it ...
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile
# ... unless it is told not to: then every process that a test starts would compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE

# Installed again whenever the dependencies or their pinned versions change.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "latentwatch needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(INSTALL) -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)  ## Plant a regression in a real model and watch it being caught (build/demo)
	$(BIN)/python -m deploy.demo

up: $(STAMP) services  ## Run the whole service on this machine, with a fake Slack, until Ctrl-C
	$(BIN)/python -m deploy.stack

# The tests start their own servers; only the programs have to be there.
SERVERS := redis-server postgresql prometheus prometheus-alertmanager openssl curl sqlite3
# Servers that are Python programs have an environment of their own, apart from our packages.
PYTHON_SERVERS := build/servers/.installed
$(PYTHON_SERVERS): tests/servers.txt
	$(PYTHON) -m venv build/servers
	build/servers/bin/python $(INSTALL) -r $<
	touch $@

services: $(PYTHON_SERVERS)  ## Install the servers that the tests start (Debian, as root)
	@if command -v redis-server >/dev/null && command -v promtool >/dev/null \
		&& command -v prometheus-alertmanager >/dev/null && command -v openssl >/dev/null \
		&& command -v curl >/dev/null && command -v sqlite3 >/dev/null \
		&& ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "the tests need the programs of $(SERVERS); install them with your package manager," \
			"on Debian as root: apt-get install $(SERVERS)"; exit 2; \
	else \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends $(SERVERS) >/dev/null; \
	fi

# One more than there are cores, since tests wait for servers, and no more than memory is for.
WORKERS := $(shell n=$$(($$(nproc 2>/dev/null || echo 2) + 1)); [ $$n -gt 4 ] && n=4; echo $$n)

test: $(STAMP) services  ## Run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# vLLM needs other versions than the service: an environment of its own, 3.4 GB.
VLLM := build/vllm/.installed
$(VLLM): tests/vllm.txt
	$(PYTHON) -m venv build/vllm
	build/vllm/bin/python $(INSTALL) --no-deps -r $<
	touch $@

vllm: $(VLLM)  ## Install vLLM's CPU build, apart from the rest (build/vllm)

test-vllm: $(VLLM)  ## Compare the vLLM engine with transformers, on this CPU (docs/engines.md)
	build/vllm/bin/python -m pytest --confcutdir=tests/vllm tests/vllm --durations=12

smoke-vllm: $(VLLM)  ## Of that what a random model can show within two minutes
	build/vllm/bin/python -m pytest --confcutdir=tests/vllm tests/vllm/test_parity.py -k tiny

chaos: $(STAMP) services  ## Kill, stop and cut off the service in 247 schedules (docs/benchmarks.md)
	$(BIN)/latentwatch bench chaos

load: $(STAMP) services  ## Push 500 versions within a minute and have them all decided
	$(BIN)/latentwatch bench load

site: $(STAMP)  ## Make the site of the docs (build/site)
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/site

pictures: $(STAMP)  ## Take the pictures of docs/images from the fake Slack (needs chromium)
	$(BIN)/python -m deploy.pictures

manifests: $(STAMP)  ## Render the Kubernetes overlays again (needs kubectl)
	$(BIN)/python -m deploy.kubernetes

lint: $(STAMP)  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## Remove what the demo and the tools built, .venv excepted
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis

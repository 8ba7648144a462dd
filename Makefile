# `make run` opens the window, `make test` proves the tree; each sets itself up.
VENV   := .venv
PYTHON ?= python3
STAMP  := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)

.PHONY: run test install bench docs

run: install
	@$(VENV)/bin/layerscope $(ARGS)

test: install
	@$(VENV)/bin/python -m tests

bench: install
	@$(VENV)/bin/pip install -q -c constraints.txt -e '.[bench]'
	@$(VENV)/bin/python -m benchmarks $(ARGS)

docs: install
	@$(VENV)/bin/python -m docs.pictures

install: $(STAMP)

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit("layerscope needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing layerscope and what it stands on (once; about a minute)"
	@$(VENV)/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
	@rm -f $(VENV)/.installed-* && touch $@

# The two commands: "make run" and "make test". On a fresh Debian, Ubuntu or RHEL-like machine they bring
# what they need. make PYTHON=python3.12 ... takes another interpreter.

VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-all lint bench lab docs zipapp clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.run: setup.cfg pyproject.toml tools/bring
	tools/bring python
	tools/venv $(VENV)
	touch $@

$(VENV)/.dev: $(VENV)/.run
	tools/venv $(VENV) '[test,lint]'
	touch $@

run: $(VENV)/.run ## gather this host and open the verdict
	@$(BIN)/lastwords collect --format tar.zst -o lastwords-$$(date -u +%Y%m%dT%H%M%SZ).tar.zst || [ $$? -eq 3 ]
	@$(BIN)/lastwords open "$$(ls -t lastwords-*.tar.zst | head -1)"

test: $(VENV)/.dev ## bring the real tools, run all tests this machine can run, on every Python found
	tools/bring tests
	$(BIN)/pytest -rs
	tools/other-pythons

lint: $(VENV)/.dev ## style, types, import direction, minimum Python, spelling, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src lab examples
	$(BIN)/lint-imports --no-cache
	$(BIN)/vermin --quiet --no-tips --target=3.9- --violations src/lastwords collectors schemas
	$(BIN)/vermin --quiet --no-tips --target=3.6- --violations sos_plugins
	$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md docs examples src collectors schemas sos_plugins tests
	$(BIN)/python docs/generate.py --check

docs: $(VENV)/.dev ## make the generated documentation anew
	$(BIN)/python docs/generate.py

bench: $(VENV)/.dev ## benchmarks against peers and physical limits, as ratios
	tools/bring tests
	for each in bench/*.py; do $(BIN)/python $$each; done

lab: $(VENV)/.dev ## what takes longer: real kernels in QEMU (docs/accuracy.md), crash dumps in every form (docs/vmcore.md), every sos in a chroot, parsers fuzzed, reports in a browser
	tools/bring lab
	$(BIN)/python -m lab run
	$(BIN)/python -m lab.damaged
	$(BIN)/python -m lab.roots
	tools/venv $(VENV) '[test,lint,vmcore,fuzz]'
	$(BIN)/python -m lab.vmcores
	$(BIN)/python -m lab.sos_chroots run
	$(BIN)/python -m lab.fuzz
	LASTWORDS_LAB=1 $(BIN)/pytest tests/lab/test_pages.py

zipapp: $(VENV)/.run ## lastwords.pyz: one file for hosts where nothing can be installed
	packaging/zipapp lastwords.pyz

clean: ## remove everything that was made here
	rm -rf $(VENV) .venv-* build dist *.egg-info src/*.egg-info lastwords.pyz .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache

# Two commands: `make demo` simulates an ablation and shows the report, `make test` runs every check.
# Both do all their own set-up in .venv; on Debian and Ubuntu they install missing system packages with apt (and sudo if needed).
# `make setup-mpi` makes .venv-mpi, for runs on many ranks; `make test` needs it and makes it as well.

PYTHON ?= python3
VENV   := .venv
MPI    := .venv-mpi
BIN    := $(VENV)/bin
CASE   := validation/ji_2011/rfa_control.toml
RUN    := runs/demo

.PHONY: demo test setup setup-test setup-mpi lint unit docs benchmark clean

demo: setup
	$(BIN)/ablationsim run $(CASE) --output $(RUN) --overwrite
	@echo "Open $(CURDIR)/$(RUN)/report.html in a browser."
	@if [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then xdg-open $(RUN)/report.html || true; fi

test: lint unit docs

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Ranks that wait keep their cores busy: their tests come after the others.
unit: setup-test setup-mpi
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/parallel --ignore=tests/cluster
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/parallel tests/cluster

docs: setup-test
	$(BIN)/mkdocs build --strict --quiet

benchmark: setup-test
	benchmarks/run

setup: $(VENV)/.installed

setup-test: $(VENV)/.installed-test

setup-mpi: $(MPI)/.installed

$(VENV)/.installed: pyproject.toml hpc/system-packages.sh
	sh hpc/system-packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/ablationsim doctor
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	sh hpc/system-packages.sh slurm browser
	$(BIN)/python -m pip install --quiet --editable '.[test,docs,dicom,view]'
	@touch $@

$(MPI)/.installed: pyproject.toml hpc/mpi-environment.sh hpc/system-packages.sh
	sh hpc/mpi-environment.sh $(MPI)
	@touch $@

clean:
	rm -rf $(VENV) $(MPI) runs site

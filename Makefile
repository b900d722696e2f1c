# `make demo` and `make test` make what they need, the virtual environment included.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
WORKERS := -n 2 --dist worksteal # two at a time, whoever is done helps the other

.PHONY: demo test quick soak gpu check docs clean

demo: $(READY)  ## the default study, from rendered videos to a report, in demo/
	$(BIN)/losolab run --storage demo

test: $(READY)  ## everything, the slow tests included
	$(BIN)/pytest $(WORKERS)

quick: $(READY)  ## what ends in under three minutes
	$(BIN)/pytest $(WORKERS) -m "not slow"

soak: $(READY)  ## the long versions of simulations and of what is killed, with their figures
	LOSOLAB_SOAK=1 $(BIN)/pytest -s tests/analysis/questions/test_claims.py tests/analysis/questions/test_leaks.py tests/study/scheduling/test_chaos.py tests/study/data/cache/test_build.py tests/study/ledger/test_full_disk.py tests/study/planning/test_forecast.py tests/study/planning/test_size_of_dfme.py tests/analysis/stats tests/test_ladder.py tests/test_planted.py tests/test_null.py tests/cluster

gpu:  ## on a machine with a GPU, torch, numpy and pyarrow: what must hold there, and what it takes; gpu.md, gpu.json
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m benchmarks.gpu

check: $(READY)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## the tables of docs/ that are the code's: factors, readers, commands
	$(BIN)/python -m docs.generate

clean:
	rm -rf .venv demo

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[run,dev]"
	touch $@

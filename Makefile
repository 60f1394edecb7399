# Every target sets up what it needs from a bare checkout; only Python 3.11 or later has to be there.
PYTHON ?= python3
UV := .uv/bin/uv
VENV := .venv
BIN := $(VENV)/bin
# Certificates of the system, so that it works behind a private certificate authority too.
export UV_SYSTEM_CERTS = 1
export UV_PYTHON_DOWNLOADS = never
export UV_COMPILE_BYTECODE = 1

# The longest file first, or it runs alone at the end.
TESTS = tests/property/test_values.py tests/integration tests/contract tests/unit tests/docs
# Four processes for two cores: most tests wait for something most of the time. A file stays together, since its tests share what they start.
AT_ONCE = -n 4 --dist loadfile --no-loadscope-reorder

.PHONY: run demo download doctor browser test test-all coverage check format bench lock clean

run: $(VENV)/.run
	@$(BIN)/magpie run

demo: $(VENV)/.run
	@$(BIN)/magpie demo

doctor: $(VENV)/.run
	@$(BIN)/magpie doctor

test: $(VENV)/.dev
	$(BIN)/pytest $(TESTS) $(AT_ONCE) $(ARGS)

# The rest two by two: the whole interface under random requests; whole services, killed and started again.
test-all: $(VENV)/.dev
	$(BIN)/pytest $(TESTS) $(AT_ONCE) $(ARGS)
	$(BIN)/pytest tests/property/test_http.py tests/e2e -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# Which branches no test takes. Apart from `test`, whose time it adds a third to.
coverage: $(VENV)/.dev
	$(BIN)/pytest $(TESTS) $(AT_ONCE) --cov --cov-report=term:skip-covered $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(ARGS)

# The locked dependencies: one set for every platform, run and development together, with hashes and no addresses.
lock: $(UV)
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 pyproject.toml --group dev -o requirements/dev.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -c requirements/dev.txt pyproject.toml --group build -o requirements/run.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -c requirements/dev.txt --group browser -o requirements/browser.txt

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Magpie needs Python 3.11 or later; '$(PYTHON)' is older. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "'$(PYTHON)' has no pip. On Debian and Ubuntu: apt install python3-pip"; exit 1; }
	@echo "Setting up (once) ..."
	@$(PYTHON) -m pip install --quiet --quiet --disable-pip-version-check --root-user-action=ignore --target .uv uv==0.13.8

$(BIN)/python: $(UV)
	@$(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" --allow-existing $(VENV)
	@touch $(BIN)/python

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@test -e $(VENV)/.dev || $(UV) pip install --quiet --python "$(CURDIR)/$(BIN)/python" --require-hashes -r requirements/run.txt
	@$(UV) pip install --quiet --python "$(CURDIR)/$(BIN)/python" --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@$(UV) pip install --quiet --python "$(CURDIR)/$(BIN)/python" --require-hashes -r requirements/dev.txt
	@$(UV) pip install --quiet --python "$(CURDIR)/$(BIN)/python" --no-deps --no-build-isolation --editable .
	@touch $@

# What the browser tests need besides Chromium itself (Debian and Ubuntu: apt install chromium).
browser: $(VENV)/.browser

$(VENV)/.browser: requirements/browser.txt $(VENV)/.dev
	@$(UV) pip install --quiet --python "$(CURDIR)/$(BIN)/python" --require-hashes -r requirements/browser.txt
	@touch $@

clean:
	rm -rf $(VENV) .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

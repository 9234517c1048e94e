# The few commands people type. Downloads and build outputs go to the user's cache folder.

CACHE ?= $(or $(SLUICE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice)
export CARGO_TARGET_DIR ?= $(CACHE)/target
MVN = mvn -q -B -f java-shim/pom.xml
BENCH = python3 integration/bench/bench.py $(if $(WORKLOADS),--workloads $(WORKLOADS)) $(if $(SYSTEMS),--systems $(SYSTEMS)) $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: help check build test test-rust test-java test-flink test-demo test-snippets verify soak demo demo-keep demo-stop bench bench-quick bench-gateway bench-memory clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

check: ## formatting, clippy, documentation
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

build: ## the gateway and the connector
	cargo build --locked --workspace --tests --bins
	$(MVN) -DskipTests package

test: test-rust test-demo test-java test-snippets ## all tests

test-rust: ## crates, and the gateway as a process that is killed
	cargo build --locked --workspace --tests --bins
	cargo test --locked --workspace

test-demo: ## the demo's judge, the benchmarks' sums, the runner of `make verify`
	cd integration/demo && python3 -m unittest -v test_oracle
	cd integration/verify && python3 -m unittest -v test_verify
	cd integration/bench && python3 -m unittest -v test_report test_schedule

test-java: ## the connector, with the real gateway and Flink in a MiniCluster
	cargo build --locked --workspace --tests --bins
	SLUICE_BINARY=$(CARGO_TARGET_DIR)/debug/sluice mvn -B -f java-shim/pom.xml verify

test-snippets: ## what README.md and docs/flink.md tell to run, run as it is written
	cargo build --locked --workspace --tests --bins
	SLUICE_BINARY=$(CARGO_TARGET_DIR)/debug/sluice python3 integration/snippets/snippets.py

test-flink: ## Flink's suites with the same class files on another Flink: make test-flink FLINK=1.20.3 (or 2.3.0)
	cargo build --locked --workspace --tests --bins
	$(MVN) -DskipTests package
	SLUICE_BINARY=$(CARGO_TARGET_DIR)/debug/sluice mvn -B -f java-shim/pom.xml -pl flink-connector-sluice-tests -am test \
		-Dflink.version=$(or $(FLINK),$(error say which Flink: make test-flink FLINK=1.20.3)) -Dmaven.main.skip=true \
		-Dtest='Sluice*SuiteITCase' -Dsurefire.failIfNoSpecifiedTests=false

verify: ## searches for a counterexample at CI's sizes (docs/testing.md); LAYERS=model,simulation chooses
	cargo build --locked --workspace --tests --bins
	python3 integration/verify/verify.py $(if $(LAYERS),--layers "$(LAYERS)")

soak: ## the same for hours, with larger sizes: make soak HOURS=8
	cargo build --locked --workspace --tests --bins
	python3 integration/verify/verify.py --hours $(or $(HOURS),$(error say how long: make soak HOURS=8))

demo: ## the main job end to end on a real Flink cluster (BREAK=drop|dup|swap damages its result)
	python3 integration/demo/demo.py $(if $(BREAK),--break $(BREAK))

demo-keep: ## the demo, left running
	python3 integration/demo/demo.py --keep

demo-stop: ## ends what demo-keep left running
	python3 integration/demo/demo.py --stop

bench: ## Sluice beside its peers; WORKLOADS=W1,W4 SYSTEMS=sluice,kafka ROUNDS=3 choose
	$(BENCH)

bench-quick: ## the same in small, to see that everything runs
	$(BENCH) --quick

bench-gateway: ## the gateway's own figures, beside the disk's
	cargo build --release --locked -p sluice-gateway
	integration/bench/gateway.sh $(CARGO_TARGET_DIR)/release/sluice

bench-memory: ## the gateway's memory under half an hour of mixed work; SECONDS=300 for less
	python3 integration/bench/memory.py $(if $(SECONDS),--seconds $(SECONDS))

clean: ## removes build outputs, keeps downloads
	rm -rf $(CARGO_TARGET_DIR)
	$(MVN) clean

# Attune. `make help` lists the targets; the first two are all a newcomer needs.

.DEFAULT_GOAL := help
SHELL := /bin/sh
GO    ?= go
BUF   := cd proto && $(GO) tool -modfile=../.ci/tools/buf.mod buf
LINT  := $(GO) tool -modfile=.ci/tools/lint.mod golangci-lint
DEMO_DATA ?= .demo

##@ Start here

.PHONY: demo
demo: ## Train on the bundled shop, publish, serve on loopback, and show it
	@mkdir -p bin && $(GO) build -o bin/ ./trainer ./server
	@bin/trainer demo --data $(DEMO_DATA)
	@bin/server --data $(DEMO_DATA) --tour $(DEMO_FLAGS)

.PHONY: test
test: ## Run the tests
	@$(GO) test -short -timeout 30m ./...

##@ Work on it

.PHONY: build
build: ## Build the three programs into bin/
	@mkdir -p bin
	$(GO) build -o bin/ ./trainer ./server ./loadtest

.PHONY: check
check: format-check vet lint arch checkgenerate test race ## Everything that needs no engine

.PHONY: format-check
format-check: ## Fail when a file is not formatted
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted; run gofmt -w on:"; echo "$$out"; exit 1; fi

.PHONY: vet
vet: ## Go's own checks of another architecture; those of this one are among the linter's
	GOARCH=arm64 $(GO) vet ./models/linalg/...

.PHONY: lint
lint: ## The linter
	$(LINT) run --allow-parallel-runners ./...

.PHONY: arch
arch: ## Imports go one way; never from the test cache
	$(GO) test -count=1 ./server -run 'Imports|Vocabulary|Milvus|Kafka|TopLevel|Policy'

.PHONY: race
race: ## Short tests under the race detector, of the packages that share anything
	@packages=$$(.ci/shared) && $(GO) test -short -race -vet=off -timeout 40m $$packages

.PHONY: measure-demo
measure-demo: ## Write docs/measurements/demo.md anew, from the raw file
	@mkdir -p bin && $(GO) build -buildvcs=auto -o bin/ ./trainer
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && bin/trainer demo --data "$$dir/shop" --judged 0 --write docs/measurements/demo.md

.PHONY: measure-ingest
measure-ingest: build ## Write docs/measurements/ingest.md anew; wants a quiet machine and 5 GB of disk
	@bin/loadtest ingest --write docs/measurements/ingest.md

.PHONY: measure-demand
measure-demand: ## Write docs/measurements/demand.md anew: demand and customers of the bundled shop
	@mkdir -p bin && $(GO) build -buildvcs=auto -o bin/ ./trainer
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && bin/trainer demo --data "$$dir" >/dev/null 2>&1 && .ci/measure-demand "$$dir" > docs/measurements/demand.md

.PHONY: measure-segments
measure-segments: ## Write docs/measurements/segments.md anew: groups of the bundled shop's buyers, and whether motives last
	@mkdir -p bin && $(GO) build -buildvcs=auto -o bin/ ./trainer
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && bin/trainer demo --data "$$dir" --judged 1 >/dev/null 2>&1 && .ci/measure-segments "$$dir" > docs/measurements/segments.md

.PHONY: measure-signals
measure-signals: ## Write docs/signals.md anew: the signals of the code, with their importance in the bundled shop
	@mkdir -p bin && $(GO) build -buildvcs=auto -o bin/ ./trainer
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && bin/trainer demo --data "$$dir" --judged 1 >/dev/null 2>&1 && .ci/measure-signals "$$dir" > docs/signals.md

.PHONY: measure-kernels
measure-kernels: ## Write docs/measurements/kernels.md anew, beside OpenBLAS
	@$(MAKE) --no-print-directory .cache/peers/index
	$(GO) build -buildvcs=auto -o .cache/peers/peers ./loadtest/peers
	.cache/peers/peers kernels --write docs/measurements/kernels.md
	.cache/peers/peers kernels --isa avx2 --cores default --write docs/measurements/kernels.md

.PHONY: measure-index
measure-index: ## Write docs/measurements/vector.md anew, beside faiss and hnswlib; wants a quiet machine for 10 minutes
	@$(MAKE) --no-print-directory .cache/peers/index
	$(GO) build -buildvcs=auto -o .cache/peers/peers ./loadtest/peers
	.cache/peers/peers index --write docs/measurements/vector.md
	for isa in avx2 generic; do ATTUNE_CPU=$$isa .cache/peers/peers index --trained= --sizes 100000 --write docs/measurements/vector.md || exit 1; done
	.cache/peers/peers filters --write docs/measurements/vector.md
	.cache/peers/peers filters --mapped --sizes 100000 --write docs/measurements/vector.md
	.cache/peers/peers filters --trained= --mapped --no-graph --sizes 1000000 --rounds 3 --write docs/measurements/vector.md
	.cache/peers/peers mapped --write docs/measurements/vector.md

.cache/peers/index: loadtest/peers/requirements-index.txt loadtest/peers/requirements-kernels.txt
	@python3 -m venv .cache/peers
	@.cache/peers/bin/pip install --quiet $(addprefix -r ,$^)
	@touch $@

.PHONY: measure-models
measure-models: PARTS ?= cg,cholesky,knn,ease,bpr
measure-models: ## Write docs/measurements/models.md anew, beside implicit and SciPy; PARTS=knn,ease: those tables only
	@$(MAKE) --no-print-directory .cache/models/ready
	$(GO) run -buildvcs=auto ./loadtest/peers models --parts $(PARTS) --write docs/measurements/models.md

.PHONY: measure-robustness
measure-robustness: ## Write docs/measurements/robustness.md anew: the default recipe beside its parts on data of many shapes and sizes
	$(GO) run ./loadtest/peers/robustness -from 21 -write docs/measurements/robustness.md

.PHONY: measure-growth
measure-growth: ## Write docs/measurements/growth.md anew: training from 0.1 to 20 million pairs
	$(GO) run -buildvcs=auto ./loadtest/peers growth --write docs/measurements/growth.md

.cache/models/ready: loadtest/peers/requirements-models.txt
	@python3 -m venv .cache/models
	@.cache/models/bin/pip install --quiet -r $<
	@touch $@

.PHONY: measure-neural-serving
measure-neural-serving: ## Time requests to the networks on one core, and write docs/measurements/neural-serving.md
	GOMAXPROCS=1 $(GO) run ./loadtest/peers neural-serving --write docs/measurements/neural-serving.md

.PHONY: measure-goals
measure-goals: ## What views and carts teach of purchases, into docs/measurements/neural.md; wants the public data sets and some minutes
	$(GO) test -count=1 -timeout 120m -v -run GoalsHelpEachOther ./models/multitask -goals=$(CURDIR)/docs/measurements/neural.md

.PHONY: trust-short
trust-short: ## Faults, kills, hostile callers, a REST fuzzer: the short form, figures in docs/measurements/trust.md
	@.ci/trust short

.PHONY: trust-long
trust-long: ## The same at length: some hours
	@.ci/trust long

.PHONY: soak
soak: ## Half an hour at 70 % load
	@ONLY=soak .ci/trust long

.PHONY: fuzz-long
fuzz-long: ## Two million executions of every fuzz target; hours
	@ONLY=fuzz .ci/trust long

.PHONY: measure-risk
measure-risk: ## Write docs/measurements/risk.md anew: attacks planted in the bundled shop
	@mkdir -p bin && $(GO) build -buildvcs=auto -o bin/ ./trainer
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && bin/trainer demo --data "$$dir" --judged 1 >/dev/null 2>&1 && .ci/measure-risk "$$dir" > docs/measurements/risk.md

##@ Generate

.PHONY: generate
generate: ## Regenerate protobuf code, the API description and the kernels
	@proto/prepare.sh
	$(BUF) lint
	$(BUF) generate
	$(GO) generate ./models/linalg/...

.PHONY: checkgenerate
checkgenerate: generate ## Fail when generated code is not up to date
	@out=$$(git status --porcelain -- proto models/linalg); if [ -n "$$out" ]; then echo "generated code is not up to date; commit what 'make generate' changed:"; echo "$$out"; git --no-pager diff --stat -- proto models/linalg; exit 1; fi

.PHONY: checkbreaking
checkbreaking: ## Fail when the API breaks callers of the last release
	@proto/prepare.sh
	$(BUF) build -o .deps/now.binpb
	$(BUF) breaking .deps/now.binpb --against released.binpb --exclude-imports

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

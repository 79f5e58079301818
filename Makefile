# `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO   ?= go
BIN  := $(CURDIR)/bin
DB   ?=
# Google Cloud Storage is reached over HTTP; its library leaves out what only its
# gRPC API needs, 20 MB of the binary and 8 MB of memory.
TAGS := disable_grpc_modules
ARGS ?=

# Tools, pinned. A change here is a change of what `make check` demands.
GOLANGCI_LINT_VERSION := v2.15.0
GOFUMPT_VERSION       := v0.12.0
WORKFLOWCHECK_VERSION := v0.6.0
GREMLINS_VERSION      := v0.6.0
GOLANGCI_LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOFUMPT       := $(BIN)/gofumpt-$(GOFUMPT_VERSION)
WORKFLOWCHECK := $(BIN)/workflowcheck-$(WORKFLOWCHECK_VERSION)
GREMLINS      := $(BIN)/gremlins-$(GREMLINS_VERSION)

DEV := $(BIN)/volley-dev

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-9s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build-dev ## run everything in one process, send examples/, show what became of each message
	@cd dev && $(DEV) demo --temporal-port 0 --ui-port 0 --gateway-port 0 --sandbox-port 0 --console-port 0 $(ARGS)

.PHONY: dev
dev: build-dev ## the same without sending, until Ctrl-C; DB=path keeps its state in a file
	@cd dev && exec $(DEV) up --state-dir "$(CURDIR)/.volley" $(if $(DB),--db "$(abspath $(DB))") $(ARGS)

# A Temporal server is some 1,800 packages, Volley itself some 900. The names that
# `go build -v` prints are counted, so that a first build does not look as if it hung.
COUNT_PACKAGES := awk ' \
	/^[a-zA-Z0-9._-]+\.?[a-zA-Z0-9._-]*(\/[^ :]*)?$$/ {n++; printf "\r  %d packages compiled", n; fflush(); next} \
	/^go: downloading / {d++; printf "\r  %d modules downloaded", d; fflush(); next} \
	{print} END {if (n + d) print ""}'

.PHONY: build-dev
build-dev:
	@mkdir -p $(BIN)
	@echo "Building Volley with a Temporal server inside: minutes the first time, seconds after that." >&2
	@$(GO) -C dev build -v -o $(DEV) . 2>&1 | $(COUNT_PACKAGES) >&2

.PHONY: build
build: ## build bin/volley
	@mkdir -p $(BIN)
	@CGO_ENABLED=0 $(GO) build -v -trimpath -buildvcs=auto -tags $(TAGS) -o $(BIN)/volley ./cmd/volley 2>&1 | $(COUNT_PACKAGES) >&2

.PHONY: test
test: ## every test of all modules, the end-to-end ones included
	$(GO) test ./...
	$(GO) -C deploy test ./...
	$(GO) -C dev test $$($(GO) -C dev list ./... | grep -v '/e2e$$')
	$(E2E) ./e2e

# What BASE does not have: packages with changed, new or deleted files, committed or not.
# Packages that import them are compiled by vet and tested by `make test`; tests of dev/
# start a Temporal server and are left to it, too.
BASE ?= main
CHANGED = { git diff --name-only "$$(git merge-base $(BASE) HEAD 2>/dev/null || echo HEAD)"; \
	git ls-files --others --exclude-standard; } | grep / | sed 's|/testdata/.*|/|; s|/[^/]*$$||' | sort -u \
	| while read -r dir; do \
		case "$$dir" in dev|dev/*) continue;; esac; \
		if ls "$$dir"/*.go >/dev/null 2>&1; then echo "./$$dir"; fi; \
	done

.PHONY: quick
quick: ## while you work, in seconds: build, vet, layering, the tests (-short) of what changed since BASE
	@$(GO) build ./...
	@$(GO) vet ./...
	@$(GO) -C dev vet ./...
	@$(GO) test -short . $$($(CHANGED))

# MODE is compare (the default), scale, pacing, fair, due, stragglers or gateway.
MODE ?= compare
.PHONY: bench
bench: build-bench ## the benchmarks, as a table and as JSON; MODE=scale and others, ARGS=--help
	@$(BIN)/bench $(MODE) --json "$(BIN)/bench.json" $(ARGS)
	@echo "as JSON: bin/bench.json"

# The workers are a program of their own, so that their memory is theirs.
.PHONY: build-bench
build-bench:
	@mkdir -p $(BIN)
	@$(GO) -C dev build -buildvcs=auto -o $(BIN)/bench ./bench
	@$(GO) -C dev build -buildvcs=auto -o $(BIN)/bench-worker ./bench/worker

# What CI runs. Each step says what is wrong by itself; the order is from fast to
# slow. The race detector is left out of dev/, where it would mostly check Temporal.
.PHONY: check
check: check-root check-format check-lint check-workflows check-tidy check-tests check-backends check-hostile check-chaos check-bench ## what CI runs: lint, workflowcheck, layering, tests, fuzz seeds, benches once
	@echo "check: all of it passed"

# Layering, names, sleeps and the pages of docs/: what is wrong there shows in seconds, and not
# after an hour.
.PHONY: check-root
check-root:
	@echo "== go test -short ."
	@$(GO) test -short .

.PHONY: check-format
check-format: $(GOFUMPT)
	@echo "== gofumpt"
	@unformatted=$$(git ls-files '*.go' | xargs $(GOFUMPT) -modpath volley -l); \
	if [ -n "$$unformatted" ]; then echo "not formatted (make format does it):"; echo "$$unformatted"; exit 1; fi

.PHONY: check-lint
check-lint: $(GOLANGCI_LINT)
	@echo "== golangci-lint"
	@$(GOLANGCI_LINT) run ./...
	@cd dev && $(GOLANGCI_LINT) run --config ../.golangci.yml ./...
	@cd deploy && $(GOLANGCI_LINT) run --config ../.golangci.yml ./...

.PHONY: check-workflows
check-workflows: $(WORKFLOWCHECK)
	@echo "== workflowcheck"
	@$(WORKFLOWCHECK) -test=false -config workflowcheck.config.yaml ./worker/... ./workflows/...

.PHONY: check-tidy
check-tidy:
	@echo "== go mod tidy"
	@$(GO) mod tidy -diff
	@$(GO) -C dev mod tidy -diff
	@$(GO) -C deploy mod tidy -diff

# The layering of imports, the replay of every stored history and the seeds of
# every fuzz test are plain tests. The end-to-end tests run with small batches
# first, then with every batch in segments and in groups. They run by themselves, so
# that they have the machine. Without a cache every task replays its
# history. What is read of the environment before a test begins is not in the key of
# go test's cache of results, so these runs have none.
E2E := $(GO) -C dev test -count 1 -timeout 20m
# Tests that choose their own dispatch, or that do not look at how batches are dispatched.
ONCE := '^TestLarge|^TestEightQuestions|^TestAccountsAreTold|^TestTheIndex|^TestWhoIsForgotten'
.PHONY: check-tests
check-tests:
	@echo "== go test -race ./..."
	@$(GO) test -race ./...
	@echo "== go test ./... in deploy: the rules for Prometheus"
	@$(GO) -C deploy test ./...
	@echo "== go test in dev, but for the end-to-end tests"
	@$(GO) -C dev test $$($(GO) -C dev list ./... | grep -v '/e2e$$')
	@echo "== the end-to-end tests"
	@$(E2E) ./e2e
	@echo "== the end-to-end tests, every batch in segments"
	@VOLLEY_MODE=segments $(E2E) -skip $(ONCE) ./e2e
	@echo "== the end-to-end tests, every batch in groups"
	@VOLLEY_MODE=group $(E2E) -skip $(ONCE) ./e2e
	@echo "== the same without a cache of workflows: every task replays its history"
	@VOLLEY_MODE=group VOLLEY_STICKY_CACHE=-1 $(E2E) -skip $(ONCE) ./e2e

# On what a cluster has: PostgreSQL behind Temporal, an object store in place of a
# directory, two workers and two gateways. Large batches choose their own store and
# workers, and the tests that start servers of their own have run above.
# It needs the machine for itself: what is measured is another tenant's wait.
.PHONY: check-hostile
check-hostile:
	@echo "== a hostile tenant with a valid key beside another one"
	@rm -f $(BIN)/hostile.txt
	@VOLLEY_HOSTILE=. VOLLEY_HOSTILE_SAY=$(BIN)/hostile.txt $(GO) -C dev test -count 1 -run '^TestAHostileTenant' ./e2e
	@cat $(BIN)/hostile.txt

.PHONY: check-backends
check-backends:
	@echo "== the end-to-end tests on PostgreSQL and S3, with two workers and two gateways"
	@VOLLEY_DB=postgres VOLLEY_STORE=s3 VOLLEY_FLEET=2 $(GO) -C dev test -count 1 -skip '^TestLarge|TestAServerThatIsKilled' ./e2e

# Tests that record what they replay, in each mode.
RECORDERS := Histories|TestACallerHears|TestReportsMoveMessages|TestLargeGroupThatIsLost
RELEASE ?=
.PHONY: histories
histories: ## record the histories of RELEASE=v0.3.0, which later code must replay
	@[[ "$(RELEASE)" =~ ^v[0-9]+\.[0-9]+\.[0-9]+$$ ]] || { echo "RELEASE=v0.3.0 or the like is expected"; exit 1; }
	@for mode in '' segments group; do \
		VOLLEY_MODE=$$mode $(GO) -C dev test -count 1 -run '$(RECORDERS)' ./e2e -release $(RELEASE); \
	done
	@$(GO) test -count 1 ./workflows

# `make check` runs the inputs that are kept: seeds and testdata/fuzz are plain tests. New
# ones are looked for every night, and by hand.
FUZZTIME ?= 60s
.PHONY: fuzz
fuzz: ## every fuzz test for a minute (FUZZTIME=); what fails stays in testdata/fuzz as a test of its own
	@for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for fuzz in $$(grep -h --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | cut -d' ' -f2); do \
			(cd $$pkg && $(GO) test -run '^$$' -fuzz "^$$fuzz\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x .); \
		done; \
	done

# Runs of `volley chaos` against a server that is killed and started again, in a process of
# its own. SEEDS, MESSAGES and FAULTS decide how long they take.
SEEDS    ?= 1-20
MESSAGES ?= 10000
FAULTS   ?= 0.2
.PHONY: chaos
chaos: build build-dev ## the proof that nothing is lost or doubled, over an hour; SEEDS=1-3 MESSAGES=1000 for less
	@$(DEV) chaos --volley $(BIN)/volley --seeds $(SEEDS) --messages $(MESSAGES) --faults $(FAULTS) --dispatch both --json $(BIN)/chaos.json
	@echo "as JSON: bin/chaos.json"

.PHONY: check-chaos
check-chaos: build build-dev
	@echo "== chaos, three seeds"
	@$(DEV) chaos --volley $(BIN)/volley --seeds 1-3 --messages 600 --dispatch both
	@echo "== chaos on S3, one seed"
	@$(DEV) chaos --volley $(BIN)/volley --seeds 4 --messages 600 --dispatch both --s3

# A program that breaks a promise has to be found out. It is built with a tag, and the
# ordinary one does not know of it.
.PHONY: sabotage
sabotage: build build-dev ## a program that breaks a promise on purpose, one after the other: chaos must find each
	@if grep -q VOLLEY_SABOTAGE $(BIN)/volley; then echo "bin/volley can be made to break its promises"; exit 1; fi
	@CGO_ENABLED=0 $(GO) build -tags $(TAGS),sabotage -o $(BIN)/volley-sabotaged ./cmd/volley
	@$(DEV) chaos --volley $(BIN)/volley-sabotaged --seeds 1-3 --messages 400 --sabotage all

.PHONY: check-bench
check-bench: build-bench
	@echo "== benchmarks, once each"
	@$(GO) test -run '^$$' -bench . -benchtime 1x ./... | grep -v 'no test files'
	@echo "== Volley beside a bare loop and a bare workflow"
	@$(BIN)/bench --server memory --delay 0 --shapes bare,message,group \
		--messages loop=10000,bare=1000,group=20000

# Changes internal/message in some 1,000 places, one at a time, and looks whether a test of
# that package fails. It fails below the thresholds of .gremlins.yaml. ARGS='-E REGEXP' leaves
# files out, ARGS='-D BRANCH' takes only what BRANCH does not have.
.PHONY: mutate
mutate: $(GREMLINS) ## mutation testing of internal/message, half an hour
	@GOFLAGS='-vet=off -count=1' $(GREMLINS) unleash $(ARGS) ./internal/message

.PHONY: format
format: $(GOFUMPT) ## format every Go file
	@git ls-files '*.go' | xargs $(GOFUMPT) -modpath volley -w

$(GOLANGCI_LINT):
	$(call tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION),golangci-lint)
$(GOFUMPT):
	$(call tool,mvdan.cc/gofumpt@$(GOFUMPT_VERSION),gofumpt)
$(GREMLINS):
	$(call tool,github.com/go-gremlins/gremlins/cmd/gremlins@$(GREMLINS_VERSION),gremlins)
$(WORKFLOWCHECK):
	$(call tool,go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION),workflowcheck)

# tool installs $(1), whose program is called $(2), under its versioned name.
define tool
	@echo "installing $(1) into bin/" >&2
	@mkdir -p $(BIN)/tmp
	@GOBIN=$(BIN)/tmp GOFLAGS= $(GO) install $(1)
	@mv $(BIN)/tmp/$(2) $@
	@rmdir $(BIN)/tmp 2>/dev/null || true
endef

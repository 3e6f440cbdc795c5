# stickyproxy: everything a newcomer, a developer and CI run. Go is the only thing that has to be there; what else is
# missing is installed (Debian, as root) or named.

GO   ?= go
LINT  = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
PKG  ?= ./...

# The packages that take longest, and wait for servers most of the time: they go first, beside the others.
FIRST = $(if $(filter ./...,$(PKG)),./integration ./integration/compare ./integration/servers)

.PHONY: demo test race soak conformance lint bench fuzz build

demo: ## a private primary, two late replicas, the proxy, and people who reload their pages
	$(GO) run ./cmd/stickyproxy demo

build: ## the server binary
	CGO_ENABLED=0 $(GO) build -trimpath -o stickyproxy ./cmd/stickyproxy

test: ## all tests, unit and integration
	$(GO) vet $(PKG)
	$(GO) test -vet=off -p 4 -timeout 20m $(FIRST) $(PKG)

race: ## all tests under the race detector
	$(GO) test -race -timeout 40m $(PKG)

soak: ## the simulation, random scripts and the session guarantees for long; seeds are printed
	$(GO) test -timeout 10h -v ./backend -run TestSimulation -args -sim.steps 100000000
	$(GO) test -timeout 10h ./integration/compare -run TestRandom -args -sequences 10000 -seed 1
	$(GO) test -timeout 10h ./integration/compare -run TestRandom -args -sequences 10000 -seed 1 -more
	$(GO) test -timeout 10h -v ./integration -run TestGuarantees -args -check-for 10m

conformance: ## SUITE's own tests, directly and through the proxy: see integration/conformance; ARGS goes before its name
	$(GO) run ./integration/conformance $(ARGS) $(SUITE)

lint: ## a few linters that find mistakes
	$(GO) run $(LINT) run $(PKG)

bench: ## what the proxy costs, directly, through it and through others, and the goals it reaches
	$(GO) test -run '^$$' -bench . -benchmem ./bench/...

fuzz: ## every fuzz target for FUZZTIME
	./.ci/fuzz $(or $(FUZZTIME),60s)

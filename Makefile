# `make` alone prints what can be made. `make check` is exactly what CI runs.
SHELL    := /bin/bash
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   = -s -w -X main.version=$(VERSION)
FUZZTIME ?= 30s
# The race detector needs a C compiler with its headers. It does not look into
# SQLite, which is C made into Go: that finds no race of ours and takes longer
# than all else.
RACE     := $(shell echo '\#include <stdlib.h>' | $$(go env CC) -E - >/dev/null 2>&1 && \
	echo -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false)

.DEFAULT_GOAL := help
.PHONY: help build run test lint check bench fuzz soak docker generate fmt hooks clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

build: ## build bin/bailiwick, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/bailiwick ./cmd/bailiwick

run: build ## build and start it with an embedded store and the sample tenants
	bin/bailiwick serve --dev

test: ## run all tests against real MariaDB and Redis (see scripts/services)
	@$(if $(RACE),,echo 'test: no C compiler found, race detection is OFF')
	CGO_ENABLED=$(if $(RACE),1,0) scripts/services run -- go test $(RACE) -shuffle=on -timeout=45m ./...

lint: ## formatting, linters, known vulnerabilities
	scripts/lint

check: lint test ## what CI runs

bench: ## our figures beside the reference of the same run, and the page of them
	TMPDIR=$${TMPDIR:-/tmp} scripts/services run -- go run ./scripts/bench -only shapes,http,start,subjects,replicas -json docs/benchmarks/bench.json
	TMPDIR=$${TMPDIR:-/tmp} scripts/services run -- go run ./scripts/bench -only plans,past -json docs/benchmarks/changes.json
	go run ./scripts/bench page

fuzz: ## run every fuzz target for FUZZTIME (30s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz

soak: ## long tests: those named TestSoak..., which ask for BAILIWICK_SOAK=1
	BAILIWICK_SOAK=1 TMPDIR=$${TMPDIR:-/tmp} scripts/services run -- go test $(RACE) -run '^TestSoak' -v -timeout=3h ./...

docker: ## build the container image bailiwick:VERSION
	docker build --build-arg VERSION=$(VERSION) --tag bailiwick:$(VERSION) .

generate: ## write again what is generated from Go types
	go generate ./...

fmt: ## format all Go code as `make lint` wants it
	scripts/lint fmt

hooks: ## let git run scripts/pre-commit before each commit
	git config core.hooksPath scripts

clean: ## remove what building left behind
	rm -rf bin dist .cache

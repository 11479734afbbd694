# SPDX-License-Identifier: Apache-2.0
#
# make check is what CI runs apart from the tests, make check-all everything
# that there is to run, in hours. Needed beside Go: for check
# qemu-user-static, Debian's dataset-fashion-mnist, and a python3 that has
# numpy, onnx and onnxruntime; for race a C compiler; for test-devices
# openssh-server, dropbear-bin, adb.

SHELL       = .ci/timed
.SHELLFLAGS = $@
.ONESHELL:

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

PROGRAMS  = edgenas edgenas-agent
PLATFORMS = linux/amd64 linux/arm64 linux/arm android/arm64 darwin/arm64 windows/amd64
AGENT_MAX = 8000000 # bytes of the agent for linux/arm64 and linux/arm

FUZZTIME = 3s
QEMU     = qemu-aarch64-static
CPUS     = cortex-a53 max
# what has assembly or asks the processor what it can do, what computes with it, and the agent
ASSEMBLY = ./internal/kernels ./internal/autodiff ./internal/infer ./internal/bench ./internal/hostinfo ./cmd/edgenas-agent

.PHONY: all build dist test race twins record bounds noasm test-arm64 test-arm64-all test-devices test-faults fuzz fuzz-long bench peers evidence evidence-search lint layers library notice generate onnx check check-all clean

all: build

build: ## programs for this machine, into bin/
	CGO_ENABLED=0 go build -o bin/ $(PROGRAMS:%=./cmd/%)

EMBEDDED = internal/agent/embedded

dist: ## programs for all platforms and manual pages, into dist/; edgenas has the agents for boards and phones in it
	@rm -rf dist $(EMBEDDED) && mkdir dist $(EMBEDDED)
	for program in edgenas-agent edgenas; do \
		for platform in $(PLATFORMS); do \
			os=$${platform%/*}; arch=$${platform#*/}; out=dist/$$program-$$os-$$arch; \
			[ $$os != windows ] || out=$$out.exe; \
			CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch GOARM=7 go build -tags release -trimpath -ldflags '-s -w' -o $$out ./cmd/$$program; \
			echo "$$out $$(wc -c < $$out) bytes"; \
		done; \
		[ $$program = edgenas-agent ] || continue; \
		for arch in arm64 arm; do \
			agent=edgenas-agent-linux-$$arch; size=$$(wc -c < dist/$$agent); \
			[ $$size -le $(AGENT_MAX) ] || { echo "dist/$$agent: $$size bytes, want at most $(AGENT_MAX)" >&2; exit 1; }; \
			gzip -9nc dist/$$agent > $(EMBEDDED)/$$agent.gz; \
		done; \
	done
	go run ./cmd/edgenas man dist/man
	go test -count 1 -tags release -run Embedded ./internal/agent

test: ## all tests, on this machine
	go test ./...

race: ## the same with the race detector
	go test -race -short ./...

twins: ## vector loops have the bits of their scalar twin; says which have not run since they changed
	go test -count 1 -run Micro ./internal/kernels
	go test -count 1 -v -run '^Test(Recorded|Sources)$$' ./internal/kernels

record: ## record that the implementations of this machine, and the emulated one, have the bits of their twin
	go test -count 1 -run Micro ./internal/kernels -update
	QEMU_CPU=$(firstword $(CPUS)) CGO_ENABLED=0 GOARCH=arm64 go test -short -count 1 -exec $(CURDIR)/.ci/emulate -run Micro ./internal/kernels -update

bounds: ## with the checks of bounds that are too slow to be in every build
	go test -short -count 1 -tags kernelbounds ./internal/kernels ./internal/autodiff ./internal/infer

noasm: ## without assembly
	go vet -tags noasm ./...
	go test -short -tags noasm ./internal/kernels ./internal/autodiff ./internal/infer

# emulated runs packages (the second argument) as arm64 programs on a processor (the first); -short leaves out only repetitions
emulated = QEMU_CPU=$(1) CGO_ENABLED=0 GOARCH=arm64 go test -short -count 1 -timeout 45m -exec $(CURDIR)/.ci/emulate $(2)

test-arm64: ## what has assembly or asks the processor, and the agent, as arm64 programs, emulated
	@command -v $(QEMU) >/dev/null || { echo "$(QEMU) is missing: install qemu-user-static" >&2; exit 1; }
	$(call emulated,$(firstword $(CPUS)),$(ASSEMBLY))

test-arm64-all: ## all tests as arm64 programs, on each emulated processor
	@command -v $(QEMU) >/dev/null || { echo "$(QEMU) is missing: install qemu-user-static" >&2; exit 1; }
	for cpu in $(CPUS); do echo "cpu $$cpu"; $(call emulated,$$cpu,./...); done

test-devices: ## with the servers that boards and phones have: openssh-server, dropbear-bin, adb, qemu-user-static must be there
	EDGENAS_CI=1 go test -count 1 ./devices/... ./internal/agent ./cmd/edgenas-agent
	EDGENAS_CI=1 go test -count 1 -timeout 20m -run Device ./cmd/edgenas

test-faults: ## the same, and every fault on every device
	EDGENAS_CI=all go test -count 1 ./devices/... ./internal/agent ./cmd/edgenas-agent
	EDGENAS_CI=all go test -count 1 -timeout 45m -run Device ./cmd/edgenas

fuzz: ## each fuzz target for FUZZTIME
	@targets=$$(grep -rn --include '*_test.go' -oE '^func Fuzz[A-Za-z0-9_]+' . | sed -E 's|^(.*)/[^/]*:func (.*)|\1:\2|'); \
	[ -n "$$targets" ] || { echo "no fuzz target was found" >&2; exit 1; }; \
	for t in $$targets; do go test -run '^$$' -fuzz "^$${t##*:}\$$" -fuzztime $(FUZZTIME) $${t%:*}; done

fuzz-long: ## each fuzz target for a minute
	$(MAKE) fuzz FUZZTIME=1m

bench: COUNT     = 6
bench: BENCH     = .
bench: TIME      = 20ms
bench: PACKAGES  = $$(grep -rl --include '*_test.go' '^func Benchmark' . | xargs -n 1 dirname | sort -u)
bench: BENCHSTAT = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
bench: ## BENCH in PACKAGES (all), TIME for each, COUNT times in turn with the last commit (the one before it if nothing has changed)
	@tmp=$$(mktemp -d); trap 'rm -rf $$tmp; git worktree prune' EXIT; \
	base=HEAD; [ -n "$$(git status --porcelain)" ] || base=HEAD~; git worktree add --quiet --detach $$tmp/old $$base; \
	echo "old.txt is $$(git log -1 --format='%h %s' $$base), new.txt $$([ $$base = HEAD ] && echo this tree with its changes || git log -1 --format='%h %s')"; \
	for i in $$(seq $(COUNT)); do for tree in $$tmp/old .; do \
		out=$$tmp/new.txt; [ $$tree = . ] || out=$$tmp/old.txt; \
		echo "round $$i: $$([ $$tree = . ] && echo this tree || echo $$base)" >&2; \
		(cd $$tree && go test -run '^$$' -bench '$(BENCH)' -benchtime $(TIME) -benchmem $(PACKAGES)) >>$$out; \
	done; done; \
	(cd $$tmp && go run $(BENCHSTAT) old.txt new.txt)

peers: ## edgenas beside PyTorch on this machine, into docs/PERFORMANCE.md; goes on where it was interrupted
	go run ./peers $(PEERS)

evidence: BUDGETS    = tuning
evidence: EVALUATORS = rung0,rung1
evidence: NETWORKS   = 200
evidence: RUNGS      = rung0:24,rung1:8
evidence: SCORES     = docs/evidence/$(BUDGETS).jsonl
evidence: ## what evaluators and searches are worth (docs/SEARCH.md), by TABLE (NAS-Bench-201) and IMAGES (cifar10:DIR), in hours; goes on where it was interrupted
	@[ -n "$(TABLE)" ] && [ -n "$(IMAGES)" ] || { echo "want TABLE=FILE IMAGES=cifar10:DIR: see docs/SEARCH.md" >&2; exit 1; }
	mkdir -p $(dir $(SCORES)) && go build -o bin/ ./cmd/edgenas
	bin/edgenas bench evaluators --threads 1 --table $(TABLE) --budgets $(BUDGETS) --scores $(SCORES) --data $(IMAGES) --evaluators $(EVALUATORS) --n $(NETWORKS)
	bin/edgenas bench oracle --table $(TABLE) --budgets $(BUDGETS) --scores $(SCORES) --rungs $(RUNGS)

evidence-search: BUDGETS = 500us,1ms,2ms,4ms
evidence-search: SEEDS   = 3
evidence-search: RUNS    = docs/evidence/search.jsonl
evidence-search: ## whole searches on this machine beside simple things (docs/SEARCH.md), in hours; goes on where it was interrupted
	mkdir -p $(dir $(RUNS)) && go build -o bin/ ./cmd/edgenas
	bin/edgenas bench search --budgets $(BUDGETS) --seeds $(SEEDS) --runs $(RUNS)

lint: COLUMNS = 121
lint: ## gofmt, length of lines, vet, staticcheck
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not gofmt'ed:" $$bad >&2; exit 1; }
	! LC_ALL=C.UTF-8 git grep -nE '^.{$(COLUMNS),}' -- '*.go' || { echo "these lines have more than 120 characters" >&2; exit 1; }
	go vet ./...
	GOARCH=arm64 go vet ./...
	go run $(STATICCHECK) ./...

layers: ## the import policy, package comments, licence lines
	go test -count 1 .

library: ## the example of another module: here, and as a copy outside the repository
	@tmp=$$(mktemp -d); trap 'rm -rf $$tmp' EXIT; \
	cp -r examples/library $$tmp/copy; \
	(cd examples/library && go vet . && go run . testdata/profile.json $$tmp/here.onnx); \
	(cd $$tmp/copy && go mod edit -replace github.com/edgenas/edgenas=$(CURDIR) && go run . testdata/profile.json $$tmp/copy.onnx); \
	cmp $$tmp/here.onnx $$tmp/copy.onnx

notice: ## NOTICE names every module that a program links
	@modules=$$(for os in linux windows darwin; do GOOS=$$os go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}' $(PROGRAMS:%=./cmd/%); done | sort -u); \
	[ -n "$$modules" ]; for m in $$modules; do \
		grep -qE "^ +$$m( |\$$)" NOTICE || { echo "NOTICE does not name $$m" >&2; exit 1; }; \
	done

generate: ## everything that is generated, anew: fails if a file changes
	@sum() { git ls-files -co --exclude-standard -z | xargs -0 cksum; }; \
	before=$$(sum); go generate ./...; go run ./internal/dataset/embedded/make.go; after=$$(sum); \
	[ "$$before" = "$$after" ] || { echo "generated files have changed: see git diff" >&2; exit 1; }

onnx: ## an exported model, by the checker and the runtime that others use
	python3 export/testdata/onnx_check.py export/testdata/cell.onnx export/testdata/cell.inputs export/testdata/cell.logits

check: lint layers library notice generate twins bounds noasm onnx fuzz dist test-arm64 ## what CI runs beside the tests

check-all: test check race test-faults test-arm64-all fuzz-long ## everything: before a release, and where a kernel, a device or a format changed

clean:
	rm -rf bin dist $(EMBEDDED)

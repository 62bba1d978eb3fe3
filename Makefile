# The commands of the house. `make demo` and `make test` do everything on a fresh Debian machine; the rest is for daily work.
# CMake and Ninja build; this file only calls them.

BUILD   ?= build
SHARED  ?= $(CURDIR)/../shared
PREFIX  ?= /usr/local
FUZZ_SECONDS ?= 600
CMAKE_ARGS = -G Ninja -DHONE_SHARED_DIR=$(SHARED)

.PHONY: all demo test sweep asan tsan bench fuzz install setup clean

all: setup
	@cmake -S . -B $(BUILD) $(CMAKE_ARGS) >/dev/null
	@cmake --build $(BUILD) -- --quiet

# Installs the Debian packages that are missing: as root, or through sudo without a question; else says which command to run.
setup:
	@tools/setup.sh packages.txt

demo: setup
	@echo "building hone (about a minute)"
	@cmake -S . -B $(BUILD) $(CMAKE_ARGS) >/dev/null
	@cmake --build $(BUILD) --target hone -- --quiet
	@tools/demo.sh $(BUILD)/hone

test: all
	@ctest --test-dir $(BUILD) --output-on-failure -j 2

# The long comparisons with the official libraries; a quarter of an hour. Needs the package index for its judges; without it that part says SKIPPED.
sweep: all
	@tools/setup.sh packages-sweep.txt
	@tools/sweep.sh $(BUILD) $(SHARED)

asan: setup
	@cmake -S . -B $(BUILD)-asan $(CMAKE_ARGS) -DHONE_ASAN=ON >/dev/null
	@cmake --build $(BUILD)-asan -- --quiet
	@ctest --test-dir $(BUILD)-asan --output-on-failure -j 2

tsan: setup
	@cmake -S . -B $(BUILD)-tsan $(CMAKE_ARGS) -DHONE_TSAN=ON >/dev/null
	@cmake --build $(BUILD)-tsan -- --quiet
	@ctest --test-dir $(BUILD)-tsan --output-on-failure -j 2

bench: setup
	@tools/setup.sh packages-bench.txt
	@cmake -S . -B $(BUILD)-bench $(CMAKE_ARGS) -DHONE_BENCH=ON >/dev/null
	@cmake --build $(BUILD)-bench -- --quiet
	@bench/run.sh $(BUILD)-bench $(SHARED)

# Every fuzz target for FUZZ_SECONDS; needs the packages of packages-fuzz.txt (clang).
fuzz:
	@tools/setup.sh packages-fuzz.txt
	@CC=clang-14 cmake -S . -B $(BUILD)-fuzz $(CMAKE_ARGS) -DHONE_FUZZ=ON -DHONE_FUZZ_SECONDS=$(FUZZ_SECONDS) >/dev/null
	@cmake --build $(BUILD)-fuzz -- --quiet
	@ctest --test-dir $(BUILD)-fuzz --output-on-failure

install: all
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-bench $(BUILD)-fuzz demo-run

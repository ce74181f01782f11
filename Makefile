# luagpt. `make chat`, `make demo` and `make test` start from nothing; `make help` lists the rest.

# Yours to set: make CC=clang, make BUILD=elsewhere, make install PREFIX=/usr DESTDIR=/tmp/package, make JOBS=1
# (-g1 is enough for a backtrace; -g takes the compiler a fifth longer.)
CC = gcc
LUA = lua5.4
CFLAGS = -O3 -g1
BUILD = build
PREFIX = /usr/local
LUADIR = $(PREFIX)/share/lua/5.4
LIBDIR = $(PREFIX)/lib/lua/5.4
JOBS = $(shell nproc 2>/dev/null || echo 1)

ifneq ($(words $(BUILD)),1)
$(error BUILD is '$(BUILD)': make builds into a folder without blanks in its name only; PREFIX and DESTDIR may have them)
endif

# Several goals run one after the other, each in parallel; a make under this one shares its jobs.
ifeq ($(PARALLEL)$(filter-out 0 1,$(words $(MAKECMDGOALS))),)
export PARALLEL = 1
MAKEFLAGS += -j$(JOBS)
endif

# Where the libraries are. Variables given by name (LUA_INCDIR, OPENBLAS_INCDIR) win.
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
pkg_include = $(patsubst -I%,%,$(filter -I%,$(shell pkg-config --cflags-only-I $(1) 2>/dev/null)))
pkg_libs = $(or $(shell pkg-config --libs $(1) 2>/dev/null),$(2))
folder_with = $(firstword $(patsubst %/$(1),%,$(wildcard $(2:=/$(1)))))
SYSTEM = /usr/local/include /usr/include/$(MULTIARCH) /usr/include
LUA_INCDIR = $(call folder_with,lua.h,$(call pkg_include,lua5.4) $(SYSTEM:=/lua5.4) $(SYSTEM))
OPENBLAS_INCDIR = $(call folder_with,cblas.h,$(call pkg_include,openblas) $(SYSTEM:=/openblas-pthread) \
  $(SYSTEM) $(SYSTEM:=/openblas))

# OpenBLAS's pthread variant, linked in with hidden symbols: a copy of our own, so that the host's settings stay
# the host's. csrc/core/linalg/blas_threads.c keeps it from starting threads. Without it, the shared library.
OPENBLAS_STATIC = $(firstword $(wildcard /usr/lib/$(MULTIARCH)/openblas-pthread/libopenblas.a \
  /usr/lib64/libopenblasp.a /usr/lib/libopenblasp.a))
ifneq ($(OPENBLAS_STATIC),)
BLAS_THREADS = csrc/core/linalg/blas_threads.c
BLAS_LIBS = $(OPENBLAS_STATIC) -Wl,--exclude-libs,ALL -Wl,--wrap=openblas_num_threads_env
else
BLAS_LIBS = $(call pkg_libs,openblas,-lopenblas)
endif

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
INCLUDES = -Icsrc $(patsubst %,-isystem %,$(sort $(LUA_INCDIR) $(OPENBLAS_INCDIR) $(call pkg_include,libcjson libutf8proc libpcre2-8)))
FLAGS := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread -ffp-contract=fast -fno-math-errno $(WARNINGS) $(INCLUDES)
LIBS_openblas = $(BLAS_LIBS)
LIBS_cjson = $(call pkg_libs,libcjson,-lcjson)
LIBS_utf8proc = $(call pkg_libs,libutf8proc,-lutf8proc)
LIBS_pcre2 = $(call pkg_libs,libpcre2-8,-lpcre2-8)
LIBS_lua = $(call pkg_libs,lua5.4,-llua5.4) # for hosts; the module takes Lua from whoever loads it
LIBS := $(LIBS_openblas) $(LIBS_cjson) $(LIBS_utf8proc) $(LIBS_pcre2) -lpthread -lm

# The kernels are written once and compiled for each instruction set, but for these few; dispatch.c chooses among them.
ONCE = csrc/core/kernels/dispatch.c csrc/core/kernels/amx.c $(wildcard csrc/core/kernels/dtype*.c)
TILED = csrc/core/kernels/tiles_panel.c
KERNELS = $(filter-out $(ONCE) $(TILED),$(wildcard csrc/core/kernels/*.c))
KERNEL_SETS = generic $(if $(filter x86_64-%,$(MACHINE)),avx2 avxvnni avx512 avx512vnni avx512bf16) \
  $(if $(filter aarch64-%,$(MACHINE)),dotprod i8mm)
KERNEL_FLAGS_avx2 = -mavx2 -mfma -mf16c
KERNEL_FLAGS_avxvnni = $(KERNEL_FLAGS_avx2) -mavxvnni
KERNEL_FLAGS_avx512 = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c
KERNEL_FLAGS_avx512vnni = $(KERNEL_FLAGS_avx512) -mavx512vnni -mavx512vbmi
KERNEL_FLAGS_dotprod = -march=armv8.2-a+dotprod
KERNEL_FLAGS_i8mm = -march=armv8.2-a+dotprod+i8mm+bf16
KERNEL_FLAGS_avx512bf16 = $(KERNEL_FLAGS_avx512vnni) -mavx512bf16

# These files come out the same in sets that only add instructions for bytes and pairs, and are compiled once for them,
# in the set before. What other files use of them they call gpt_shared(NAME).
SHARED = $(patsubst %,csrc/core/kernels/%.c,skinny skinny_columns rows elementwise gate backward)
SET_BEFORE_avxvnni = avx2
SET_BEFORE_avx512vnni = avx512
SET_BEFORE_avx512bf16 = avx512
kernels_of = $(if $(SET_BEFORE_$(1)),$(filter-out $(SHARED),$(KERNELS)),$(KERNELS))
kernel_flags = $(KERNEL_FLAGS_$(1)) -DGPT_KERNELS=$(1) -DGPT_SHARED_KERNELS=$(or $(SET_BEFORE_$(1)),$(1))

# What is written over tiles goes with the set avx512bf16: by AMX's instructions, and by plain C to check it.
TILE_SETS = $(if $(filter x86_64-%,$(MACHINE)),amx tiles)
KERNEL_FLAGS_amx = $(KERNEL_FLAGS_avx512bf16) -mamx-tile -mamx-bf16
KERNEL_FLAGS_tiles = $(KERNEL_FLAGS_avx512bf16)

SOURCES = $(filter-out $(KERNELS) $(TILED) csrc/static/% csrc/mpi/%,$(shell find csrc -name '*.c' | LC_ALL=C sort))
KERNEL_OBJECTS = $(foreach set,$(KERNEL_SETS),$(patsubst csrc/%.c,$(BUILD)/obj/$(set)/%.o,$(call kernels_of,$(set)))) \
  $(foreach set,$(TILE_SETS),$(TILED:csrc/%.c=$(BUILD)/obj/$(set)/%.o))
OBJECTS = $(SOURCES:csrc/%.c=$(BUILD)/obj/%.o) $(KERNEL_OBJECTS)
CORE = $(BUILD)/gpt/core.so
STATIC = $(BUILD)/libluagpt.a

# What is made from the comments of the sources: the texts of gpt.help, and definitions for the Lua language server.
HELP = lua/gpt/help_texts.lua
COMPLETION = lua/gpt/library/gpt.lua
MADE = $(HELP) $(COMPLETION)
COMMENTED = $(shell find csrc/binding lua -name '*.[cl]*' ! -name '*.h' ! -name '*.new' | LC_ALL=C sort)
TOOLS = $(wildcard docs/tools/*.lua)
make_docs = $(LUA) docs/tools/make.lua $(1) $@ $(filter-out $(MADE),$(COMMENTED))

# make V=1 shows the commands.
Q = $(if $(V),,@)
say = @$(if $(V),:,echo '  $(CC) $@')

all: $(CORE) $(MADE)

$(CORE): $(OBJECTS) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) -shared -pthread $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS)

objects: $(OBJECTS) $(if $(shell command -v $(MPICC)),$(MPI_OBJECTS))

# What processes that mpirun starts talk through: a shared object of its own, the only one that knows MPI. `make mpi`
# installs what it needs.
MPICC = mpicc
MPI = $(BUILD)/gpt/mpi.so
MPI_OBJECTS = $(patsubst csrc/%.c,$(BUILD)/obj/%.o,$(wildcard csrc/mpi/*.c))
export OMPI_CC = $(CC)
export MPICH_CC = $(CC)
mpi: setup-mpi
	@$(MAKE) --no-print-directory run-mpi
run-mpi: $(CORE) $(MADE) $(MPI)
$(MPI): $(MPI_OBJECTS) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say)
	$(Q)$(MPICC) -shared -pthread $(CFLAGS) $(LDFLAGS) -o $@ $(MPI_OBJECTS)
$(BUILD)/obj/mpi/%.o: csrc/mpi/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say)
	$(Q)$(MPICC) $(FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Conversions of dtypes give the reference's bits on every machine: no fused multiply-add.
$(BUILD)/obj/core/kernels/dtype%.o: EXACT = -ffp-contract=off

$(BUILD)/obj/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(FLAGS) $(CFLAGS) $(EXACT) -MMD -MP -c -o $@ $<

define kernel_rule
$$(BUILD)/obj/$(1)/%.o: csrc/%.c $$(BUILD)/flags
	@mkdir -p $$(@D)
	$$(say)
	$$(Q)$$(CC) $$(FLAGS) $$(CFLAGS) $$(UNCHECKED) $$(call kernel_flags,$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach set,$(KERNEL_SETS) $(TILE_SETS),$(eval $(call kernel_rule,$(set))))

$(HELP): $(filter-out $(MADE),$(COMMENTED)) $(TOOLS)
	@$(call make_docs,help)
$(COMPLETION): $(filter-out $(MADE),$(COMMENTED)) $(TOOLS)
	@mkdir -p $(@D)
	@$(call make_docs,completion)

# Changes only when what is compiled, or how, does: another compiler or other flags build everything anew.
SETTINGS := $(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) $(LIBS) $(OBJECTS)
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@echo '$(SETTINGS)' | cmp -s - $@ || echo '$(SETTINGS)' > $@

# Set-up: what is missing is installed where apt is, and named where it is not.
setup:
	@CC='$(CC)' LUA='$(LUA)' .ci/setup build
setup-mpi:
	@CC='$(CC)' LUA='$(LUA)' .ci/setup build mpi
setup-test:
	@CC='$(CC)' LUA='$(LUA)' .ci/setup build test
setup-schemas:
	@CC='$(CC)' LUA='$(LUA)' .ci/setup build test schemas
setup-arm:
	@CC='$(CC)' LUA='$(LUA)' .ci/setup build test arm
setup-fuzz:
	@CC=clang LUA='$(LUA)' .ci/setup build fuzz
setup-ci:
	@CC='$(CC)' LUA='$(LUA)' .ci/setup build test schemas mpi lint docs rocks chroots
setup-docs:
	@LUA='$(LUA)' .ci/setup docs

# Builds the program on standard input as the module is built, with one of the libraries: how set-up asks for it.
LIBRARY = none
probe:
	@mkdir -p $(BUILD)
	@$(CC) $(FLAGS) $(CFLAGS) -x c - -x none $(BLAS_THREADS) -o $(BUILD)/probe $(LIBS_$(LIBRARY)) -lpthread -lm

# The libraries are found after set-up, hence a second make.
demo: setup
	@$(MAKE) --no-print-directory run-demo
test: setup-test
	@$(MAKE) --no-print-directory run-test

# A conversation with a small model, which is fetched once, or with a model of your own: make chat MODEL=file.gguf
MODEL =
ARGS =
CHAT_MODEL = $(BUILD)/models/SmolLM2-135M-Instruct.Q4_1.gguf
chat:
	@CC='$(CC)' LUA='$(LUA)' .ci/setup build $(if $(MODEL)$(wildcard $(CHAT_MODEL)),,chat)
	@$(MAKE) --no-print-directory run-chat

RUN = LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;' LUA_CPATH='$(abspath $(BUILD))/?.so;;'

run-demo: export TEXT := $(TEXT)
run-demo: $(CORE) $(MADE)
	@mkdir -p '$(BUILD)/demo'
	@$(RUN) DEMO_DIR="$${DEMO_DIR-$(BUILD)/demo}" $(LUA) examples/demo.lua $(if $(TEXT),"$$TEXT")

run-chat: export MODEL := $(MODEL)
run-chat: $(CORE) $(MADE) $(if $(MODEL),,$(CHAT_MODEL))
	@$(RUN) $(LUA) examples/chat.lua "$${MODEL:-$(CHAT_MODEL)}" $(ARGS)
$(CHAT_MODEL):
	@.ci/chat-model '$@'

# What specs need besides: a host of several Lua states, what lets requests of the system fail, and what misuses states.
HOSTS = $(BUILD)/states $(BUILD)/faults.so $(BUILD)/misuse.so

# busted, by the interpreter itself: under a sanitizer no other program should run. Each file is a process.
BUSTED = JOBS=$(JOBS) $(LUA) spec/support/run.lua --ignore-lua --cpath='$(abspath $(BUILD))/?.so'
run-test: $(CORE) $(MADE) $(HOSTS) $(STATIC)
	@$(BUSTED)

# A host of several Lua states, which spec/module_spec.lua needs.
$(BUILD)/states: spec/support/states.c $(BUILD)/flags
	$(say)
	$(Q)$(CC) $(FLAGS) $(CFLAGS) -o $@ $< $(LIBS_lua) -lpthread

# What lets a program's requests of the system fail: a module, and for malloc a library that is preloaded.
$(BUILD)/faults.so $(BUILD)/misuse.so: $(BUILD)/%.so: spec/support/%.c $(BUILD)/flags
	$(say)
	$(Q)$(CC) $(FLAGS) $(CFLAGS) -shared -o $@ $<

# Every fault, whole (docs/promises.md); a sample of them is in the specs. One kind, one scenario, or one case alone, as a
# failure prints it:
# make faults ARGS=memory
# make faults ARGS="memory 'a server'"
# make faults ARGS="memory 'a server' core 12"
faults: $(CORE) $(MADE) $(HOSTS)
	@$(RUN) LUAGPT_FAULTS='$(abspath $(BUILD))/faults.so' $(LUA) spec/faults/run.lua $(ARGS)

# Whole models beside bounds and other systems (bench/run.lua, docs/performance.md); or products alone:
# make bench PYTHON=venv/bin/python
# make bench PYTHON=venv/bin/python ARGS='dtypes --dtypes q8_0,q4_0 --rounds 3'
# make bench-products ARGS='--dtypes q8_0 --rows 1,8'
PYTHON = python3
ARGS =
BENCH = $(BUILD)/bench
BENCH_PROGRAMS = $(BENCH)/products $(BENCH)/bound $(BENCH)/training_bound
BENCH_LIBS = $(filter-out -Wl%,$(BLAS_LIBS)) -lpthread -lm
MATRIX = $(filter-out %/blas_threads.c,$(wildcard csrc/core/base/*.c csrc/core/linalg/*.c)) $(ONCE)
vpath %.c bench bench/systems
$(BENCH_PROGRAMS): $(BENCH)/%: %.c $(wildcard bench/*.h) $(MATRIX:csrc/%.c=$(BUILD)/obj/%.o) $(KERNEL_OBJECTS) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(FLAGS) -Ibench $(CFLAGS) -o $@ $(filter %.c %.o,$^) $(BENCH_LIBS)
bench: $(CORE) $(BENCH_PROGRAMS)
	@LUA_PATH='bench/?.lua;lua/?.lua;lua/?/init.lua;;' LUA_CPATH='$(abspath $(BUILD))/?.so;;' \
	  $(LUA) bench/run.lua --programs '$(BENCH)' --work '$(BENCH)' --python '$(PYTHON)' $(ARGS)
bench-products: $(BENCH)/products
	@$(BENCH)/products $(ARGS)

# The whole suite under the address, leak and undefined-behaviour sanitizers. From the hundredth access of a function on,
# a check is a call: written out in the kernels, whose loops are unrolled, they take the compiler twice as long.
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
  --param asan-instrumentation-with-call-threshold=100
asan: setup-test
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CC=gcc CFLAGS='-O1 -g $(SANITIZE)' run-asan
run-asan: $(CORE) $(MADE) $(HOSTS)
	@LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=1:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(BUSTED)

# Fuzzing by libFuzzer, which is clang's: every reader of files and texts for SECONDS each, or those that FUZZ names. What
# is found stays in build/fuzz/found (spec/fuzz/run.lua). Kernels read no files, and are compiled without checks. The
# sanitizer's functions have to be seen by Lua's library: no library's symbols are hidden.
# make fuzz FUZZ='gguf tokenizer_json' SECONDS=600
FUZZ =
SECONDS = 60
FUZZ_PROGRAM = $(BUILD)/fuzz
FUZZ_SOURCES = $(wildcard spec/fuzz/*.c)
FUZZ_FLAGS = -O1 -g1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer
fuzz: setup-fuzz
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang CFLAGS='$(FUZZ_FLAGS)' UNCHECKED=-fno-sanitize=all run-fuzz
run-fuzz: $(FUZZ_PROGRAM)
	@$(LUA) spec/fuzz/run.lua '$(FUZZ_PROGRAM)' --seconds $(SECONDS) $(FUZZ)
$(FUZZ_PROGRAM): $(FUZZ_SOURCES) spec/fuzz/fuzz.h $(OBJECTS) $(HELP) $(BUILD)/flags
	$(say)
	$(Q)$(CC) $(FLAGS) -Ispec/fuzz $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $(FUZZ_SOURCES) $(OBJECTS) $(filter-out %ALL,$(LIBS)) $(LIBS_lua)

# For aarch64: built by Debian's cross compiler, run by qemu's user emulation, as a plain ARMv8.0 processor, as one with
# dot products, and as one with all extensions. No figure of speed comes from here. A spec that starts another lua5.4 stays out.
ARM = $(abspath $(BUILD))/arm
ARM_ROOT = $(ARM)/root
ARM_LIB = $(ARM_ROOT)/usr/lib/aarch64-linux-gnu
ARM_CPUS = cortex-a53 neoverse-n1 max
ARM_SPECS = products ops functions arithmetic reduce shape gradients layers tokenizer sample random model cross_entropy dtype dtype_ops dtype_weights \
  weight_kernels attention
ARM_LUA = qemu-aarch64-static -E LD_LIBRARY_PATH='$(ARM_LIB):$(ARM_ROOT)/lib/aarch64-linux-gnu'
test-arm: setup-arm
	@.ci/arm-root '$(ARM_ROOT)'
	@PKG_CONFIG_LIBDIR= $(MAKE) --no-print-directory run-test-arm BUILD='$(ARM)/build' ARM='$(ARM)' CC=aarch64-linux-gnu-gcc \
	  LUA_INCDIR='$(ARM_ROOT)/usr/include/lua5.4' OPENBLAS_INCDIR='$(ARM_ROOT)/usr/include/aarch64-linux-gnu/openblas-pthread' \
	  OPENBLAS_STATIC='$(ARM_LIB)/openblas-pthread/libopenblas.a' \
	  CFLAGS='-O2 -isystem $(ARM_ROOT)/usr/include -isystem $(ARM_ROOT)/usr/include/aarch64-linux-gnu' \
	  LDFLAGS='-L$(ARM_LIB) -Wl,-rpath-link,$(ARM_LIB)'
run-test-arm: $(CORE) $(MADE)
	@export LUAGPT_EMULATED=1 QEMU_LD_PREFIX='$(ARM_ROOT)' LUA_CPATH='$(ARM_LIB)/lua/5.4/?.so;;'; for cpu in $(ARM_CPUS); do \
	  echo "aarch64, $$cpu:"; export LUAGPT_LUA="$(ARM_LUA) -cpu $$cpu '$(ARM_ROOT)/usr/bin/lua5.4'"; \
	  eval "$$LUAGPT_LUA" spec/support/run.lua --ignore-lua --cpath='$(abspath $(BUILD))/?.so' $(ARM_SPECS:%=spec/%_spec.lua) \
	  || exit 1; done

# Two Lua states at once under the thread sanitizer, which sees what they share. OpenBLAS and Lua are not compiled with
# it: what happens inside them is not looked at, and no report has to be suppressed.
tsan: setup-test
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CC=gcc CFLAGS='-O1 -g -fsanitize=thread' run-tsan
TOGETHER = spec/support/together.lua
run-tsan: $(CORE) $(MADE) $(BUILD)/states
	@rm -rf '$(BUILD)/together' && mkdir '$(BUILD)/together'
	@$(RUN) LUAGPT_TOGETHER='$(BUILD)/together' TSAN_OPTIONS=halt_on_error=1 \
	  $(BUILD)/states $(TOGETHER) $(TOGETHER) >/dev/null && echo 'tsan: no races'

# Every public function with every kind of wrong argument; the specs try a sample of these.
arguments: setup-test
	@$(MAKE) --no-print-directory run-arguments
run-arguments: $(CORE) $(MADE)
	@LUAGPT_ARGUMENTS=1 $(BUSTED) spec/arguments_spec.lua

# A thousand random JSON schemas, and what their grammars take, judged by the Python package jsonschema; the specs try some.
schemas: setup-schemas
	@$(MAKE) --no-print-directory run-schemas
run-schemas: $(CORE) $(MADE)
	@LUAGPT_SCHEMAS=1000 $(BUSTED) spec/schemas_spec.lua

# Warnings are errors, for every compiler there is; and who may know whom.
LINT_COMPILERS = gcc clang
lint: $(LINT_COMPILERS:%=lint-%)
	@if grep -rnE '^ *# *include *[<"](lua|lauxlib|lualib)' csrc/core; then echo 'csrc/core includes Lua'; exit 1; fi
	@if grep -rnE '^ *# *include *"(\.\./)?binding/' csrc/core; then echo 'csrc/core includes the binding'; exit 1; fi
	@$(LUA) .ci/include_order.lua
	@$(LUA) .ci/caught_errors.lua
	@$(LUA) .ci/locale.lua
	@$(LUA) .ci/system_calls.lua
	@$(LUA) .ci/static_names.lua
	@if command -v luacheck >/dev/null; then luacheck -q lua spec examples bench docs .ci; \
	  else echo 'lint: luacheck is not installed, skipped (Debian: lua-check)'; exit $${CI:+1}; fi
lint-%:
	@if command -v $* >/dev/null; then \
	  $(MAKE) --no-print-directory -s BUILD=$(BUILD)/lint-$* CC=$* CFLAGS='-O2 -Werror' objects \
	    $(HOSTS:$(BUILD)/%=$(BUILD)/lint-$*/%) && echo 'lint: $* is content'; \
	else echo 'lint: $* is not installed, skipped'; exit $${CI:+1}; fi

# A line for the shell: eval "$(make -s env)"
env:
	@echo 'export LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH_5_4:-$${LUA_PATH:-;}}";'
	@echo 'export LUA_CPATH="$(abspath $(BUILD))/?.so;$${LUA_CPATH_5_4:-$${LUA_CPATH:-;}}";'
	@echo 'unset LUA_PATH_5_4 LUA_CPATH_5_4;'

LUA_FILES = $(shell cd lua && find gpt -name '*.lua')
install: export TO_LIB := $(DESTDIR)$(LIBDIR)/gpt
install: export TO_LUA := $(DESTDIR)$(LUADIR)
install: $(CORE) $(MADE)
	install -d "$$TO_LIB"
	install -m 755 $(CORE) "$$TO_LIB/core.so"
	if [ -e '$(MPI)' ]; then install -m 755 '$(MPI)' "$$TO_LIB/mpi.so"; fi
	for f in $(LUA_FILES); do install -d "$$TO_LUA/$${f%/*}" && install -m 644 lua/$$f "$$TO_LUA/$$f" || exit 1; done

# One program with Lua, luagpt and its Lua files in it (csrc/static/luagpt.h). `make -s static-libs` prints what such a program
# is linked with. It exports Lua's functions (-Wl,-E), which modules in C that it loads look for, and neither the core's nor
# OpenBLAS's.
STATIC_OBJECTS = $(BUILD)/obj/static/preload.o $(BUILD)/obj/static/lua_files.o
static: $(STATIC)
$(STATIC): $(OBJECTS) $(STATIC_OBJECTS)
	$(say)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/obj/static/lua_files.o: $(BUILD)/lua_files.c
	$(say)
	$(Q)$(CC) $(FLAGS) -Wno-overlength-strings $(CFLAGS) -c -o $@ $<
$(BUILD)/lua_files.c: $(LUA_FILES:%=lua/%) $(MADE) csrc/static/lua_files.lua $(BUILD)/flags
	@$(LUA) csrc/static/lua_files.lua $(filter-out lua/gpt/library/%,$(sort $(LUA_FILES:%=lua/%) $(HELP))) > $@
comma = ,
static-libs:
	@echo '-pthread -Wl,-E $(patsubst %,-Wl$(comma)--exclude-libs$(comma)%,$(notdir $(STATIC) $(OPENBLAS_STATIC)))' \
	  '-Wl,--start-group $(abspath $(STATIC)) $(filter-out -Wl%ALL,$(LIBS)) -Wl,--end-group $(STATIC_LUA) -ldl -lm'
STATIC_LUA = $(or $(firstword $(wildcard /usr/lib/$(MULTIARCH)/liblua5.4.a)),$(LIBS_lua))

# A source rock of what is committed, which `luarocks --lua-version 5.4 install FILE` builds.
VERSION = $(shell sed -n 's/.*_VERSION = "luagpt \(.*\)".*/\1/p' lua/gpt/init.lua)
ROCK = $(BUILD)/luagpt-$(VERSION)-1.src.rock
ROCK_DIR = $(BUILD)/rock
rock:
	@rm -rf $(ROCK_DIR) $(ROCK) && mkdir -p $(ROCK_DIR)
	@git archive --prefix=luagpt-$(VERSION)/ HEAD | gzip -n > $(ROCK_DIR)/luagpt-$(VERSION).tar.gz
	@sed -e 's/"scm-1"/"$(VERSION)-1"/' -e 's|url = .*|url = "luagpt-$(VERSION).tar.gz",|' luagpt-scm-1.rockspec \
	  > $(ROCK_DIR)/luagpt-$(VERSION)-1.rockspec
	@luarocks --lua-version 5.4 lint $(ROCK_DIR)/luagpt-$(VERSION)-1.rockspec
	@zip -jq $(ROCK) $(ROCK_DIR)/* && echo '$(ROCK)'

# The site: README, guide, chapters with what they print and draw, and the reference, which ldoc writes as Markdown from
# the same comments.
SITE = $(BUILD)/docs
REFERENCE = $(BUILD)/docs-source
CHAPTERS = $(BUILD)/chapters
OUTPUTS = $(patsubst examples/%.lua,$(CHAPTERS)/%/output.txt,$(wildcard examples/[0-9][0-9]_*.lua))
docs: setup-docs
	@$(MAKE) --no-print-directory run-docs
run-docs: $(OUTPUTS)
	@rm -rf $(REFERENCE) $(SITE) && mkdir -p $(REFERENCE) $(SITE)
	@cp docs/config.ld $(REFERENCE) && cp docs/site/reference.ltp $(REFERENCE)/ldoc.ltp
	@$(LUA) docs/tools/make.lua reference $(REFERENCE) $(filter-out $(MADE),$(COMMENTED))
	@cd $(REFERENCE) && ldoc -q --fatalwarnings -x markdown -d pages .
	@$(LUA) docs/tools/site.lua $(REFERENCE)/pages $(CHAPTERS) $(SITE)

# What a chapter prints, beside the pictures that it draws.
$(CHAPTERS)/%/output.txt: examples/%.lua $(CORE) $(HELP)
	@mkdir -p $(@D)
	@LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='$(abspath $(BUILD))/?.so;;' $(LUA) $< $(@D) > $@.new && mv $@.new $@

clean:
	rm -rf $(BUILD) $(MADE)

help:
	@echo 'make demo     install what is missing, build, train a small GPT and let it write; TEXT=file: on your text'
	@echo 'make chat     install what is missing, build, fetch a small model once and talk; MODEL=file.gguf: with your own; ARGS=--help'
	@echo 'make test     install what is missing, build, and run the specs'
	@echo 'make          build $(CORE)'
	@echo 'make setup    install what the build needs (apt), or name what is missing'
	@echo 'make env      exports for a shell: eval "$$(make -s env)"'
	@echo 'make static   build $(STATIC), for programs with Lua and luagpt in them'
	@echo 'make rock     pack the last commit as a source rock, for luarocks'
	@echo 'make mpi      build $(MPI), for training by several processes (installed where it was built)'
	@echo 'make install  PREFIX=/usr/local, or LUADIR= and LIBDIR=; DESTDIR='
	@echo 'make faults   let every allocation, call on files and moment of a save fail; ARGS: one kind, one case'
	@echo 'make lint, make asan, make tsan, make fuzz, make arguments, make schemas, make test-arm, make bench, make bench-products, make docs, make clean'

.DEFAULT_GOAL = all
.PHONY: arguments run-arguments schemas run-schemas setup-schemas all objects always faults mpi run-mpi setup setup-mpi setup-test setup-fuzz setup-arm setup-ci test-arm run-test-arm probe chat run-chat demo run-demo test run-test asan run-asan tsan run-tsan fuzz run-fuzz bench bench-products lint env install static static-libs rock docs run-docs setup-docs clean help
-include $(OBJECTS:.o=.d) $(MPI_OBJECTS:.o=.d) $(BUILD)/obj/static/preload.d

CC = gcc
LUA = lua5.4
CFLAGS = -O3 -g
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
LUA_INCDIR = /usr/include/lua5.4
OPENBLAS_INCDIR = /usr/include/x86_64-linux-gnu/openblas-pthread

SOURCES = $(shell find csrc -name '*.c')
OBJECTS = $(SOURCES:csrc/%.c=build/obj/%.o)
FLAGS = -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread -ffp-contract=fast -Icsrc -I$(LUA_INCDIR) -I$(OPENBLAS_INCDIR) -MMD -MP $(WARNINGS)

build/gpt/core.so: $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) -shared -pthread -o $@ $(OBJECTS) -lopenblas -lcjson -lutf8proc -lm

build/obj/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CFLAGS) -c -o $@ $<

env:
	@echo 'export LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH:-;}"'
	@echo 'export LUA_CPATH="$(CURDIR)/build/?.so;$${LUA_CPATH:-;}"'

clean:
	rm -rf build

.PHONY: env clean
-include $(OBJECTS:.o=.d)


# Copyright (C) Spaces for nginx contributors

# make          the module, for the nginx that is installed
# make run      install what is missing, and serve the example on localhost
# make test     install what is missing, and run every test
# make screenshots  of the pages, into build/screenshots
# make install  put the module where nginx looks for it
# make deb      a Debian package of it, into build/deb
# make bench    replay, mixing and fan-out beside their peers, the tick, and a
#               start with many recordings
# make fuzz     any bytes to src/media and to a server, a minute for each target
# make sanitize all tests on an nginx with sanitizers; TESTS="t/api.t" just that
# make soak     three minutes of crashes at random, and what is left of them
# make clean

NGINX_SRC   = /usr/share/nginx/src
MODULES_DIR = /usr/lib/nginx/modules

PORT        = 8080
RUN_DIR     = $(BUILD)/run

BUILD       = $(CURDIR)/build
BROWSER     = $(BUILD)/browser
DEB         = $(BUILD)/deb
MODULE      = $(BUILD)/ngx_http_spaces_module.so

MEDIA       = $(wildcard src/media/*.c)
SOURCES     = $(wildcard src/*.c) $(MEDIA)
HEADERS     = $(wildcard src/*.h src/media/*.h)

# Debian's packages: to build and to run, and what the tests need besides

PACKAGES    = gcc make nginx nginx-dev libopus-dev libogg-dev libhiredis-dev \
              libjansson-dev libwslay-dev libssl-dev redis-server curl ffmpeg
TEST_PACKAGES = perl libmojolicious-perl libjson-validator-perl \
                libyaml-libyaml-perl libio-socket-ssl-perl libcmocka-dev \
                opus-tools oggz-tools openssl chromium python3 clang-14 libclang-rt-14-dev llvm-14 \
                $(NODE_PACKAGES) $(DEB_PACKAGES)
NODE_PACKAGES = $(if $(shell command -v npm),,nodejs npm)
DEB_PACKAGES = build-essential debhelper lintian
SANITIZE_PACKAGES = dpkg-dev
BENCH_PACKAGES = wrk icecast2 pkg-config

SUDO        = $(if $(filter-out 0,$(shell id -u)),sudo)

# packages that start a server of their own are not to do it now: RUNLEVEL

define install-packages
	@missing=; for package in $(1); do \
	    dpkg-query -W -f '$${Status}' $$package 2>/dev/null \
	        | grep -Eq 'ok (installed|triggers-)' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	    echo "installing$$missing"; \
	    $(SUDO) apt-get update -q && \
	    $(SUDO) env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
	        apt-get install -y -q -o DPkg::Lock::Timeout=600 \
        --no-install-recommends $$missing; \
	fi
endef

.PHONY: all packages test-packages run test unit-test fuzzers fuzz \
        sanitize screenshots bench soak install deb clean

all: $(MODULE)

packages:
	$(call install-packages,$(PACKAGES))

test-packages:
	$(call install-packages,$(PACKAGES) $(TEST_PACKAGES))
	@$(MAKE) --no-print-directory $(BROWSER)/package.json

# what drives the browser and knows OpenAPI, outside of what is committed

$(BROWSER)/package.json: t/browser/package.json
	@mkdir -p $(BROWSER)
	@cp $< $(BROWSER)/new.json && cd $(BROWSER) && mv new.json package.json && \
	    npm install --no-package-lock --no-audit --no-fund \
	        --ignore-scripts --loglevel=error \
	    || { rm -f $@; exit 1; }

# the pages, in both themes, as there is something to see in them

screenshots: test-packages
	@$(MAKE) --no-print-directory $(MODULE)
	@t/browser/screenshots "$(BUILD)/screenshots"

# nginx's own build does it; "config" lists the files, so all are its input

$(BUILD)/objs/Makefile: config $(SOURCES) $(HEADERS)
	@test -f $(NGINX_SRC)/conf_flags || { \
	    echo "there is no $(NGINX_SRC)/conf_flags: apt-get install nginx-dev"; \
	    exit 1; }
	@mkdir -p $(BUILD)
	@echo "configuring, see $(BUILD)/configure.log"
	@bash -e -c 'cd $(NGINX_SRC); . ./conf_flags; \
	    ./configure "$${NGX_CONF_FLAGS[@]}" \
	        --with-cc-opt="-g -O2 -fPIC -fstack-protector-strong \
	                       -D_FORTIFY_SOURCE=2" \
	        --with-ld-opt="-Wl,-z,relro -Wl,-z,now -fPIC" \
	        --builddir=$(BUILD)/objs --add-dynamic-module=$(CURDIR)' \
	    > $(BUILD)/configure.log 2>&1 \
	    || { tail -n 20 $(BUILD)/configure.log; rm -f $@; exit 1; }

$(MODULE): $(BUILD)/objs/Makefile $(SOURCES) $(HEADERS)
	@cd $(NGINX_SRC) && $(MAKE) --no-print-directory -s \
	    -f $(BUILD)/objs/Makefile modules
	@cp $(BUILD)/objs/ngx_http_spaces_module.so $@.$$$$ && mv $@.$$$$ $@
	@echo "built $@"

# the example, with its own Redis, all below RUN_DIR; Ctrl-C ends both

run: packages
	@$(MAKE) --no-print-directory $(MODULE)
	@exec t/lib/run "$(MODULE)" "$(RUN_DIR)" "$(PORT)"

test: test-packages
	@$(MAKE) --no-print-directory $(MODULE) unit-test fuzzers
	@prove -j $(TEST_JOBS) -I t/lib t

TEST_JOBS = 4

# src/media alone, under sanitizers; t/unit.t runs it under prove

UNITS       = $(patsubst t/unit/%.c,$(BUILD)/unit-%,$(wildcard t/unit/*.c))
UNIT_LIB    = $(wildcard t/unit/lib/*.c)

unit-test: $(UNITS)

$(BUILD)/unit-%: t/unit/%.c $(MEDIA) $(HEADERS) $(UNIT_LIB) \
                 $(wildcard t/unit/lib/*.h)
	@mkdir -p $(BUILD)
	@gcc -std=gnu11 -g -O1 -W -Wall -Wno-unused-parameter -Werror \
	    -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -Isrc/media -It/unit/lib -o $@ $< $(UNIT_LIB) $(MEDIA) \
	    -lcmocka -lopus -logg -lm

# any bytes to src/media, under sanitizers, and to a server: FUZZ="ogg clip" are
# targets of t/fuzz; t/fuzz.t does a little of it

FUZZERS     = $(patsubst t/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard t/fuzz/*.c))
FUZZ_LIB    = $(wildcard t/fuzz/lib/*.c) $(UNIT_LIB) $(MEDIA)
FUZZ_OBJS   = $(patsubst %.c,$(BUILD)/fuzz/objs/%.o,$(FUZZ_LIB))
FUZZ_CC     = clang-14 -std=gnu11 -g -O1 -W -Wall -Wno-unused-parameter \
              -Werror -fno-omit-frame-pointer \
              -fsanitize=address,undefined,float-cast-overflow \
              -fno-sanitize-recover=all \
              -fprofile-instr-generate -fcoverage-mapping \
              -Isrc/media -It/fuzz/lib -It/unit/lib
FUZZ_SECONDS = 60
FUZZ        =

fuzz: test-packages
	@$(MAKE) --no-print-directory $(MODULE) fuzzers
	@t/fuzz/run --seconds $(FUZZ_SECONDS) $(FUZZ)

fuzzers: $(FUZZERS)

$(BUILD)/fuzz/%: t/fuzz/%.c $(FUZZ_OBJS)
	@$(FUZZ_CC) -fsanitize=fuzzer -o $@ $< $(FUZZ_OBJS) \
	    -lcmocka -lopus -logg -lm

.SECONDARY: $(FUZZ_OBJS)

# t/fuzz/token.c is about a part of src/ that wants some functions of nginx: they
# are Debian's; what else is in their files is left out by the linker

NGINX_SOURCE = $(BUILD)/nginx-source
TOKEN_SOURCES = $(patsubst %,src/ngx_http_spaces_%.c,secret mask id)
TOKEN_NGINX = core/ngx_string.c core/ngx_palloc.c os/unix/ngx_alloc.c \
              http/ngx_http_parse.c http/ngx_http_core_module.c
TOKEN_INCS  = $(patsubst %,-isystem $(NGINX_SOURCE)/nginx/src/%,\
                core event event/modules os/unix http http/modules http/v2) \
              -isystem $(BUILD)/objs -Isrc -DNGX_DEBUG_PALLOC=1 -D_GNU_SOURCE

$(NGINX_SOURCE)/nginx:
	@t/lib/nginx-source "$(NGINX_SOURCE)"

$(BUILD)/fuzz/token: t/fuzz/token.c $(TOKEN_SOURCES) $(FUZZ_OBJS) \
                     | $(NGINX_SOURCE)/nginx $(BUILD)/objs/Makefile
	@mkdir -p $(BUILD)/fuzz/objs/nginx
	@cd $(BUILD)/fuzz/objs/nginx && clang-14 -g -O1 -w -ffunction-sections \
	    -fdata-sections $(TOKEN_INCS) -c \
	    $(addprefix $(NGINX_SOURCE)/nginx/src/,$(TOKEN_NGINX))
	@$(FUZZ_CC) $(TOKEN_INCS) -fsanitize=fuzzer -Wl,--gc-sections -o $@ $< \
	    $(TOKEN_SOURCES) $(FUZZ_OBJS) $(BUILD)/fuzz/objs/nginx/*.o \
	    -lcmocka -lopus -logg -lm -lcrypto

$(BUILD)/fuzz/objs/%.o: %.c $(HEADERS) $(wildcard t/fuzz/lib/*.h t/unit/lib/*.h)
	@mkdir -p $(dir $@)
	@$(FUZZ_CC) -fsanitize=fuzzer-no-link -c -o $@ $<

# the same tests on an nginx of Debian's source, with sanitizers in all of it;
# t/deb.t is about the package alone, whose nginx is Debian's

SANITIZED   = $(BUILD)/sanitize
TESTS       = $(filter-out t/deb.t,$(sort $(wildcard t/*.t)))

sanitize: test-packages
	$(call install-packages,$(SANITIZE_PACKAGES))
	@$(MAKE) --no-print-directory $(MODULE) unit-test fuzzers
	@t/sanitize/build "$(SANITIZED)" "$(NGINX_SOURCE)"
	@t/sanitize/run "$(SANITIZED)" $(TEST_JOBS) $(TESTS)

bench: test-packages
	$(call install-packages,$(BENCH_PACKAGES))
	@$(MAKE) --no-print-directory $(MODULE)
	@t/bench/table

# ARGS="--hours 2 --seed 7"

soak: test-packages
	@$(MAKE) --no-print-directory $(MODULE)
	@t/bench/soak $(ARGS)

install: $(MODULE)
	install -d $(DESTDIR)$(MODULES_DIR)
	install -m 644 $(MODULE) $(DESTDIR)$(MODULES_DIR)/

# built in a copy, for it is made beside and below its sources; the version is
# that of debian/changelog

deb:
	$(call install-packages,$(PACKAGES) $(DEB_PACKAGES))
	@rm -rf $(DEB) && mkdir -p $(DEB)/source
	@tar -c --exclude=./build --exclude=./.git . | tar -x -C $(DEB)/source
	@echo "packaging, see $(DEB)/build.log"
	@cd $(DEB)/source && dpkg-buildpackage -b -us -uc > $(DEB)/build.log 2>&1 \
	    || { tail -n 20 $(DEB)/build.log; exit 1; }
	@cd $(DEB) && rm -r source && ls -d $(DEB)/*.deb

clean:
	rm -rf $(BUILD)

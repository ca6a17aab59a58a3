
# Copyright (C) Spaces for nginx contributors

# The nginx that is installed, with the package of its development files

NGINX       = nginx
NGINX_SRC   = /usr/share/nginx/src
MODULES_DIR = /usr/lib/nginx/modules

BUILD       = $(CURDIR)/build
MODULE      = $(BUILD)/ngx_http_spaces_module.so

all: $(MODULE)

# nginx's own build: configured again when "config" or a list of files changes

SOURCES = $(wildcard src/*.c src/media/*.c)
HEADERS = $(wildcard src/*.h src/media/*.h)

$(BUILD)/objs/Makefile: config $(SOURCES:%.c=%.c) $(HEADERS)
	@test -f $(NGINX_SRC)/conf_flags || \
	    { echo "no nginx sources in $(NGINX_SRC): apt-get install nginx-dev"; \
	      exit 1; }
	@mkdir -p $(BUILD)
	bash -e -c 'cd $(NGINX_SRC); . ./conf_flags; \
	    ./configure "$${NGX_CONF_FLAGS[@]}" \
	        --with-cc-opt="-O2 -g -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2" \
	        --with-ld-opt="-Wl,-z,relro -Wl,-z,now -fPIC" \
	        --builddir=$(BUILD)/objs --add-dynamic-module=$(CURDIR)' \
	    > $(BUILD)/configure.log || { tail -n 20 $(BUILD)/configure.log; exit 1; }

$(MODULE): $(BUILD)/objs/Makefile $(SOURCES) $(HEADERS)
	cd $(NGINX_SRC) && $(MAKE) -f $(BUILD)/objs/Makefile modules
	cp $(BUILD)/objs/ngx_http_spaces_module.so $@

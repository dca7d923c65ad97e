# Everything goes through here: `make help`.
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt requirements-bundled.txt requirements-dev.txt
STAMP := $(VENV)/.installed-$(shell cat $(REQUIREMENTS) | cksum | tr ' ' '-')

# Whoever has no home of their own (`su nobody`) gets one for the caches of pip and the browser.
ifneq ($(shell test -n "$$HOME" && test -w "$$HOME" && echo writable),writable)
export HOME := $(CURDIR)/$(VENV)/home
endif

.PHONY: help install run test check integration

help:  ## what there is
	@sed -n 's/^\([a-z]*\):.*##/\1 ·/p' $(MAKEFILE_LIST)

install: $(STAMP)  ## .venv with everything, once; again only when a requirement changed

$(STAMP): $(REQUIREMENTS)
	@sh config/install.sh $(VENV)
	@rm -f $(VENV)/.installed-* && touch $@

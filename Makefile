# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Each line calls a script; the scripts take names and options too, see the first lines of each.
.DEFAULT_GOAL := help
.PHONY: help demo test bench lint format docs docs-check lock release clean

help:
	@echo "make demo         as root: two throwaway hosts, a model, the router, and an answer from it"
	@echo "make test         as root: the whole suite (scripts/test --list)"
	@echo "make bench        the router beside other proxies (scripts/bench --quick for a glance)"
	@echo "make lint         all checks that need no host (scripts/lint --list)"
	@echo "make format       lays out the Python code"
	@echo "make docs         the documentation as a site, in .cache/site/html"
	@echo "make docs-check   only the checks of the documentation and the changelog"
	@echo "make lock         new exact versions for requirements/dev.txt"
	@echo "make release      the collection and the router's wheel in dist/, checked (docs/releasing.md)"
	@echo "make clean        removes what the others made here"

demo:
	@scripts/demo

test:
	@scripts/test

bench:
	@scripts/bench

lint:
	@scripts/lint

format:
	@scripts/format

docs:
	@scripts/docs

docs-check:
	@scripts/lint generated docs changelog

lock:
	@scripts/lock --upgrade

release:
	@scripts/release

clean:
	@scripts/clean

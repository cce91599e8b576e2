# make setup        make .venv from the lock, with this package
# make quickstart   set up, prepare the digits, train, export, predict
# make test         set up, check the style, run the tests
# make figures      draw the figure of the README, write the tables
# make tables       write the tables of the documentation from docs/figures and
#                   docs/experiments.yaml
# make gallery      train two models on the digits, draw what they look at
# make image-kinds  convert and serve every kind of image file, write the table
# make crosses      fine-tune what was pretrained on the digits, write the table
# make scaling      write docs/scaling.md
# make structure    count the structure of the code
# make test-cpus    the numerics tests as other CPUs would compute
# make proofs       the tests that are too long for make test; all counts with
#                   FULL=1
# make soak         interrupt a training KILLS and TERMS times at moments that
#                   SEED decides, compare its end with an undisturbed one;
#                   WORKERS=2: of two processes
# make parity       compare imported models with transformers and timm, in an
#                   environment of its own with PyTorch, at PARITY_SIZES
# make benchmark    time the conversion of PHOTOGRAPHS, a folder of JPEG files
# make lock         resolve the dependencies anew
#
# TensorFlow 2.15 with tensorflow-addons, in an environment of its own:
# make addons       make .venv-addons from its lock, with this package
# make test-addons  set both lines up, run the tests of this one
# make addons-table the study of tensorflow-addons' optimizers, on the digits
# make lock-addons  resolve its dependencies anew

PYTHON ?= python3
VENV ?= .venv
# Tests that run at once; one needs up to 3 GB of memory.
TEST_PROCESSES ?= 2

BIN := $(VENV)/bin
LOCK := requirements/lock.txt
REQUIREMENTS := $(VENV)/.installed
INSTALLED := $(VENV)/.package

# transformers and timm on PyTorch; nothing of this project is installed there.
PARITY_VENV ?= .venv-parity
PARITY_LOCK := requirements/parity.txt
PARITY_INSTALLED := $(PARITY_VENV)/.installed
PARITY_SIZES ?= tiny base

# A Python for tensorflow-addons; empty looks for one.
ADDONS_PYTHON ?=
ADDONS_VENV ?= .venv-addons
ADDONS_BIN := $(ADDONS_VENV)/bin
ADDONS_LOCK := requirements/addons.txt
ADDONS_REQUIREMENTS := $(ADDONS_VENV)/.installed
ADDONS_INSTALLED := $(ADDONS_VENV)/.package
FIND_PYTHON := $(PYTHON) requirements/find_python.py $(ADDONS_PYTHON)

.PHONY: setup quickstart test test-cpus structure proofs soak benchmark lint figures tables \
  gallery image-kinds crosses scaling lock clean addons addons-python test-addons addons-table lock-addons \
  parity golden
.DELETE_ON_ERROR:

setup: $(INSTALLED)

# This package, from this folder: programs elsewhere can import it, and what is
# changed here is changed there. Without --no-build-isolation pip would ask an
# index for setuptools, which the lock has installed.
INSTALL_PACKAGE := -m pip install --quiet --no-deps --use-pep517 \
  --no-build-isolation --editable .

$(INSTALLED): $(REQUIREMENTS) setup.py
	$(BIN)/python $(INSTALL_PACKAGE)
	@touch $@

# The stamp is written last, so an interrupted installation is done again.
$(REQUIREMENTS): $(LOCK)
	@test ! -e $(VENV)/tpu.sh || { echo "$(VENV) is for a TPU, and $(LOCK) has changed: run scripts/setup_tpu_vm.sh." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else "Funnel-ViT needs Python 3.10 to 3.13, but $(PYTHON) is %d.%d. Name another: make PYTHON=python3.11 ..." % v)'
	@$(PYTHON) -m venv $(VENV) || { echo "Could not create $(VENV): on Debian and Ubuntu, install python3-venv." >&2; exit 1; }
	@# seqeval has no wheel; only a build of its own finds what it needs.
	$(BIN)/python -m pip install --quiet --use-pep517 --requirement $(LOCK)
	@touch $@

quickstart: $(INSTALLED)
	$(BIN)/python -m data_prep.digits_to_tfrecord --output_dir=data/digits
	rm -rf runs/quickstart
	$(BIN)/python train.py --experiment=funnel_vit_digits \
	  --mode=train_and_eval --model_dir=runs/quickstart
	$(BIN)/python -m official_ext.serving.predict \
	  --model=runs/quickstart/export/last --top_k=2 data/digits/samples/*.png

lint: $(INSTALLED)
	$(BIN)/ruff check .

structure:
	@$(PYTHON) scripts/structure.py

test: lint
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal

test-cpus: $(INSTALLED)
	$(BIN)/python scripts/test_cpu_settings.py -n $(TEST_PROCESSES)

# FULL=1 takes the counts and the cases that take hours.
proofs: $(INSTALLED)
	PROOFS=$(if $(FULL),full) $(BIN)/python -m pytest -m 'long or slow' \
	  -n $(TEST_PROCESSES) --dist worksteal

addons: $(ADDONS_INSTALLED)

$(ADDONS_INSTALLED): $(ADDONS_REQUIREMENTS) setup.py
	$(ADDONS_BIN)/python $(INSTALL_PACKAGE)
	@touch $@

# Prints the Python of the addons line, or says what is missing.
addons-python:
	@$(FIND_PYTHON)

$(ADDONS_REQUIREMENTS): $(ADDONS_LOCK)
	@python=$$($(FIND_PYTHON)) && { "$$python" -m venv $(ADDONS_VENV) || { echo "Could not create $(ADDONS_VENV) with $$python." >&2; exit 1; }; }
	$(ADDONS_BIN)/python -m pip install --quiet --use-pep517 --requirement $(ADDONS_LOCK)
	@touch $@

# One process: the tests are few, and the lines' checkpoints need both.
test-addons: $(ADDONS_INSTALLED) $(INSTALLED)
	MAIN_LINE_PYTHON=$(or $(MAIN_LINE_PYTHON),$(BIN)/python) \
	  $(ADDONS_BIN)/python -m pytest -m 'addons and not long'

addons-table: $(ADDONS_INSTALLED)
	$(ADDONS_BIN)/python -m data_prep.digits_to_tfrecord --output_dir=data/digits
	$(ADDONS_BIN)/python -m official_ext.studies.run --study=addons_optimizers \
	  --parallel=2

soak: $(INSTALLED)
	$(BIN)/python tests/soak.py --kills=$(or $(KILLS),25) \
	  --terms=$(or $(TERMS),25) --seed=$(or $(SEED),1) \
	  --workers=$(or $(WORKERS),1)

$(PARITY_INSTALLED): $(PARITY_LOCK)
	$(PYTHON) -m venv $(PARITY_VENV)
	$(PARITY_VENV)/bin/python -m pip install --quiet --requirement $(PARITY_LOCK)
	@touch $@

PHOTOGRAPHS_OF_SKLEARN = $$($(BIN)/python -c "import importlib.resources; \
  folder = importlib.resources.files('sklearn.datasets.images'); \
  print(folder / 'china.jpg', folder / 'flower.jpg')")
WRITE_MODELS := $(PARITY_VENV)/bin/python tests/write_golden_models.py

# One size at a time: at base size the models are 10 GB.
parity: $(PARITY_INSTALLED) $(INSTALLED)
	@set -e; for size in $(PARITY_SIZES); do \
	  rm -rf build/parity build/exports; \
	  $(WRITE_MODELS) --size=$$size --output=build/parity \
	    --photographs $(PHOTOGRAPHS_OF_SKLEARN); \
	  PARITY_DIR=build/parity EXPORT_DIR=build/exports \
	    $(BIN)/python -m pytest -s -m '' tests/pretrained/published_test.py \
	    tests/pretrained/import_vit_test.py::test_photographs_are_prepared_as_by_the_library \
	    tests/pretrained/export_vit_test.py::test_a_round_trip_is_bit_exact; \
	  $(PARITY_VENV)/bin/python tests/check_exported_models.py build/exports \
	    build/parity; \
	done; rm -rf build/parity build/exports

# The models that the tests keep.
golden: $(PARITY_INSTALLED) $(INSTALLED)
	$(WRITE_MODELS) --size=tiny --output=tests/pretrained/golden \
	  --photographs $(PHOTOGRAPHS_OF_SKLEARN)

benchmark: $(INSTALLED)
	$(BIN)/python -m data_prep.benchmark_conversion --input=$(PHOTOGRAPHS)

figures: tables
	$(BIN)/python docs/draw_architecture.py

tables: $(INSTALLED)
	PYTHONPATH=. $(BIN)/python docs/write_layouts.py
	PYTHONPATH=. $(BIN)/python docs/write_tables.py
	PYTHONPATH=. TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python docs/write_experiments.py
	PYTHONPATH=. TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python docs/write_results.py

# The pictures of docs/gallery, and the figures beside them.
ANALYSIS := $(BIN)/python -m official_ext.analysis
DIGITS_MODELS := ViT=runs/vit_digits Funnel-ViT=runs/quickstart
PHOTOGRAPH = $$($(BIN)/python -c "import importlib.resources; \
  print(importlib.resources.files('sklearn.datasets.images') / 'flower.jpg')")

gallery: quickstart
	rm -rf runs/vit_digits
	$(BIN)/python train.py --experiment=funnel_vit_digits \
	  --mode=train_and_eval --model_dir=runs/vit_digits \
	  --params_override=task.model.backbone.funnel_vit.layout=B6
	$(ANALYSIS).saliency $(DIGITS_MODELS) --images=data/digits/samples \
	  --output=docs/gallery/saliency.png
	$(ANALYSIS).salient_area $(DIGITS_MODELS)
	$(ANALYSIS).disagreement $(DIGITS_MODELS) \
	  --output=docs/gallery/disagreement.png
	$(ANALYSIS).activation_maximization $(DIGITS_MODELS) --classes=0,2,3,4,5,9 \
	  --nocolor --step_size=0.3 --blur=0.7 --l2=0.05 \
	  --output=docs/gallery/classes.png
	$(ANALYSIS).rollout $(DIGITS_MODELS) --images=data/digits/samples \
	  --output=docs/gallery/rollout.png
	$(ANALYSIS).footprints --layout=B4-4-4 --image="$(PHOTOGRAPH)" \
	  --output=docs/gallery/footprints.png
	$(ANALYSIS).training_curves $(DIGITS_MODELS) \
	  --output=docs/gallery/curves.png
	$(ANALYSIS).compare $(DIGITS_MODELS) --images=data/digits/samples \
	  --output_dir=runs/report

image-kinds: $(INSTALLED)
	PYTHONPATH=. CUDA_VISIBLE_DEVICES=-1 TF_CPP_MIN_LOG_LEVEL=3 \
	  $(BIN)/python docs/write_image_kinds.py
	PYTHONPATH=. $(BIN)/python docs/write_tables.py

crosses: $(INSTALLED)
	$(BIN)/python -m data_prep.digits_to_tfrecord --output_dir=data/digits
	PYTHONPATH=. CUDA_VISIBLE_DEVICES=-1 TF_CPP_MIN_LOG_LEVEL=3 \
	  $(BIN)/python docs/write_crosses.py
	PYTHONPATH=. $(BIN)/python docs/write_tables.py

scaling: $(INSTALLED)
	PYTHONPATH=. TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python docs/write_scaling.py

lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --universal --python-version 3.10 \
	  --no-annotate --no-header --no-emit-index-url --upgrade \
	  --extra dev setup.py requirements/main.in --output-file $(LOCK)

lock-addons:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --universal --python-version 3.10 \
	  --no-annotate --no-header --no-emit-index-url --upgrade \
	  --extra addons setup.py requirements/addons.in \
	  --output-file $(ADDONS_LOCK)

clean:
	rm -rf $(VENV) $(VENV)-lock $(ADDONS_VENV) build *.egg-info .pytest_cache \
	  .ruff_cache

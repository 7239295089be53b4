# make env   the environment alone, in .venv, from requirements.lock
# make run   the main job: draw the demo archive and run the whole pipeline on it
# make test  ruff, mypy and the test suite
# make lock  renew requirements.lock from the ranges in setup.py (needs uv: pip install uv)

EXTRAS := detect,kubeflow,cloud,test
VISAGE := .venv/bin/visage
DEMO := pipeline-root/demo-archive

.PHONY: env run test lint lock clean
.DEFAULT_GOAL := run

env: .venv/.ready

.venv/.ready: requirements.lock setup.py infra/environment.sh
	@sh infra/environment.sh .venv "$(EXTRAS)"
	@touch $@

run: env
	@$(VISAGE) demo-data $(DEMO) --photos 2000 --seed 1
	@$(VISAGE) run --recipe demo

lint: env
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

test: lint
	.venv/bin/pytest

lock:
	uv pip compile setup.py --all-extras --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --custom-compile-command "make lock" --upgrade -o requirements.lock

clean:
	rm -rf .venv pipeline-root

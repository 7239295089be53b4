# make env   the environment alone, in .venv, from requirements.lock
# make run   the main job: draw the demo archive and run the whole pipeline on it
# make test  ruff, mypy and the test suite (make lint, make suite: one of them)
# make lock  renew requirements.lock from setup.py, keeping what need not change (needs uv: pip install uv)
# make upgrade  renew all of requirements.lock

EXTRAS := kubeflow,cloud,server,test
VISAGE := .venv/bin/visage
DEMO := pipeline-root/demo-archive
LOCK := uv pip compile setup.py --all-extras --universal --python-version 3.11 \
  --custom-compile-command "make lock" -o requirements.lock

.PHONY: env run test lint suite lock upgrade clean
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

test: lint suite

# Two at once, each file on one of them: what a file's tests share is expensive. More would want more memory than a laptop has.
# In the order of tests/conftest.py, not by the number of a file's tests.
suite: env
	.venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder

lock:
	$(LOCK)

upgrade:
	$(LOCK) --upgrade

clean:
	rm -rf .venv pipeline-root

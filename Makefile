# A newcomer needs two commands: `make demo` and `make test`. The rest of the set-up is in
# iotplatform/local/setup/, which needs only Python and its venv module.
PYTHON ?= python3
BOOTSTRAP = $(PYTHON) iotplatform/local/setup/bootstrap.py

.PHONY: help demo up test test-long lint bench clean

help:
	@echo "make demo       run the platform with a demo fleet (DEVICES=500, PORT=8000)"
	@echo "make up         run the platform without any data"
	@echo "make test       install what the tests need, then run the checks and the tests"
	@echo "make test-long  run the same tests at full size"
	@echo "make lint       run only the checks"
	@echo "make bench      run the benchmarks; results go to var/bench/"
	@echo "make clean      delete .venv, node_modules, var and caches"
	@echo "What uv, pip, npm and apt print while installing goes to var/log/setup/"

demo:
	@$(BOOTSTRAP) local -- manage.py up --demo

up:
	@$(BOOTSTRAP) local -- manage.py up

test:
	@$(BOOTSTRAP) test -- -m iotplatform.local.setup.make_targets test $(TESTS)

test-long:
	@$(BOOTSTRAP) test -- -m iotplatform.local.setup.make_targets test-long $(TESTS)

lint:
	@$(BOOTSTRAP) dev -- -m iotplatform.local.setup.make_targets lint

bench:
	@$(BOOTSTRAP) test -- -m iotplatform.local.setup.make_targets bench $(BENCH)

clean:
	@$(BOOTSTRAP) clean

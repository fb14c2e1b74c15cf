# The two commands a newcomer needs: `make demo` and `make test`. Everything else of the
# set-up stands in iotplatform/local/setup/, which needs only Python and its venv.
PYTHON ?= python3
BOOTSTRAP = $(PYTHON) iotplatform/local/setup/bootstrap.py

.PHONY: help demo up test test-long lint bench clean

help:
	@echo "make demo       the platform with a demo fleet (DEVICES=500, PORT=8000)"
	@echo "make up         the platform, empty"
	@echo "make test       everything the test suite needs, the checks, the suite"
	@echo "make test-long  the same tests at full size"
	@echo "make lint       the checks alone"
	@echo "make bench      benchmarks, to var/bench/"
	@echo "make clean      remove .venv, node_modules, var and caches"

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
	@$(PYTHON) iotplatform/local/setup/bootstrap.py clean

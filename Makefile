# Everything a developer or CI does has one name here; what it installs goes into .tools and nowhere else.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
TOOLS := .tools
VENV := $(TOOLS)/venv/bin
DONE := $(TOOLS)/done
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' exporter/__init__.py)

SPARK := 4.2.0
SPARK_BEFORE := 3.5.7
# Too old for the listener: the tests show that it steps aside.
SPARK_TOO_OLD := 3.4.4
PYSPARKS := $(SPARK:%=$(DONE)/spark-%) $(SPARK_BEFORE:%=$(DONE)/spark-%) $(SPARK_TOO_OLD:%=$(DONE)/spark-%)
CONNECTORS := $(DONE)/connectors-$(SPARK) $(DONE)/connectors-$(SPARK_BEFORE)
JARS := exporter/jars/lakehouse-listener_2.12.jar exporter/jars/lakehouse-listener_2.13.jar
LISTENER := $(shell find listener -path 'listener/target*' -prune -o -type f -print 2>/dev/null)
SHELL_SCRIPTS := $(wildcard scripts/*.sh) .ci/run

PREPARE := scripts/prepare.sh
# Maven does not share a local repository between two runs of its own.
MAVEN := flock $(TOOLS)/maven.lock mvn -B -q -Dmaven.repo.local=$(CURDIR)/$(TOOLS)/m2 -Drevision=$(VERSION) -f listener/pom.xml
# A JAVA_HOME of the user's that is neither 17 nor 21 must not win over the link that scripts/jdk.sh made.
USE_JDK := export JAVA_HOME="$(CURDIR)/$(TOOLS)/jdk" PATH="$(CURDIR)/$(TOOLS)/jdk/bin:$$PATH";

# `SECONDS` is also bash's own clock: only the one given to make counts, and no recipe's shell is started with it.
unexport SECONDS
DEMO_SECONDS := $(if $(filter command line,$(origin SECONDS)),--seconds=$(SECONDS))

.PHONY: help setup check format test unit listener-test e2e bench endurance jars wheel demo golden pages pictures clean

help:  ## say what can be made (the default)
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

setup:  ## install all that the whole suite needs, into .tools
	@$(MAKE) -s -j3 $(DONE)/venv-dev $(DONE)/prometheus $(PYSPARKS) $(DONE)/spark-connect $(CONNECTORS) $(DONE)/kafka $(DONE)/chromium

check: $(DONE)/venv-dev $(DONE)/shellcheck $(DONE)/prometheus  ## format, lint, types, layers, scripts, golden pages and unit tests (at most 3 minutes)
	$(VENV)/ruff format --check
	$(VENV)/ruff check
	$(VENV)/mypy
	$(VENV)/lint-imports
	shellcheck $(SHELL_SCRIPTS)
	for page in tests/golden/*.prom; do promtool check metrics <"$$page"; done
	@$(MAKE) unit

format: $(DONE)/venv-dev  ## write the one format, and mend what the linter can mend
	$(VENV)/ruff format
	$(VENV)/ruff check --fix

unit: $(DONE)/venv-dev
	$(VENV)/pytest -m "not e2e" -n auto --cov

test: setup  ## the whole suite: check, ScalaTest on both Scala lines, end to end
	@$(MAKE) check
	@$(MAKE) listener-test
	@$(MAKE) e2e

listener-test: $(DONE)/jdk $(DONE)/maven  ## ScalaTest of the listener on both Scala lines
	@for line in 2.12 2.13; do \
	  $(USE_JDK) $(PREPARE) "ScalaTest $$line" $(MAVEN) -P scala-$$line package; \
	  grep -hE '^(Tests:|\*\*\*)|Tests run' ".tools/log/ScalaTest-$$line.log" || true; \
	  install -D -m 644 listener/target-$$line/lakehouse-listener_$$line-$(VERSION).jar exporter/jars/lakehouse-listener_$$line.jar; \
	done

e2e: setup wheel  ## end to end: real Spark 4 and 3.5, Prometheus, Kafka, Delta and Chromium
	$(USE_JDK) $(VENV)/pytest -m e2e tests/e2e tests/browser

bench: setup $(JARS) $(DONE)/nginx  ## measure what it costs and bears, write docs/performance.md (9 quiet minutes; PART=front: a part)
	$(USE_JDK) $(VENV)/python -m benchmarks $(PART)

endurance: $(DONE)/venv-dev $(DONE)/prometheus  ## end it at 100 moments, swap 100 certificates under load, have all faults (10 minutes)
	MOMENTS=100 FAULTS=all $(VENV)/pytest tests/e2e/test_life.py tests/e2e/test_workspaces.py --no-cov

jars: $(JARS)  ## build the listener's two jars into exporter/jars

exporter/jars/lakehouse-listener_%.jar: $(LISTENER) exporter/__init__.py | $(DONE)/jdk $(DONE)/maven
	@$(USE_JDK) $(PREPARE) "listener jar, Scala $*" $(MAVEN) -P scala-$* -DskipTests package
	@install -D -m 644 listener/target-$*/lakehouse-listener_$*-$(VERSION).jar $@

wheel: $(DONE)/venv-dev $(JARS)  ## build dist/lakehouse_exporter-*.whl with both jars inside
	@rm -rf build dist
	@$(PREPARE) wheel $(VENV)/python -m build --wheel
	@ls dist/*.whl

demo:  ## run real streams with the exporter beside them (SECONDS=N ends it)
	@$(MAKE) -s -j3 $(DONE)/venv $(DONE)/spark-$(SPARK) $(lastword $(JARS))
	@$(USE_JDK) export SPARK_HOME="$(CURDIR)/$(TOOLS)/spark-$(SPARK)/pyspark" PYTHONPATH="$(CURDIR)/$(TOOLS)/spark-$(SPARK)"; \
	exec $(VENV)/lakehouse-exporter demo $(DEMO_SECONDS)

golden: $(DONE)/venv-dev  ## write the golden pages anew; read the diff before you commit it
	$(VENV)/pytest -m "not e2e" --update-golden

pages: $(DONE)/venv-dev  ## write docs/metrics.md and docs/configuration.md from the declarations
	$(VENV)/python -m exporter.reference

pictures: $(DONE)/venv-dev $(DONE)/chromium $(DONE)/pngquant  ## take the pictures of the landing page in docs
	$(VENV)/python -m benchmarks.landing

clean:  ## remove what was built; .tools, which is downloaded, stays
	rm -rf build dist exporter/jars listener/target-* *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Below: what is installed once. A file in .tools/done says that it is.

$(DONE)/venv: setup.cfg pyproject.toml scripts/venv.sh
	@$(PREPARE) "Python packages" scripts/venv.sh $(PYTHON)
	@mkdir -p $(@D) && touch $@

$(DONE)/venv-dev: $(DONE)/venv
	@$(PREPARE) "Python packages for developers" scripts/venv.sh $(PYTHON) dev
	@mkdir -p $(@D) && touch $@

$(DONE)/jdk: scripts/jdk.sh
	@$(PREPARE) "JDK" scripts/jdk.sh
	@mkdir -p $(@D) && touch $@

$(DONE)/maven:
	@$(PREPARE) "Maven" scripts/debian-packages.sh mvn:maven
	@mkdir -p $(@D) && touch $@

$(DONE)/shellcheck:
	@$(PREPARE) "shellcheck" scripts/debian-packages.sh shellcheck:shellcheck
	@mkdir -p $(@D) && touch $@

$(DONE)/prometheus:
	@$(PREPARE) "Prometheus" scripts/debian-packages.sh prometheus:prometheus promtool:prometheus prometheus-pushgateway:prometheus-pushgateway
	@mkdir -p $(@D) && touch $@

$(DONE)/chromium:
	@$(PREPARE) "Chromium" scripts/debian-packages.sh chromium:chromium chromedriver:chromium-driver
	@mkdir -p $(@D) && touch $@

$(DONE)/nginx:
	@$(PREPARE) "nginx" scripts/debian-packages.sh nginx:nginx-light
	@mkdir -p $(@D) && touch $@

$(DONE)/pngquant:
	@$(PREPARE) "pngquant" scripts/debian-packages.sh pngquant:pngquant
	@mkdir -p $(@D) && touch $@

$(DONE)/spark-%: scripts/pyspark.sh | $(DONE)/venv
	@$(PREPARE) "Spark $*" scripts/pyspark.sh $(VENV)/python $*
	@mkdir -p $(@D) && touch $@

# What a client of Spark Connect needs besides pyspark itself.
$(DONE)/spark-connect: scripts/spark-connect.sh | $(DONE)/venv
	@$(PREPARE) "Spark Connect client" scripts/spark-connect.sh $(VENV)/python
	@mkdir -p $(@D) && touch $@

$(DONE)/kafka: tests/e2e/jars/kafka.xml scripts/test-jars.sh | $(DONE)/jdk $(DONE)/maven
	@$(USE_JDK) $(PREPARE) "Kafka broker" scripts/test-jars.sh $< $(TOOLS)/kafka
	@mkdir -p $(@D) && touch $@

$(DONE)/connectors-%: tests/e2e/jars/connectors-%.xml scripts/test-jars.sh | $(DONE)/spark-% $(DONE)/jdk $(DONE)/maven
	@$(USE_JDK) $(PREPARE) "connectors of Spark $*" scripts/test-jars.sh $< $(TOOLS)/connectors-$* $(TOOLS)/spark-$*/pyspark/jars
	@mkdir -p $(@D) && touch $@

# As root on Debian 12 or 13; each target installs what it needs, once. See README.md for using Signalbox itself.
.PHONY: help demo check test drill bench lint site sbom clean
PYTHON := .venv/bin/python

help:  ## what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1 \t/p' Makefile

demo:  ## a converged Debian host on this machine, with simulated models, to look at
	@scripts/bootstrap
	@$(PYTHON) -m tests.demo

check:  ## lint, unit, render and plan, while you work: in at most 150 seconds on two cores
	@scripts/bootstrap
	@$(PYTHON) -m tests --quick

test:  ## everything that must pass, in under 25 minutes (TIER=unit for one tier)
	@scripts/bootstrap
	@$(PYTHON) -m tests $(if $(TIER),--tier $(TIER))

drill:  ## the whole proof on lab hosts (NAME=reboot for one drill); results go to docs/drills/
	@scripts/bootstrap
	@$(PYTHON) -m tests.drills $(NAME)

bench:  ## what a run costs, against other tools, on lab hosts; results go to bench/results/ and docs/performance.md
	@scripts/bootstrap
	@$(PYTHON) -m bench

site:  ## docs/ as a site, in .signalbox/site
	@scripts/bootstrap
	@$(PYTHON) -m mkdocs build --strict

sbom:  ## what Signalbox is made of, as CycloneDX, in .signalbox/signalbox.cdx.json
	@scripts/bootstrap
	@scripts/sbom

lint:  ## ruff, mypy, import-linter and the site's links
	@scripts/bootstrap
	@$(PYTHON) -m tests --tier lint

clean:  ## take down the lab's hosts and remove what the demo and the tests left here
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m tests.lab down; fi
	@rm -rf .signalbox .mypy_cache .ruff_cache .pytest_cache

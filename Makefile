# The verbs. Each installs what it lacks, or says in one line what is missing; the work is in tools/.
# What stands behind ## is what `make help` says of it.
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^#### / { print "\n" substr($$0, 6) } /^[a-z][a-z0-9_]*:.*## / { printf "  %-28s %s\n", $$1, $$2 }' Makefile

#### On this machine
start: ## everything installed, built and served: http://localhost:8000
	@tools/start

dev: ## the same with hot reload
	@tools/start dev

native: ## the Android and iOS projects, front/android and front/ios   [DEVELOPMENT=true]
	@tools/setup front && tools/build-front && DEVELOPMENT=$(DEVELOPMENT) npm run native --silent --workspace front

test: ## every test   [FILTER=unit/json]
	@tools/run-tests $(FILTER)

test_deploy: ## the tests of containers, chart and release alone
	@tools/run-tests deploy

test_cluster: ## the chart on a Kubernetes of one node, which is built from Debian's source the first time (15 min)
	@tools/setup build front test deploy && tests/deploy/cluster/build && npm run cluster --silent --workspace tests

bench: ## every measurement   [NAME=json]
	@bench/run $(NAME)

lint: ## silent when all is well
	@tools/lint

fuzz: ## every parser, fuzzed   [SECONDS=60] [TARGET=url_fuzz]
	@tools/setup build test && tools/build-back fuzz fuzz_targets && tools/fuzz $(or $(SECONDS),60) $(TARGET)

oracle: ## what live clients hold, held against the database   [SECONDS=60] [SEED=7] [CLIENTS=20] [DATABASE=postgres] [NODES=3]
	@tools/setup build test && tools/build-back release oracle_app && SECONDS=$(SECONDS) SEED=$(SEED) CLIENTS=$(CLIENTS) \
		TIMS_TEST_DATABASE=$(DATABASE) NODES=$(NODES) PARTITIONS=$(PARTITIONS) npm run oracle --silent --workspace tests

docs: ## the documentation as a site: build/docs/html, http://localhost:8080   [PORT=8080]
	@tools/setup build front docs && tools/docs/build && node_modules/.bin/node tools/docs/serve.mjs $(PORT)

clean: ## removes what was built
	@rm -rf build front/dist front/.next front/android front/ios front/capacitor.config.json

# What follows needs an engine for containers, a cluster or a phone. MODE is dev (back/ and front/ mounted, hot reload) or
# prod; images are REGISTRY/GIT_USER/tims-stack-NAME:TAG.
MODE ?= dev
export MODE GIT_USER TAG REGISTRY
export gha_token
deploy = @tools/deploy $@

#### In containers   [MODE=dev|prod] [GIT_USER=…] [TAG=…] [REGISTRY=…]
full_build: ## builds all images
	$(deploy)
start_all: ## starts everything: http://localhost:8000
	$(deploy)
stop_all: ## stops everything; the volumes stay
	$(deploy)
backend_build: ## builds the backend's image
	$(deploy)
backend_run: ## starts the backend, and what it needs
	$(deploy)
backend_migrate: ## brings the database of the containers up to date
	$(deploy)
frontend_build: ## builds the front end's image
	$(deploy)
frontend_run: ## starts the front end
	$(deploy)
start_redis: ## starts Redis
	$(deploy)
start_postgres: ## starts PostgreSQL
	$(deploy)

#### On a cluster of your own: microk8s, or the one that kubectl and helm are set up for
microk8s_setup: ## installs microk8s and switches on what the chart needs
	$(deploy)
microk8s_status: ## what runs there
	$(deploy)
microk8s_attach_backend: ## a shell in the backend's container (MODE=dev), or its log (MODE=prod)
	$(deploy)
full_build_deploy: ## builds all images and pushes them to the registry of microk8s
	$(deploy)
helm_install: ## installs the chart with helm/values.yaml
	$(deploy)
helm_update: ## brings an installed chart up to date
	$(deploy)
helm_uninstall: ## removes it; the volumes stay
	$(deploy)
helm_dry_install: ## prints what helm_install would install
	$(deploy)

#### In production
release: ## an archive for one server: build/tims-stack-VERSION-ARCHITECTURE.tar.gz
	@tools/release

full_build_prod: ## builds all images for production; no secret is needed
	$(deploy)
authorize_github_push: ## signs in to GitHub's registry   gha_token=… GIT_USER=…
	$(deploy)
push_prod: ## pushes the images for production   GIT_USER=… [TAG=…] [REGISTRY=ghcr.io]
	$(deploy)
helm_install_prod: ## installs the chart, or brings it up to date, with helm/production-values.yaml
	$(deploy)
helm_install_prod_dry: ## prints what helm_install_prod would install
	$(deploy)

#### On phones
capacitor_init: ## makes front/android and front/ios (the same as native)
	$(deploy)
android_full_build_export: ## exports the pages, makes front/android, and builds its APK in a container
	$(deploy)
android_build_install: ## the same, and installs the APK on the phone that adb sees
	$(deploy)

.PHONY: $(shell sed -n 's/^\([a-z][a-z0-9_]*\):.*/\1/p' Makefile)

# The verbs. Each installs what it lacks; the work is in tools/.
.PHONY: help start dev native test test_deploy bench lint fuzz oracle docs clean

help:
	@echo "make start   everything installed, built and served: http://localhost:8000"
	@echo "make dev     the same with hot reload"
	@echo "make native  the Android and iOS projects, front/android and front/ios   [DEVELOPMENT=true]"
	@echo "make test    every test                         [FILTER=unit/json]"
	@echo "make test_deploy   those of the containers, the chart and the one-server release alone"
	@echo "make bench   every measurement                  [NAME=json]"
	@echo "make lint    silent when all is well"
	@echo "make fuzz    every parser, fuzzed               [SECONDS=60] [TARGET=url_fuzz]"
	@echo "make oracle  what live clients hold, held against the database   [SECONDS=60] [SEED=7] [CLIENTS=20]"
	@echo "              on PostgreSQL, Redis and several nodes, all of which fail   DATABASE=postgres [NODES=3]"
	@echo "make docs    this documentation as a site: build/docs/html, http://localhost:8080   [PORT=8080]"
	@echo "make clean   removes what was built"

start:
	@tools/start

dev:
	@tools/start dev

native:
	@tools/setup front && tools/build-front && DEVELOPMENT=$(DEVELOPMENT) npm run native --silent --workspace front

test:
	@tools/run-tests $(FILTER)

test_deploy:
	@tools/run-tests deploy

bench:
	@bench/run $(NAME)

lint:
	@tools/lint

fuzz:
	@tools/setup build test && tools/build-back fuzz fuzz_targets && tools/fuzz $(or $(SECONDS),60) $(TARGET)

oracle:
	@tools/setup build test && tools/build-back release oracle_app && SECONDS=$(SECONDS) SEED=$(SEED) CLIENTS=$(CLIENTS) \
		TIMS_TEST_DATABASE=$(DATABASE) NODES=$(NODES) PARTITIONS=$(PARTITIONS) npm run oracle --silent --workspace tests

docs:
	@tools/setup build front docs && tools/docs/build && node_modules/.bin/node tools/docs/serve.mjs $(PORT)

clean:
	@rm -rf build front/dist front/.next front/android front/ios front/capacitor.config.json

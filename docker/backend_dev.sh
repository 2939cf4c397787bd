#!/usr/bin/env bash
# backend_dev.sh [COMMAND…]: builds what is mounted, then runs it; serve and worker anew whenever a source is saved.
set -euo pipefail
cd "$(dirname "$0")/.."
# Mounted sources may be older than the objects of the image, and others.
rm -rf build/release/back/CMakeFiles/chat.dir
tools/build-back release chat
case ${1:-serve} in
serve)
    build/release/chat migrate
    exec tools/watch "${@:-serve}"
    ;;
worker) exec tools/watch "$@" ;;
*) exec build/release/chat "$@" ;;
esac

#!/bin/sh
# Generates a Python client from the protos with grpcio-tools, in a virtual
# environment of its own, and asks a running server with it.
#
#   server/e2e/clients/python.sh HOST:PORT USER ITEM
set -eu
cd "$(dirname "$0")/../../.."
venv=${ATTUNE_VENV:-.venv/clients}
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import grpc_tools' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1 grpcio-tools==1.85.1
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
proto/prepare.sh
"$venv/bin/python" -m grpc_tools.protoc -I proto/.deps -I proto --python_out="$out" --grpc_python_out="$out" \
  proto/attune/v1/*.proto proto/.deps/buf/validate/*.proto proto/.deps/google/api/*.proto
PYTHONPATH=$out "$venv/bin/python" server/e2e/clients/client.py "$@"

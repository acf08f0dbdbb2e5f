#!/bin/sh
# Lays the protos that ours import beside them, out of the module cache, for
# the time of a generation: proto/.deps is never committed.
set -eu
cd "$(dirname "$0")/.."
out=proto/.deps
rm -rf "$out"
mkdir -p "$out/google/api"
validate=$(go mod download -json github.com/bufbuild/protovalidate@v1.2.2 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
googleapis=$(go mod download -json github.com/grpc-ecosystem/grpc-gateway@v1.16.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp -R "$validate/proto/protovalidate/buf" "$out/"
cp "$googleapis/third_party/googleapis/google/api/annotations.proto" \
   "$googleapis/third_party/googleapis/google/api/http.proto" "$out/google/api/"
chmod -R u+w "$out"

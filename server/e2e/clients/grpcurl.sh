#!/bin/sh
# Asks a running server as a stranger would: with grpcurl, which knows nothing
# of Attune but what the server's reflection tells.
#
#   server/e2e/clients/grpcurl.sh HOST:PORT USER ITEM
set -eu
address=$1 user=$2 item=$3
cd "$(dirname "$0")/../../.."
ask() { go tool -modfile=.ci/tools/grpcurl.mod grpcurl -plaintext "$@"; }
expect() { # expect WORD TEXT: fails when the text lacks the word
  case $2 in *"$1"*) ;; *) echo "grpcurl: expected $1 in: $2" >&2; exit 1 ;; esac
}

services=$(ask "$address" list)
for s in Recommendation Event Catalog User Release; do expect "attune.v1.${s}Service" "$services"; done
expect "grpc.health.v1.Health" "$services"
expect "SERVING" "$(ask "$address" grpc.health.v1.Health/Check)"
expect "page_token" "$(ask "$address" describe attune.v1.RecommendRequest)"

answer=$(ask -d "{\"user\":\"$user\",\"limit\":3}" "$address" attune.v1.RecommendationService/Recommend)
expect "recommendationId" "$answer"
expect "\"reason\"" "$answer"
expect "items" "$(ask -d "{\"item\":\"$item\"}" "$address" attune.v1.RecommendationService/SimilarItems)"
event="{\"event\":{\"id\":\"grpcurl-1\",\"type\":\"EVENT_TYPE_VIEW\",\"user\":\"$user\",\"item\":\"$item\"}}"
expect "sequence" "$(ask -d "$event" "$address" attune.v1.EventService/Collect)"
expect "duplicate" "$(ask -d "$event" "$address" attune.v1.EventService/Collect)"
if wrong=$(ask -d '{"limit":500}' "$address" attune.v1.RecommendationService/Recommend 2>&1); then
  echo "grpcurl: a limit of 500 was taken" >&2; exit 1
fi
expect "InvalidArgument" "$wrong"
expect "limit" "$wrong"
echo "grpcurl: all calls answered as they should"

#!/bin/sh
# Writes the replica set's key file, private and in memory only, then starts as the image does.
set -eu

umask 077
printf '%s\n' "${MONGO_KEYFILE:?run 'make secrets' first}" >/run/amato/keyfile
unset MONGO_KEYFILE
exec docker-entrypoint.sh "$@"

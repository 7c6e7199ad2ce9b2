#!/bin/sh
# The password goes into a private file in memory: on a command line every process could read it.
set -eu

umask 077
cat >/run/amato/redis.conf <<CONF
requirepass ${REDIS_PASSWORD:?run 'make secrets' first}
appendonly yes
dir /data
CONF
unset REDIS_PASSWORD
exec redis-server /run/amato/redis.conf

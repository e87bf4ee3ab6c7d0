# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Sourced by what starts a server of Node's: start_redis DIR PORT, in memory, and the modules are there.

start_redis() {
    command -v node >/dev/null || { echo "node is not installed" >&2; exit 3; }
    command -v redis-server >/dev/null || { echo "redis-server is not installed" >&2; exit 3; }
    [ -d "$peers/node_modules/redis" ] || { echo "npm install --prefix bench/peers was not done" >&2; exit 3; }
    redis-server --bind 127.0.0.1 --port "$2" --dir "$1" --save '' --appendonly no \
        --logfile "$1/redis.log" &
    until redis-cli -p "$2" ping >/dev/null 2>&1; do
        kill -0 $! || exit 1
    done
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The part of ./dev that tortures and measures; sourced by it.

# stress_one WHAT COMMAND…: runs it, and counts it as one test of this name.
stress_one() {
    local what=$1 verdict=pass
    shift
    "$@" || verdict=fail
    [ -z "${TALLY_FILE-}" ] || tally one $verdict "$what"
    [ $verdict = pass ]
}

# stress_node BUILD WHAT PROGRAM ARGUMENT…: a program of tests/stress that runs nodes of this build.
stress_node() {
    local build=$1 what=$2 program=$3
    shift 3
    stress_one "$what" env RINGSIDE_TEST_BUILD="$root/$build" /usr/bin/python3 \
        "$root/tests/stress/$program" "$@"
}

# stress_rings DEATHS: the torture of the rings, which prints what it counted.
stress_rings() {
    build build -Dtests=true
    stress_one "torture of the rings" "$root/build/tests/stress/rings/torture" \
        "$root/build/tests/stress/rings/torture-helper" --deaths "$1"
}

# stress_crashes KILLS EVENTS: a whole node whose processes are killed at random, and its broker at
# named steps, which only this build has.
stress_crashes() {
    build_asan
    stress_node build-asan "a node whose processes are killed" crashes/crashes.py \
        --kills "$1" --events "$2"
}

# stress_soak SECONDS: a node under load with clients of every kind. Memory is looked at, so this is the
# build that people run.
stress_soak() {
    build build -Dtests=true
    stress_node build "a node under load that does not grow" soak/soak.py --seconds "$1"
}

# stress_batch REQUESTS: a batch that is killed five times and goes on. How fast that is, is told, so this
# is the build that people run.
stress_batch() {
    build build -Dtests=true
    stress_node build "a batch that is killed and goes on" batch/batch.py --requests "$1"
}

# stress_fuzz SECONDS: each fuzz program for so long.
stress_fuzz() {
    CC=clang-14 targets=fuzz-programs build build-fuzz -Dfuzz=true -Dtests=true -Db_lundef=false \
        -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$root/tools/fuzz" "$root/build-fuzz" "$1"
}

# The rings and the crashes at once: each waits more than it works. The soak measures, and is alone.
part_stress() {
    local status=0 rings
    stress_rings 5000 >&2 &
    rings=$!
    stress_crashes 60 20000 >&2 || status=1
    wait "$rings" || status=1
    stress_batch 500 >&2 || status=1
    stress_soak 60 >&2 || status=1
    return $status
}

part_fuzz() { stress_fuzz 3 >&2; }

command_stress() {
    local name names=() deaths=5000 kills=60 events=20000 seconds=3 soak=60 requests=500 status=0
    for name in "$@"; do
        case $name in
        --long) deaths=100000 kills=1000 events=360000 seconds=600 soak=1800 requests=10000 ;;
        rings | crashes | batch | soak | fuzz) names+=("$name") ;;
        *) die "no stress $name: rings, crashes, batch, soak, fuzz; --long for the long form" ;;
        esac
    done
    ((${#names[@]})) || names=(rings crashes batch soak fuzz)
    need "${build_packages[@]}" "${test_packages[@]}"
    for name in "${names[@]}"; do
        say "stress: $name"
        case $name in
        rings) stress_rings $deaths || status=1 ;;
        crashes) stress_crashes $kills $events || status=1 ;;
        batch) stress_batch $requests || status=1 ;;
        soak) stress_soak $soak || status=1 ;;
        fuzz) stress_fuzz $seconds || status=1 ;;
        esac
    done
    return $status
}

# What Ringside is measured beside; what cannot be had is passed over by the measurement, which says so.
need_peers() {
    (need "${peer_packages[@]}") || say "without all peers, then"
    [ -d "$root/bench/peers/node_modules" ] || npm install --prefix "$root/bench/peers" --no-audit \
        --no-package-lock --no-fund --loglevel=error >&2 || say "npm could not install the peers on Node"
}

command_bench() {
    local program names=() options=()
    while (($#)); do
        case $1 in
        --only) options+=("--only=${2-}") && shift ;;
        -*) options+=("$1") ;;
        *) names+=("$1") ;;
        esac
        shift
    done
    ((${#names[@]})) || names=(ring)
    build_programs
    local name
    for name in "${names[@]}"; do
        program=$root/build/bench/ringside-bench-$name
        case $name in
        gateway | e2e)
            need_peers
            program=$root/bench/$name.py
            ;;
        emit) program=$root/bench/emit.py ;;
        esac
        [ -x "$program" ] ||
            die "there is no benchmark $name: ring, emit, broker, recovery, death, gateway, e2e"
        "$program" ${options[@]+"${options[@]}"}
    done
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The part of ./dev that tortures and measures; sourced by it.

# stress_rings DEATHS: the torture of the rings, which prints what it counted.
stress_rings() {
    local verdict=pass
    build build -Dtests=true
    "$root/build/tests/stress/rings/torture" "$root/build/tests/stress/rings/torture-helper" \
        --deaths "$1" || verdict=fail
    [ -z "${TALLY_FILE-}" ] || tally one $verdict "torture of the rings"
    [ $verdict = pass ]
}

# stress_fuzz SECONDS: each fuzz program for so long.
stress_fuzz() {
    CC=clang-14 build build-fuzz -Dfuzz=true -Dtests=true -Db_lundef=false \
        -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$root/tools/fuzz" "$root/build-fuzz" "$1"
}

part_stress() { stress_rings 5000 >&2; }

part_fuzz() { stress_fuzz 3 >&2; }

command_stress() {
    local name names=() deaths=5000 seconds=3 status=0
    for name in "$@"; do
        case $name in
        --long) deaths=100000 seconds=600 ;;
        rings | fuzz) names+=("$name") ;;
        *) die "no stress $name: rings, fuzz; --long for the long form" ;;
        esac
    done
    ((${#names[@]})) || names=(rings fuzz)
    need "${build_packages[@]}" "${test_packages[@]}"
    for name in "${names[@]}"; do
        say "stress: $name"
        case $name in
        rings) stress_rings $deaths || status=1 ;;
        fuzz) stress_fuzz $seconds || status=1 ;;
        esac
    done
    return $status
}

command_bench() {
    local name program names=() options=()
    for name in "$@"; do
        case $name in
        -*) options+=("$name") ;;
        *) names+=("$name") ;;
        esac
    done
    ((${#names[@]})) || names=(ring)
    build_programs
    for name in "${names[@]}"; do
        program=$root/build/bench/ringside-bench-$name
        [ -x "$program" ] || die "there is no benchmark $name: ring, broker"
        "$program" ${options[@]+"${options[@]}"}
    done
}

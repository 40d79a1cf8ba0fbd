#!/usr/bin/env bash
# Whether the fuzz target `case` sees anything: a build with a planted bug in every protocol must
# end with a find within a minute.
#
#   ci/fuzz-canary.sh [SECONDS]     60 unless said; building is not counted
#
# Ends 0 when the bug was found and its repro reproduces it · 1 when not · 64 on a wrong command
# line · 70 when the target does not build.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 70

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]{0,3}$ ]] || {
  printf 'fuzz-canary: SECONDS takes a whole number from 1 to 9999, not %s\n' "$seconds" >&2
  exit 64
}
room=$(mktemp -d) || exit 70
trap 'rm -rf "$room"' EXIT
mkdir "$room/corpus"

cargo +nightly fuzz build --sanitizer none --features broken case || exit 70
began=$SECONDS
if cargo +nightly fuzz run --sanitizer none --features broken case "$room/corpus" fuzz/corpus/case -- \
  -max_total_time="$seconds" -artifact_prefix="$room/" >"$room/log" 2>&1; then
  tail -5 "$room/log"
  printf 'fuzz-canary: the planted bug was not found in %s s\n' "$seconds" >&2
  exit 1
fi
took=$((SECONDS - began))
sed -n '/^# A case that Tribunal saved/,/^# The end of the repro/p' "$room/log" >"$room/find.toml"
if [ ! -s "$room/find.toml" ]; then
  tail -20 "$room/log"
  printf 'fuzz-canary: the run ended without a find\n' >&2
  exit 1
fi
grep -m1 '^signature' "$room/find.toml"
cargo run --release --locked --quiet -- replay "$room/find.toml" | tail -3
code=${PIPESTATUS[0]}
if [ "$code" -ne 1 ]; then
  printf 'fuzz-canary: the repro does not reproduce: replay ended %s\n' "$code" >&2
  exit 1
fi
printf 'fuzz-canary: found, made small and replayed; the fuzzer took %s s\n' "$took"

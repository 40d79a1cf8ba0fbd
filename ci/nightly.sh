#!/usr/bin/env bash
# A night's search: campaigns with fresh seeds over every scenario, then the fuzz targets.
#
#   ci/nightly.sh --minutes M [--campaign C] [--out DIR]
#
#   --minutes M    how long to search, whole minutes; building is not counted
#   --campaign C   a name for the streams of seeds; the same name gives the same cases again
#                  (default: today's date and time, which nobody has tried before)
#   --out DIR      what it leaves: report.md, every run's output, and the failing cases
#                  (default: target/nightly/C); it must not hold an earlier night
#
# Ends 0 when all that was found was expected · 1 when something was found · 2 when nothing was
# found and some campaign proved nothing · 64 on a wrong command line · 70 when a tool broke · 74
# when DIR cannot be written. A find wins over a broken tool: the report names both.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 70

# Finds go below target/ and into DIR: the tree stays as it was checked out.
export CI="${CI:-true}"

usage() {
  printf 'nightly: %s\n' "$1" >&2
  sed -n '4,10s/^# \{0,1\}//p' ci/nightly.sh >&2
  exit 64
}

minutes='' campaign='' out=''
while [ $# -gt 0 ]; do
  case "$1" in
    --minutes | --campaign | --out) [ $# -ge 2 ] || usage "$1 needs a value" ;;
  esac
  case "$1" in
    --minutes) minutes=$2 && shift 2 ;;
    --campaign) campaign=$2 && shift 2 ;;
    --out) out=$2 && shift 2 ;;
    *) usage "unknown argument $1" ;;
  esac
done
[[ $minutes =~ ^[1-9][0-9]{0,4}$ ]] || usage "--minutes takes a whole number from 1 to 99999, not '$minutes'"
campaign=${campaign:-night-$(date -u +%Y%m%d-%H%M%S)}
[[ $campaign =~ ^[A-Za-z0-9._-]+$ ]] || usage "--campaign takes letters, digits, '.', '_' and '-', not '$campaign'"
out=${out:-target/nightly/$campaign}
[ ! -e "$out/report.md" ] || usage "$out holds the report of an earlier night"
command -v jq >/dev/null || { echo 'nightly: needs jq to read the results' >&2 && exit 70; }
mkdir -p "$out/repros" "$out/fuzz" || exit 74
stamp=$out/.started
touch "$stamp" || exit 74

found=() searched=() fuzzed=() vacuous=() broken=() skipped=() # sentences of the report; `found` are rows of its table

# What one campaign's JSON lines say of violations that nobody expected: the rows of the table, and
# with `saved` the files of the shrunk cases. A line that was cut off in the middle is skipped.
unexpected() {
  jq -nrR --arg what "$1" --arg on "${3:+ --engine $3}" '
    [inputs | fromjson?] as $lines
    | [$lines[] | select(.kind == "report" and .verdict == "violated" and (.expected | not))] as $bad
    | if $what == "saved" then
        $lines[] | select(.kind == "repro" and (.scenario | IN($bad[].scenario))) | .saved
      else
        $bad[] | .scenario as $name | .findings[]
        | "| \($name) | `\(.seed)` | `\(.digest)` | \(.signature | gsub("[|]"; "/"))"
          + " | `cargo run --release -- explore \($name)\($on) --seed \(.seed)` |"
      end' "$2"
}

# How much a campaign has tried.
tally() {
  jq -nRr '[inputs | fromjson? | select(.kind == "report")]
    | "\(map(.cases) | add // 0) cases of \(length) scenarios"' "$1" || echo nothing
}

# One campaign over every scenario, or over those that are named, on the heap engine or on another
# one. Without a name `explore` ends 0 when each verdict is the expected one, so the exhibits, which
# must fail, raise no alarm. Its budget is for each scenario.
campaign_of() {
  local name=$1 each=$2 engine=$3 results=$out/$1.jsonl log=$out/$1.log known=${#found[@]} code stream rows
  shift 3
  # The binary wants a number: a hash of the name.
  stream=0x$(printf '%s' "$name" | sha256sum | cut -c 1-16)
  printf '== campaign %s (%s) on %s, %s s a scenario\n' "$name" "$stream" "$engine" "$each"
  # An interrupted campaign reports what it has; one that ignores even that has hung. Shrinking
  # comes after the budget, hence the margin.
  timeout --signal=INT --kill-after=60 "$((each * scenarios * 2 + 300))" \
    target/release/tribunal explore "$@" --engine "$engine" --budget "${each}s" \
    --campaign "$stream" --json --out "$results" >"$log" 2>&1
  code=$?
  searched+=("campaign \`$name\`, number \`$stream\`, on $engine: $(tally "$results")")
  if [ $code -ne 0 ] && [ -f "$results" ]; then
    mapfile -t rows < <(unexpected rows "$results" "$engine")
    found+=("${rows[@]}")
    unexpected saved "$results" | while IFS= read -r case; do cp --parents -t "$out/repros" "$case"; done
  fi
  case $code in
    0) ;;
    1) [ "${#found[@]}" -gt "$known" ] ||
      found+=("| see \`$name.log\` | | | exit 1 without a violation in its results | \`cargo run --release -- explore --engine $engine --campaign $stream --budget ${each}s\` |") ;;
    2) vacuous+=("campaign \`$name\`: something was unknown or vacuous: see \`$name.jsonl\`") ;;
    124 | 137) broken+=("campaign \`$name\` did not end: see \`$name.log\`") ;;
    *) broken+=("campaign \`$name\` ended $code: see \`$name.log\`") ;;
  esac
}

# Campaigns until `search` seconds are over, in slices of ten minutes at most: one that breaks does
# not take the night with it, but a tool that breaks three times is broken. Of four slices the third
# is the madsim engine's and the fourth the real one's, with what must hold: not every exhibit is
# found there in so short a time.
campaigns() {
  local end=$((SECONDS + search)) slice each
  target/release/tribunal list >"$out/list.txt" 2>&1 ||
    broken+=("\`tribunal list\` ended $?: see \`list.txt\`")
  # Exhibits end at their first violation and take next to nothing.
  mapfile -t holding < <(awk '/^$/ { exit } $2 == "holds" { print $1 }' "$out/list.txt")
  scenarios=${#holding[@]}
  [ "$scenarios" -gt 0 ] || scenarios=1
  for ((slice = 1; slice <= minutes && ${#broken[@]} < 3; slice++)); do
    each=$((end - SECONDS < 600 ? end - SECONDS : 600))
    each=$((each / scenarios))
    [ $each -gt 0 ] || break
    case $((slice % 4)) in
      3) campaign_of "$campaign-$slice" "$each" madsim "${holding[@]}" ;;
      0) campaign_of "$campaign-$slice" "$each" real "${holding[@]}" ;;
      *) campaign_of "$campaign-$slice" "$each" heap ;;
    esac
  done
}

# One fuzz target, without the address sanitizer: there is no unsafe code here to watch, and it costs
# two thirds of the runs. libFuzzer's exit code does not tell a find from a failure to start; what it
# leaves behind does.
fuzz() {
  local target=$1 seconds=$2 log=$out/fuzz/$1.log code input finds
  local corpora=("$out/fuzz/corpus-$target") # new inputs go to the first, not into the tree
  [ ! -d "fuzz/corpus/$target" ] || corpora+=("fuzz/corpus/$target")
  printf '== fuzz %s, %s s\n' "$target" "$seconds"
  mkdir -p "$out/fuzz/$target" "${corpora[0]}"
  cargo +nightly fuzz run --sanitizer none "$target" "${corpora[@]}" -- -max_total_time="$seconds" -timeout=60 \
    >"$log" 2>&1
  code=$?
  fuzzed+=("\`$target\`: $(grep -E '^Done [0-9]+ runs' "$log" || echo "ended before its time")")
  [ $code -ne 0 ] || return 0
  # `case` tells its find as a repro too, which outlives the bytes.
  sed -n '/^# A case that Tribunal saved/,/^# The end of the repro/p' "$log" >"$out/fuzz/$target.toml"
  [ ! -s "$out/fuzz/$target.toml" ] || mv "$out/fuzz/$target.toml" "$out/repros/fuzz-$target.toml"
  [ ! -d "fuzz/artifacts/$target" ] ||
    find "fuzz/artifacts/$target" -type f -newer "$stamp" -exec cp -t "$out/fuzz/$target" {} +
  finds=0
  for input in "$out/fuzz/$target"/*; do
    [ -f "$input" ] || continue
    finds=$((finds + 1))
    found+=("| fuzz target \`$target\` | | | $(basename "$input") | \`cargo +nightly fuzz run $target $input\` |")
  done
  [ $finds -gt 0 ] || broken+=("fuzz target \`$target\` ended $code and left no input: see \`fuzz/$target.log\`")
}

# Whether the fuzz targets can be built here; installs the one tool that cargo can install.
fuzz_ready() {
  if [ ! -f fuzz/Cargo.toml ]; then
    skipped+=("fuzzing: there is no fuzz/Cargo.toml") && return 1
  elif ! cargo +nightly --version >/dev/null 2>&1; then
    skipped+=("fuzzing: no nightly toolchain (rustup toolchain install nightly)") && return 1
  elif ! cargo fuzz --version >/dev/null 2>&1 &&
    ! cargo install cargo-fuzz --locked >"$out/fuzz/install.log" 2>&1; then
    broken+=("cargo-fuzz could not be installed: see \`fuzz/install.log\`") && return 1
  elif ! cargo +nightly fuzz build --sanitizer none >"$out/fuzz/build.log" 2>&1; then
    broken+=("the fuzz targets do not build: see \`fuzz/build.log\`") && return 1
  fi
}

section() {
  local title=$1
  shift
  [ $# -gt 0 ] || return 0
  printf '\n## %s\n\n' "$title"
  printf -- '- %s\n' "$@"
}

report() {
  printf '# Night %s\n\n%s minutes on commit %s, from %s.\n' "$campaign" "$minutes" \
    "$(git rev-parse HEAD 2>/dev/null || echo unknown)" "$began"
  printf '\n## Found\n\n'
  if [ ${#found[@]} -eq 0 ]; then
    echo 'Nothing that was not expected.'
  else
    printf '| scenario | seed | digest | signature | again |\n|---|---|---|---|---|\n'
    printf '%s\n' "${found[@]}"
  fi
  mapfile -t cases < <(find "$out/repros" -type f -name '*.toml' | sort)
  cases=("${cases[@]/#/\`cargo run --release -- replay }")
  section 'Cases saved' "${cases[@]/%/\`}"
  section 'Proved nothing' "${vacuous[@]}"
  section 'Broke' "${broken[@]}"
  section 'Skipped' "${skipped[@]}"
  section 'Searched' "${searched[@]}" "${fuzzed[@]}"
}

began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
if cargo build --release --locked >"$out/build.log" 2>&1; then
  search=$((minutes * 60)) each=0
  targets=(case case_toml checker_vs_brute_force codec history_edn history_jsonl)
  if fuzz_ready; then
    each=$((search / (3 * ${#targets[@]}))) # a third of the night, shared by the targets
    search=$((search - ${#targets[@]} * each))
  fi
  campaigns
  if [ $each -gt 0 ]; then
    for target in "${targets[@]}"; do fuzz "$target" "$each"; done
  fi
else
  broken+=("the release build failed: see \`build.log\`")
fi

rm -f "$stamp"
report >"$out/report.md" || exit 74
cat "$out/report.md"
printf '\nreport  %s\n' "$out/report.md"

if [ ${#found[@]} -gt 0 ]; then exit 1; fi
if [ ${#broken[@]} -gt 0 ]; then exit 70; fi
if [ ${#vacuous[@]} -gt 0 ]; then exit 2; fi

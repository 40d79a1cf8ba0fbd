#!/usr/bin/env bash
# The one gate, here and in continuous integration. It never writes to the tree: ci/fix.sh does.
# What is not installed is skipped by name; format, lints and the tests never are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Under CI the tests write what they find below target/, and never into tests/repros.
export CI="${CI:-true}"
# A clean build is made once: what would speed the next one only fills the disk.
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"

skipped=()
step() {
  printf '\n== %s\n' "$*"
  "$@"
}
installed() { command -v "$1" >/dev/null 2>&1; }
tree() { if git rev-parse --git-dir >/dev/null 2>&1; then git status --porcelain; fi; }

before=$(tree)

step cargo fmt --all --check
step cargo fmt --manifest-path fuzz/Cargo.toml --check
# The side-by-side benchmarks pull in other people's simulators: nobody builds them in passing.
step cargo clippy --workspace --exclude bench-peers --all-targets --locked -- -D warnings
step cargo test # the README's command, word for word

if cargo deny --version >/dev/null 2>&1; then
  # Advisories change without a commit and need the network: continuous integration asks for them.
  step cargo deny --locked check bans licenses sources
else
  skipped+=("cargo deny (cargo install cargo-deny --locked)")
fi
if installed check-jsonschema; then
  step check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
else
  skipped+=("check-jsonschema (pip install check-jsonschema)")
fi
if installed zizmor; then
  step zizmor --offline --no-progress .github/workflows
else
  skipped+=("zizmor (pip install zizmor)")
fi
if installed shellcheck; then
  step shellcheck .ci/run ci/*.sh
else
  skipped+=("shellcheck")
fi

after=$(tree)
if [ "$before" != "$after" ]; then
  printf '\nverify: the tree has changed under the checks, which must not write to it:\n' >&2
  diff <(printf '%s\n' "$before") <(printf '%s\n' "$after") >&2 || true
  exit 1
fi

echo
if [ ${#skipped[@]} -gt 0 ]; then
  printf 'verify: skipped, not installed: %s\n' "${skipped[@]}"
fi
echo "verify: all that was run has passed"

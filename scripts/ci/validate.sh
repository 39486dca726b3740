#!/usr/bin/env bash
# Usage: scripts/ci/validate.sh [OPTION...] BEFORE AFTER | POLICY.toml
#        scripts/ci/validate.sh --staged FILE...
#        scripts/ci/validate.sh --binary
#
# Runs `torchferry validate` as a job of continuous integration: every report is written into one folder, and the
# exit code is that of torchferry (0 passed, 1 a check failed, 2 could not be checked, 3 refused for safety).
#
#   --staged   each FILE has to be whole and to be what PyTorch 2.x loads as it is: for hooks
#   --binary   only find or build torchferry, and print its path
#
# Environment; what it says comes before what stands on the command line:
#   TORCHFERRY           the program; else the one built here, the one on PATH, or a new build
#   TORCHFERRY_BEFORE, TORCHFERRY_AFTER, TORCHFERRY_POLICY   what to check
#   TORCHFERRY_ARGS      more options, one a line
#   TORCHFERRY_REPORTS   folder for validation.xml (JUnit), .sarif, .json, .md, .html (default: torchferry-reports)

set -euo pipefail
help() { sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

find_binary() {
  local candidate
  if [ -n "${TORCHFERRY:-}" ]; then
    if [ -x "$TORCHFERRY" ]; then
      echo "$TORCHFERRY"
      return
    fi
    echo "validate.sh: TORCHFERRY is $TORCHFERRY, which is no program" >&2
    return 2
  fi
  for candidate in "$root"/build/{release,no-torch}/torchferry "$(command -v torchferry || true)"; do
    if [ -x "$candidate" ]; then
      echo "$candidate"
      return
    fi
  done
  echo "validate.sh: building torchferry in $root/build" >&2
  { "$root/scripts/setup" --without-torch && "$root/scripts/build" no-torch; } >&2 || return 2
  echo "$root/build/no-torch/torchferry"
}

# A file is checked against itself: it has to be what its own conversion would be.
check_staged() {
  local worst=0 code file
  for file in "$@"; do
    code=0
    # A git-lfs pointer stands for a file that is not here; there is nothing to look into.
    if [ "$(head -c 42 -- "$file" | tr -d '\0')" = "version https://git-lfs.github.com/spec/v1" ]; then
      echo "$file: a git-lfs pointer, not checked"
      continue
    fi
    "$binary" inspect --check "$file" >/dev/null || code=$?
    if [ "$code" = 0 ]; then
      "$binary" validate "$file" "$file" --without 'drift*' --no-progress || code=$?
    fi
    if [ "$code" -gt "$worst" ]; then worst=$code; fi
  done
  return "$worst"
}

case ${1:-} in
  -h | --help) help; exit 0 ;;
  --binary) find_binary; exit ;;
esac
binary=$(find_binary)
if [ "${1:-}" = --staged ]; then
  shift
  check_staged "$@"
  exit
fi

arguments=()
for value in "${TORCHFERRY_POLICY:-}" "${TORCHFERRY_BEFORE:-}" "${TORCHFERRY_AFTER:-}"; do
  if [ -n "$value" ]; then arguments+=("$value"); fi
done
while IFS= read -r line; do
  if [ -n "$line" ]; then arguments+=("$line"); fi
done <<<"${TORCHFERRY_ARGS:-}"

reports=${TORCHFERRY_REPORTS:-torchferry-reports}
mkdir -p "$reports"
exec "$binary" validate "${arguments[@]}" "$@" --force --no-progress \
  --junit "$reports/validation.xml" --sarif "$reports/validation.sarif" --markdown "$reports/validation.md" \
  --report "$reports/validation.json" --report "$reports/validation.html"

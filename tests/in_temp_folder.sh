#!/usr/bin/env bash
# Runs a command in a fresh folder that is removed afterwards, so that no test can lean on what another one left.
set -euo pipefail
: "${TORCHFERRY_SHARED:=$TORCHFERRY_SOURCE/../shared}"
export TORCHFERRY_SHARED
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$@"

#!/usr/bin/env bash
# torchferry starts in milliseconds only while it loads few libraries: LibTorch or HDF5 must not creep in.
set -euo pipefail
golden="$TORCHFERRY_SOURCE/tests/needed.golden"
readelf -d "$TORCHFERRY" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | LC_ALL=C sort >needed
# A machine without an optional library needs fewer; only a name outside the list is a failure.
if extra=$(grep -vxFf "$golden" needed); then
  echo "torchferry needs libraries that tests/needed.golden does not list:"
  echo "$extra"
  exit 1
fi

#!/usr/bin/env bash
# Runs a Python script in the environment that scripts/setup made; 77 (skipped) where that or PyTorch is missing.
# Looking for the folder is enough: importing torch only to see that it is there would cost seconds a test.
set -euo pipefail
venv=$1
shift
if ! compgen -G "$venv/lib/python3*/site-packages/torch/__init__.py" >/dev/null; then
  echo "skipped: no PyTorch in $venv (scripts/setup installs it)"
  exit 77
fi
exec "$venv/bin/python" "$@"

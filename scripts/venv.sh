#!/usr/bin/env bash
# Makes .tools/venv where it is missing and installs this project into it, editable, with the extras asked for.
# Usage: venv.sh PYTHON [EXTRAS]
set -euo pipefail

python=$1 extras=${2:+[$2]}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  { echo "Python 3.10 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }

if [[ ! -x .tools/venv/bin/pip ]]; then
  # Debian's python3 comes without ensurepip; its package of that name brings it.
  "$python" -c 'import ensurepip' 2>/dev/null || scripts/debian-packages.sh "no-ensurepip:python3-venv"
  rm -rf .tools/venv
  "$python" -m venv .tools/venv
fi
.tools/venv/bin/pip install --disable-pip-version-check --progress-bar off --editable ".${extras}"

#!/usr/bin/env bash
# Installs the Debian packages whose commands are missing; where it may not, says in one line which ones to install.
# Usage: debian-packages.sh COMMAND:PACKAGE...
set -euo pipefail

missing=()
for pair in "$@"; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
((${#missing[@]})) || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

if ((EUID)) || ! command -v apt-get >/dev/null; then
  echo "Please install: ${missing[*]} (on Debian: apt-get install ${missing[*]})" >&2
  exit 1
fi
# Two steps may want apt at once; it would refuse the second. RUNLEVEL keeps a packaged daemon from being started.
mkdir -p .tools
exec 9>.tools/apt.lock
flock 9
apt-get update -q
DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends "${missing[@]}"

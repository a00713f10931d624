#!/usr/bin/env bash
# Runs one preparing step: says what it prepares and how long that took, keeps what it printed in a log.
# Usage: prepare.sh LABEL COMMAND [ARGUMENT]...
set -euo pipefail

label=$1
shift
log=.tools/log/${label//[^A-Za-z0-9._-]/-}.log
mkdir -p .tools/log

bold='' red='' plain=''
if [[ -t 2 && -z ${NO_COLOR-} ]]; then
  bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
fi
say() { printf '%s\n' "$*" >&2; }

SECONDS=0
say "  preparing ${bold}${label}${plain}"
# A download of minutes must not look like a hang. The last sleep outlives us: it must not hold a pipe that we print to.
(while sleep 20 >/dev/null 2>&1; do say "  … ${label}, ${SECONDS} s"; done) &
heartbeat=$!
trap 'kill "$heartbeat" 2>/dev/null || true' EXIT

if "$@" >"$log" 2>&1 </dev/null; then
  say "  ready     ${bold}${label}${plain} (${SECONDS} s)"
else
  code=$?
  tail -n 40 "$log" >&2
  say "  ${red}failed${plain}    ${label} after ${SECONDS} s; all it printed: $log"
  exit "$code"
fi

#!/usr/bin/env bash
# Links .tools/jdk to a JDK 17 or 21 of this machine: the ones that Spark 3.5 and 4 both run on. Installs one where none is.
# Usage: jdk.sh
set -euo pipefail

# Prints the home of the first JDK 17 or 21: the user's own choice first, then the one on PATH, then Debian's.
found() {
  local home on_path=''
  if command -v javac >/dev/null; then on_path=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")"); fi
  for home in "${JAVA_HOME-}" "$on_path" /usr/lib/jvm/java-17-openjdk-* /usr/lib/jvm/java-21-openjdk-*; do
    [[ -n $home && -x $home/bin/javac ]] || continue
    if [[ $("$home/bin/javac" -version 2>&1) =~ ^javac\ (17|21)(\.|$) ]]; then
      readlink -f "$home"
      return
    fi
  done
  return 1
}

if ! home=$(found); then
  package=openjdk-17-jdk-headless
  # Debian 12 has 17 and no 21, Debian 13 has 21 and no 17.
  if grep -qs 'VERSION_ID="13' /etc/os-release; then package=openjdk-21-jdk-headless; fi
  scripts/debian-packages.sh "no-jdk-17-or-21:$package"
  home=$(found)
fi
mkdir -p .tools
ln -sfn "$home" .tools/jdk
echo "JDK: $home"

#!/usr/bin/env bash
# Copies the jars that one pom of tests/e2e/jars names, with all they need, into a folder of .tools, whole or not at all.
# Usage: test-jars.sh POM FOLDER [SPARK_JARS]   (what SPARK_JARS already holds, in any version, is left out)
set -euo pipefail

pom=$1 target=$2 spark_jars=${3-}
rm -rf "$target" "$target.partial"
# Maven does not share a local repository between two runs of its own.
flock .tools/maven.lock mvn -B -q -f "$pom" -Dmaven.repo.local="$PWD/.tools/m2" \
  org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$PWD/$target.partial"

# Two versions of one library on a class path is a lottery: Spark's own wins.
artifact() { basename "$1" .jar | sed -E 's/-[0-9][0-9A-Za-z.+-]*$//'; }
if [[ -n $spark_jars ]]; then
  declare -A held=()
  for jar in "$spark_jars"/*.jar; do held[$(artifact "$jar")]=1; done
  for jar in "$target.partial"/*.jar; do
    if [[ -n ${held[$(artifact "$jar")]-} ]]; then rm "$jar"; fi
  done
fi
mv "$target.partial" "$target"

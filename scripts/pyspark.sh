#!/usr/bin/env bash
# Installs one pyspark into .tools/spark-VERSION, whole or not at all.
# Usage: pyspark.sh PYTHON VERSION
set -euo pipefail

python=$1 version=$2 target=.tools/spark-$2
[[ -d $target/pyspark-$version.dist-info ]] && exit 0

# pip takes what is in the current state of the folder for done: a broken download must not stay under the final name.
rm -rf "$target" "$target.partial"
"$python" -m pip install --disable-pip-version-check --progress-bar off --no-compile \
  --target "$target.partial" "pyspark==$version"
mv "$target.partial" "$target"

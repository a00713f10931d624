#!/usr/bin/env bash
# Installs what pyspark[connect] of Spark 4.2 asks for into .tools/spark-connect, whole or not at all.
# Usage: spark-connect.sh PYTHON
set -euo pipefail

python=$1 target=.tools/spark-connect
rm -rf "$target" "$target.partial"
"$python" -m pip install --disable-pip-version-check --progress-bar off --no-compile --target "$target.partial" \
  'pandas>=2.2.0' 'pyarrow>=18.0.0' 'grpcio>=1.76.0' 'grpcio-status>=1.76.0' 'googleapis-common-protos>=1.71.0' 'zstandard>=0.25.0'
mv "$target.partial" "$target"

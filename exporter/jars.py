"""Finds the listener's jar for the Spark that is there; looks at file names only."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

LINES = ("2.12", "2.13")


def path(line: str) -> Path:
    """Where the jar of a Scala line is in this installation; it may be missing in a bare checkout."""
    return Path(__file__).parent / "jars" / f"lakehouse-listener_{line}.jar"


def scala_line(environ: Mapping[str, str]) -> str | None:
    """The Scala line of the Spark that `spark-submit` would run here, None where no Spark is found.

    Told by the jar of Scala's library in SPARK_HOME, else in the pyspark package beside us, else behind `spark-submit`.
    """
    for home in spark_homes(environ):
        for library in (home / "jars").glob("scala-library-*.jar"):
            found = re.match(r"scala-library-(\d+\.\d+)\.", library.name)
            if found:
                return found[1]
    return None


def spark_homes(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where Spark may be: in SPARK_HOME, and nowhere else where that is set; in the pyspark package; behind `spark-submit`."""
    if environ.get("SPARK_HOME"):
        yield Path(environ["SPARK_HOME"])
        return
    package = importlib.util.find_spec("pyspark")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent
    submit = shutil.which("spark-submit", path=environ.get("PATH"))
    if submit is not None:
        yield Path(submit).resolve().parent.parent

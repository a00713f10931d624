"""Writes the pages that are made from declarations, docs/metrics.md and docs/configuration.md: no fact is typed twice."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from exporter import catalogue, collectors, config, health, probe_health
from exporter.metric import Metric
from exporter.streaming.failures import RULES

METRICS_PAGE = "metrics.md"
CONFIGURATION_PAGE = "configuration.md"


def metrics() -> str:
    """The text of docs/metrics.md: every metric of the catalogue in page order, and the closed sets that are label values."""
    sections = [
        ("Streaming queries", collectors.streaming.COLLECTOR.metrics),
        ("Drivers", collectors.driver.COLLECTOR.metrics),
        ("Expected streams", collectors.EXPECTED.metrics),
        *((f"Databricks: {one.name.replace('_', ' ')}", one.metrics) for one in collectors.OF_WORKSPACES),
        ("The exporter itself", (*health.METRICS, *probe_health.METRICS)),
    ]
    parts = [
        "# Metrics\n",
        "<!-- Made by `make pages` from the declarations; edit those. -->\n",
        (
            f"{len(catalogue.METRICS)} metrics. The words in parentheses name where a value comes from. Besides these the page"
            " has `process_*` and `python_*` of the exporter's own process.\n"
        ),
    ]
    for title, members in sections:
        parts.append(f"## {title}\n")
        parts.append("| metric | type | labels | what it tells |\n|---|---|---|---|\n" + "".join(map(_row, members)))
    parts.append("## Classes of failures\n")
    parts.append("The values of `class` besides `stopped`, `finished` and `driver_lost`.\n")
    parts.append(_failures())
    return "\n".join(parts)


def configuration() -> str:
    """The text of docs/configuration.md: every setting with its three spellings and its default."""
    rows = "".join(map(_setting, config.settings()))
    return (
        "# Configuration\n\n"
        "<!-- Made by `make pages` from the declarations; edit those. -->\n\n"
        "Nothing has to be set. A flag wins over its environment variable, that over the file, that over the default.\n"
        "`--config.file` (or `LAKEHOUSE_EXPORTER_CONFIG_FILE`) names a YAML file; a key `a.b` is `b` under `a`.\n"
        "Unknown keys are refused; every problem is told at once, and the exit code is 2.\n"
        "`lakehouse-exporter check` reads the settings, tries what they name once, and says how it went.\n\n"
        "SIGHUP, or `POST /-/reload` with `--web.enable-lifecycle`, has the settings read anew; those that take effect at\n"
        "the start alone have a \u2021. Where they can't be used the old ones go on:\n"
        "`lakehouse_exporter_config_last_reload_successful` is 0, and the log says why.\n\n"
        "| flag | environment | file | default | what it does |\n|---|---|---|---|---|\n" + rows + "\n"
        "A duration is `90s`, `10m`, `1h30m`, `250ms`, or a bare number of seconds. Several listen addresses are a\n"
        "list in the file, and stand with commas between them in the environment.\n\n"
        "```yaml\nweb:\n  listen_address: 127.0.0.1:10071\n"
        "storage:\n  path: /var/lib/lakehouse-exporter\nstreaming:\n  keep_ended: 10m\n```\n\n"
        "The listener in the driver has settings of its own, `spark.lakehouse.listener.*`: see listener/README.md.\n\n"
        "## Expected streams\n\n"
        "A stream that is not there tells nothing. Name those that you count on, in the file, and each has a series\n"
        "`spark_streaming_query_expected` whether it runs or not:\n\n"
        "```yaml\nexpected:\n  - app: orders\n    query: bronze\n"
        "  - app: orders\n    query: nightly\n    schedule: 24h  # ends by itself: the longest time between two of its runs\n"
        "```\n\n"
        "`lakehouse-exporter expected --learn` prints this block from what runs now, and `lakehouse-exporter expected` says\n"
        "which of the streams run.\n\n"
        "## Databricks workspaces\n\n"
        "Each is named in the file with one way to sign in; [databricks.md](databricks.md) says what it must be allowed.\n\n"
        "```yaml\nworkspaces:\n"
        "  - name: prod\n    host: https://adb-1234567890123456.7.azuredatabricks.net\n"
        "    client_id: 11111111-2222-3333-4444-555555555555\n    client_secret_file: /run/secrets/databricks\n"
        "    tags: [team]                        # tags of jobs that are shown\n"
        "    event_clusters: [shared-etl]        # clusters whose events are asked for, besides continuous jobs'\n"
        "  - {name: dev, host: https://dbc-1.cloud.databricks.com, token_file: /run/secrets/token}\n```\n\n"
        "Ways to sign in: `token_file` (a personal access token), `client_id` with `client_secret_file` (OAuth),\n"
        "`oidc_token_file` (a token that Kubernetes projects, exchanged; `client_id` where a service principal is meant),\n"
        "or `profile` (what Databricks' SDK knows; `pip install lakehouse-exporter[sdk-auth]`). Files are read again when\n"
        "they change. `ca_file`, `requests_per_second` (5) and `burst` (10) are optional; HTTPS_PROXY and NO_PROXY hold.\n"
        "Where the file names no workspace, DATABRICKS_HOST with DATABRICKS_TOKEN, or with DATABRICKS_CLIENT_ID and\n"
        "DATABRICKS_CLIENT_SECRET, does. A change of `workspaces` takes effect at the next start.\n\n"
        "## TLS and passwords\n\n"
        "`--web.config.file` takes the [web configuration][] of Prometheus' exporters. It is re-read when it, or a\n"
        "certificate that it names, changes. While it is broken every request is answered with 500; TLS can't be\n"
        "switched on or off without a restart. `rate_limit` holds for each client address apart; `http2` is taken,\n"
        "and HTTP/1.1 spoken.\n\n"
        "Refused, besides what those exporters refuse: a `client_auth_type` that asks for a certificate without\n"
        "verifying it, more than one of `curve_preferences`, a `client_ca_file` without a certificate, bcrypt costs\n"
        "above 14, a `min_version` above `max_version`, and headers of more than one line.\n\n"
        "[web configuration]: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Writes both pages into the folder that is named, `docs` if none is."""
    folder = Path(arguments[0] if arguments else "docs")
    (folder / METRICS_PAGE).write_text(metrics(), encoding="utf-8")
    (folder / CONFIGURATION_PAGE).write_text(configuration(), encoding="utf-8")
    return 0


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {_cell(metric.help)} |\n"


def _setting(setting: config.Setting) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    flag = f"--[no-]{setting.flag[2:]}" if setting.boolean else setting.flag
    mark = " \u2021" if setting.fixed else ""
    return f"| `{flag}`{mark} | `{setting.variable}` | `{setting.key}` | {default} | {setting.help} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _failures() -> str:
    rows = "".join(f"| `{rule.name}` | {rule.restart_helps} | {_cell(rule.remedy)} |\n" for rule in RULES)
    return "| class | does a restart help? | first remedy |\n|---|---|---|\n" + rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

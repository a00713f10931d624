"""The driver of an application, from its view; shapes samples, counts nothing."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.collector import Collector
from exporter.metric import Sample
from exporter.streaming import driver
from exporter.streaming.view import AppView


def samples(view: AppView) -> Iterator[Sample]:
    """Everything to be seen of the driver; once it has ended or long been silent, only what still holds."""
    if not view.ended:  # what has ended is not out of reach: nobody is to be woken for it
        yield driver.REACHABLE(int(view.driver.reachable), app=view.app)
    yield driver.LAST_CONTACT(view.driver.last_contact, app=view.app)
    if not view.fresh:
        return
    yield _info(view)
    values = {**view.counters, **({} if view.ended else driver.gauges(view.driver.facts))}
    for (name, *labels), value in values.items():
        if name in driver.BY_NAME:
            yield driver.BY_NAME[name](value, app=view.app, **dict(zip(driver.BY_NAME[name].labels[1:], labels, strict=True)))


def _info(view: AppView) -> Sample:
    facts = view.driver.facts
    place = driver.databricks(facts)
    app, spark, jvm, listener = facts.app, facts.spark, facts.jvm, facts.listener
    return driver.INFO(
        1,
        app=view.app,
        app_id=view.driver.app_id,
        name=(app.name if app else None) or "",
        spark_version=(spark.version if spark else None) or "",
        scala_version=(spark.scala if spark else None) or "",
        java_version=(jvm.version if jvm else None) or "",
        listener_version=(listener.version if listener else None) or "",
        master=(spark.master if spark else None) or "",
        scheduler_mode=(spark.scheduler_mode if spark else None) or "",
        workspace=place.workspace,
        cluster_id=place.cluster_id,
        job_id=place.job_id,
        job_run_id=place.job_run_id,
    )


COLLECTOR = Collector("driver", driver.METRICS, samples)

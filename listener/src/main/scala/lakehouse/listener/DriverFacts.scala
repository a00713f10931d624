package lakehouse.listener

import java.lang.management.ManagementFactory
import javax.management.ObjectName

import com.fasterxml.jackson.core.JsonGenerator
import org.apache.spark.SparkConf
import org.apache.spark.sql.streaming.StreamingQuery

/** Plain facts of the driver, as JSON, at the moment they are asked for. It runs no job and takes no lock of Spark's. */
private[listener] final class DriverFacts(
    appId: String,
    conf: SparkConf,
    settings: Settings,
    spark: SparkInside,
    intake: Intake,
    ring: EventRing,
    costs: Costs) {
  private val databricks = DatabricksTags.of(conf)
  private val beans = ManagementFactory.getPlatformMBeanServer
  private val system = new ObjectName(ManagementFactory.OPERATING_SYSTEM_MXBEAN_NAME)

  /** The facts; docs/bridge.md tells each field. */
  def json(): String = Json.obj { out =>
    part(out, "app")(app)
    part(out, "spark")(sparkItself)
    part(out, "jvm")(jvm)
    bus(out)
    queries(out)
    tags(out)
    part(out, "capabilities")(capabilities)
    part(out, "listener")(listener)
  }

  private def app(out: JsonGenerator): Unit = {
    Json.field(out, "id", appId)
    Json.field(out, "name", conf.get("spark.app.name", null))
    Json.field(out, "configuredName", settings.app)
  }

  private def sparkItself(out: JsonGenerator): Unit = {
    Json.field(out, "version", org.apache.spark.SPARK_VERSION)
    Json.field(out, "scala", scala.util.Properties.versionNumberString.split('.').take(2).mkString("."))
    Json.field(out, "master", conf.get("spark.master", null))
    Json.field(out, "shufflePartitions", orNull(conf.get("spark.sql.shuffle.partitions", "200").trim.toInt))
    Json.field(out, "schedulerMode", conf.get("spark.scheduler.mode", "FIFO").toUpperCase(java.util.Locale.ROOT))
  }

  private def jvm(out: JsonGenerator): Unit = {
    val runtime = ManagementFactory.getRuntimeMXBean
    val heap = ManagementFactory.getMemoryMXBean.getHeapMemoryUsage
    val rest = ManagementFactory.getMemoryMXBean.getNonHeapMemoryUsage
    Json.field(out, "version", System.getProperty("java.version"))
    Json.field(out, "startMs", runtime.getStartTime)
    Json.field(out, "heapUsedBytes", heap.getUsed)
    Json.field(out, "heapCommittedBytes", heap.getCommitted)
    Json.field(out, "heapMaxBytes", if (heap.getMax < 0) null else heap.getMax)
    Json.field(out, "nonHeapUsedBytes", rest.getUsed)
    Json.field(out, "nonHeapCommittedBytes", rest.getCommitted)
    Json.field(out, "threads", ManagementFactory.getThreadMXBean.getThreadCount)
    // By its name: com.sun.management is not in every JVM.
    Json.field(out, "cpuNanos", orNull(beans.getAttribute(system, "ProcessCpuTime")))
    Json.field(out, "processors", Runtime.getRuntime.availableProcessors)
    out.writeArrayFieldStart("gc")
    ManagementFactory.getGarbageCollectorMXBeans.forEach { collector =>
      out.writeStartObject()
      Json.field(out, "name", collector.getName)
      Json.field(out, "count", collector.getCollectionCount)
      Json.field(out, "millis", collector.getCollectionTime)
      out.writeEndObject()
    }
    out.writeEndArray()
  }

  private def bus(out: JsonGenerator): Unit = {
    val queues = spark.busQueues()
    if (queues == null) out.writeNullField("bus")
    else {
      out.writeArrayFieldStart("bus")
      queues.forEach { queue =>
        out.writeStartObject()
        Json.field(out, "queue", queue.name)
        Json.field(out, "size", queue.size)
        Json.field(out, "dropped", queue.dropped)
        out.writeEndObject()
      }
      out.writeEndArray()
    }
  }

  private def queries(out: JsonGenerator): Unit = {
    val active = spark.activeQueries()
    if (active == null) out.writeNullField("queries")
    else {
      out.writeArrayFieldStart("queries")
      active.forEach { one =>
        out.writeStartObject()
        query(out, one)
        out.writeEndObject()
      }
      out.writeEndArray()
    }
  }

  private def query(out: JsonGenerator, query: StreamingQuery): Unit = {
    val status = spark.statusOf(query)
    Json.field(out, "id", query.id)
    Json.field(out, "runId", query.runId)
    Json.field(out, "name", query.name)
    Json.field(out, "trigger", spark.trigger(query))
    Json.field(out, "message", if (status == null) null else status.message)
    Json.field(out, "dataAvailable", if (status == null) null else status.isDataAvailable)
    Json.field(out, "triggerActive", if (status == null) null else status.isTriggerActive)
  }

  private def tags(out: JsonGenerator): Unit =
    if (databricks.isEmpty) out.writeNullField("databricks")
    else part(out, "databricks")(tag => databricks.forEach((key, value) => Json.field(tag, key, value)))

  private def capabilities(out: JsonGenerator): Unit = {
    Json.field(out, "own_queue", spark.ownQueue)
    Json.field(out, "all_sessions", spark.allSessions)
    Json.field(out, "bus_metrics", spark.busMetrics)
    Json.field(out, "status", spark.status)
  }

  private def listener(out: JsonGenerator): Unit = {
    val counts = intake.counted
    val fill = ring.fill
    Json.field(out, "version", Build.VERSION)
    Json.field(out, "events", counts.taken)
    Json.field(out, "queueDropped", counts.overflowed)
    Json.field(out, "ringDropped", fill.dropped)
    Json.field(out, "failed", counts.failed)
    Json.field(out, "cpuNanos", costs.cpuNanos)
    Json.field(out, "worstCallbackNanos", costs.worstCallbackNanos)
    Json.field(out, "ringEvents", fill.events)
    Json.field(out, "ringBytes", fill.bytes)
  }

  private def part(out: JsonGenerator, name: String)(fields: JsonGenerator => Unit): Unit = {
    out.writeObjectFieldStart(name)
    fields(out)
    out.writeEndObject()
  }

  private def orNull(value: => Any): Any =
    try value
    catch { case _: Exception => null }
}

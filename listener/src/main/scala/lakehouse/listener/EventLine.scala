package lakehouse.listener

import java.nio.charset.StandardCharsets.UTF_8

import com.fasterxml.jackson.core.JsonGenerator
import org.apache.spark.sql.streaming.StreamingQueryListener._

/** What an event looks like to readers: one JSON object around Spark's own JSON of it. */
private[listener] final class EventLine(spark: SparkInside) {
  import EventLine._

  /** Bytes of event number `seq`, handed over at `atMs` (ms since 1970); throws where the event has no JSON. */
  def apply(seq: Long, atMs: Long, event: AnyRef): Array[Byte] = Json.obj { out =>
    Json.field(out, "seq", seq)
    Json.field(out, "atMs", atMs)
    event match {
      case e: QueryProgressEvent => body(out, "progress", e.progress.json)
      case e: QueryIdleEvent => body(out, "idle", e.json)
      case e: QueryTerminatedEvent => body(out, "terminated", Json.cut(e.json, "exception", LongestException))
      case Started(e, query) =>
        body(out, "started", e.json)
        Json.field(out, "trigger", spark.trigger(if (query == null) spark.activeQuery(e.id, e.runId) else query))
      case Found(query) =>
        body(out, "found", Json.obj { of =>
          Json.field(of, "id", query.id)
          Json.field(of, "runId", query.runId)
          Json.field(of, "name", query.name)
        })
        Json.field(out, "trigger", spark.trigger(query))
        Json.raw(out, "progress", Option(query.lastProgress).map(last => Json.checked(last.json)).orNull)
      case other => throw new IllegalArgumentException(s"no streaming event: ${other.getClass.getName}")
    }
  }.getBytes(UTF_8)

  private def body(out: JsonGenerator, kind: String, json: String): Unit = {
    Json.field(out, "kind", kind)
    Json.raw(out, "event", Json.checked(json))
  }
}

private[listener] object EventLine {
  /** Characters of a terminated query's exception that are handed on. */
  val LongestException = 16384
}

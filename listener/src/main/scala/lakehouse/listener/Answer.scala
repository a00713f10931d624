package lakehouse.listener

import java.nio.charset.StandardCharsets.UTF_8

/** What a reader gets, as JSON: who answers, the driver's facts, and the events it has not got yet. */
private[listener] final class Answer(appId: String, epoch: String, startedMs: Long, ring: EventRing, facts: () => String) {

  /** Answers `poll`; a reader of another epoch is answered from the ring's beginning. */
  def poll(readersEpoch: String, afterSeq: Long, maxBytes: Int): String =
    text(if (readersEpoch == epoch) afterSeq else 0L, maxBytes.toLong, None)

  /** The last words at `endedMs` (ms since 1970): all that the ring holds. */
  def lastWords(endedMs: Long): String = text(0L, Long.MaxValue, Some(endedMs))

  private def text(afterSeq: Long, maxBytes: Long, endedMs: Option[Long]): String = Json.obj { out =>
    // Read before the facts are: they may be newer than the events they stand with, never older.
    val page = ring.read(afterSeq, maxBytes)
    Json.field(out, "version", Answer.Version)
    Json.field(out, "final", endedMs.isDefined)
    endedMs.foreach(Json.field(out, "endedMs", _))
    Json.field(out, "epoch", epoch)
    Json.field(out, "startedMs", startedMs)
    Json.field(out, "nowMs", System.currentTimeMillis)
    Json.field(out, "appId", appId)
    Json.field(out, "firstSeq", page.firstSeq)
    Json.field(out, "lastSeq", page.lastSeq)
    Json.field(out, "more", page.more)
    Json.raw(out, "facts", facts())
    out.writeArrayFieldStart("events")
    page.lines.forEach(line => out.writeRawValue(new String(line, UTF_8)))
    out.writeEndArray()
  }
}

private[listener] object Answer {
  /** Version of the contract in docs/bridge.md. */
  val Version = 1
}

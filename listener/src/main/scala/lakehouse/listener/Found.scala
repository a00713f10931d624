package lakehouse.listener

import org.apache.spark.sql.streaming.StreamingQuery

/** A query that already ran when the listener was attached; Spark posts no event for it. */
private[listener] final case class Found(query: StreamingQuery)

package lakehouse.listener

import org.apache.spark.sql.streaming.StreamingQuery
import org.apache.spark.sql.streaming.StreamingQueryListener.QueryStartedEvent

/** The start of a query with the query itself, which alone knows its trigger; null where it was not at hand. */
private[listener] final case class Started(event: QueryStartedEvent, query: StreamingQuery)

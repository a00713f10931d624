package lakehouse.listener

import java.nio.charset.StandardCharsets.UTF_8
import java.util.UUID

import org.apache.spark.sql.streaming.StreamingQueryListener.{QueryIdleEvent, QueryTerminatedEvent}
import org.scalatest.funsuite.AnyFunSuite

/** What an event looks like to readers. */
class EventLineSuite extends AnyFunSuite {
  private val line = new EventLine(new SparkInside)
  private val id = new UUID(1, 2)
  private val runId = new UUID(3, 4)

  /** Spark keeps the constructors of its events to itself. */
  private def made[T](event: Class[T], arguments: AnyRef*): T =
    event.getConstructors.find(_.getParameterCount == arguments.size).get.newInstance(arguments: _*).asInstanceOf[T]

  private def terminated(exception: Option[String]) = made(classOf[QueryTerminatedEvent], id, runId, exception, None)

  private def read(event: AnyRef) = Json.tree(new String(line(7, 8, event), UTF_8))

  test("a line is Spark's JSON of the event with number, time and kind around it") {
    val text = new String(line(7, 8, made(classOf[QueryIdleEvent], id, runId, "2026-11-22T00:00:00.000Z")), UTF_8)

    assert(text === """{"seq":7,"atMs":8,"kind":"idle","event":{"id":"00000000-0000-0001-0000-000000000002",""" +
      """"runId":"00000000-0000-0003-0000-000000000004","timestamp":"2026-11-22T00:00:00.000Z"}}""")
  }

  test("a long exception is cut, a short one is whole, nasty characters survive") {
    val nasty = "quote \" backslash \\ newline \n null \u0000 line separator \u2028 \uD83D\uDE00"

    assert(read(terminated(Some("x" * 20000))).at("/event/exception").textValue === "x" * 16384)
    assert(read(terminated(Some(nasty))).at("/event/exception").textValue === nasty)
    assert(read(terminated(None)).at("/event/id").textValue === id.toString)
  }

  test("what is no streaming event is refused") {
    intercept[IllegalArgumentException](line(7, 8, "text"))
  }

  test("JSON that is none is refused, before it spoils an answer") {
    for (broken <- Seq("", "{", "{} {}", "{\"a\":NaN}", "nothing")) {
      val refused =
        try { Json.checked(broken); false }
        catch { case _: Exception => true }

      assert(refused, broken)
    }
    assert(Json.checked("{\"a\":[1,{}]}") === "{\"a\":[1,{}]}")
  }
}

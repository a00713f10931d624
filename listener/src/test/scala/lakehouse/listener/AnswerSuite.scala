package lakehouse.listener

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.Paths

import org.apache.spark.SparkConf
import org.scalatest.funsuite.AnyFunSuite

/** What a reader gets: well-formed whatever the driver is called, and from the right event on. */
class AnswerSuite extends AnyFunSuite {
  private val Nasty = "\"quotes\" \\ \n\r\t\u0000\u001f\u2028 \uD83D\uDE00 </script> ñ"

  private def ring(texts: String*): EventRing = {
    val ring = new EventRing(10, 1000)
    texts.zipWithIndex.foreach { case (text, index) => ring.put(index + 1L, text.getBytes(UTF_8), index + 1L) }
    ring
  }

  private def facts(conf: SparkConf): DriverFacts = {
    val settings = Settings(Paths.get("/"), 0, groupReadable = false, 1, 1, 1, Nasty)
    val intake = new Intake(1, ring(), (_, _, _) => Array.emptyByteArray, () => ())
    new DriverFacts(Nasty, conf, settings, new SparkInside, intake, ring(), new Costs)
  }

  private def answer(ring: EventRing): Answer = new Answer("app", "e1", 5, ring, () => "{}")

  test("facts are JSON whatever the names are, and carry them unchanged") {
    val conf = new SparkConf(false)
      .set("spark.app.name", Nasty).set("spark.master", Nasty).set("spark.databricks.clusterUsageTags.clusterName", Nasty)
    val read = Json.tree(facts(conf).json())

    for (path <- Seq("/app/id", "/app/name", "/app/configuredName", "/spark/master")) {
      assert(read.at(path).textValue === Nasty, path)
    }
    assert(read.path("databricks").path("clusterUsageTags.clusterName").textValue === Nasty)
  }

  test("what is not known is null, and what this JVM knows is there") {
    val read = Json.tree(facts(new SparkConf(false).set("spark.sql.shuffle.partitions", "auto")).json())

    for (path <- Seq("/app/name", "/spark/master", "/spark/shufflePartitions", "/bus", "/databricks")) {
      assert(read.at(path).isNull, path)
    }
    for (path <- Seq("/jvm/startMs", "/jvm/heapUsedBytes", "/jvm/threads", "/jvm/cpuNanos", "/jvm/processors", "/listener/cpuNanos")) {
      assert(read.at(path).isNumber, path)
    }
    assert(read.at("/jvm/gc").size > 0)
    assert(read.at("/capabilities").toString.matches("""\{("(own_queue|all_sessions|bus_metrics|status)":(true|false),?){4}\}"""))
  }

  test("a reader of this epoch gets what it has not, a reader of another gets all") {
    val served = answer(ring("1", "2", "3"))

    assert(Json.tree(served.poll("e1", 2, 1000)).path("events").toString === "[3]")
    assert(Json.tree(served.poll("e0", 2, 1000)).path("events").toString === "[1,2,3]")
    assert(Json.tree(served.poll("", 2, 1000)).path("events").toString === "[1,2,3]")
    assert(Json.tree(served.poll(null, 2, 1000)).path("events").toString === "[1,2,3]")
  }

  test("an answer names its ring, its bounds and whether more remains") {
    val read = Json.tree(answer(ring("1", "2", "3")).poll("e1", 0, 1))

    assert((read.path("version").intValue, read.path("epoch").textValue, read.path("appId").textValue) === ((1, "e1", "app")))
    assert((read.path("firstSeq").longValue, read.path("lastSeq").longValue, read.path("more").booleanValue) === ((1L, 3L, true)))
    assert((read.path("startedMs").longValue, read.path("final").booleanValue, read.has("endedMs")) === ((5L, false, false)))
    assert(read.path("events").toString === "[1]")
  }

  test("the last words are everything the ring holds, and say when") {
    val read = Json.tree(answer(ring("1", "2", "3")).lastWords(9))

    assert((read.path("final").booleanValue, read.path("endedMs").longValue) === ((true, 9L)))
    assert((read.path("more").booleanValue, read.path("events").toString) === ((false, "[1,2,3]")))
  }
}

package lakehouse.listener

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.Files
import java.util.concurrent.{CountDownLatch, TimeUnit}

import org.apache.spark.{SparkConf, SparkContext}
import org.apache.spark.scheduler.{SparkListener, SparkListenerEvent}
import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.streaming.{StreamingQuery, Trigger}
import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

/** What is found in a real Spark, whether or not it tells its session. */
class SparkInsideSuite extends AnyFunSuite with BeforeAndAfterAll {
  private val scratch = Files.createTempDirectory("spark")
  private val drivers = scratch.resolve("drivers")
  private var spark: SparkSession = null

  private def context: SparkContext = spark.sparkContext

  override def beforeAll(): Unit = {
    val conf = new SparkConf(false)
      .setMaster("local[1]").setAppName("inside").set("spark.ui.enabled", "false")
      .set("spark.driver.bindAddress", "127.0.0.1").set("spark.driver.host", "127.0.0.1")
      .set("spark.sql.warehouse.dir", scratch.resolve("warehouse").toString)
      .set("spark.extraListeners", classOf[LakehouseListener].getName)
      .set("spark.lakehouse.listener.dir", drivers.toString)
    spark = SparkSession.builder().config(conf).getOrCreate()
  }

  override def afterAll(): Unit = spark.stop()

  private def started(name: String, trigger: Trigger): StreamingQuery =
    spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 1).load()
      .writeStream.queryName(name).format("noop").trigger(trigger).start()

  private def names(inside: SparkInside): List[String] = {
    var found = List.empty[String]
    inside.activeQueries().forEach(query => found = query.name :: found)
    found
  }

  /** Runs `work` while Spark tells no session to whoever asks. */
  private def withoutSession(work: => Unit): Unit = {
    SparkSession.clearDefaultSession()
    SparkSession.clearActiveSession()
    try work
    finally {
      SparkSession.setDefaultSession(spark)
      SparkSession.setActiveSession(spark)
    }
  }

  test("without a session its queries are unknown, which is not the same as none") {
    val inside = new SparkInside
    inside.use(context)
    withoutSession {
      assert(inside.activeQueries() === null)
      assert(!inside.allSessions)
    }

    assert(names(inside) === Nil)
    assert(inside.allSessions)
    withoutSession(assert(names(inside) === Nil))
  }

  test("the session behind an SQL execution leads to the queries where Spark tells none") {
    val inside = new SparkInside
    val followed = new CountDownLatch(1)
    val feed = new SparkListener {
      override def onOtherEvent(event: SparkListenerEvent): Unit = {
        inside.follow(event)
        if (event.getClass.getName.endsWith("SQLExecutionEnd")) followed.countDown()
      }
    }
    inside.use(context)
    val query = started("behind", Trigger.ProcessingTime("1 hour"))
    try withoutSession {
      assert(inside.activeQueries() === null)
      context.addSparkListener(feed)
      spark.range(1).collect()
      assert(followed.await(30, TimeUnit.SECONDS))

      assert(names(inside) === List("behind"))
      assert(inside.trigger(inside.knownQuery(query.id, query.runId)) === "ProcessingTimeTrigger(3600000)")
    } finally {
      context.removeSparkListener(feed)
      query.stop()
    }
  }

  test("on the bus thread nothing is looked for that is not known already") {
    val inside = new SparkInside
    inside.use(context)
    val query = started("known", Trigger.ProcessingTime("1 hour"))
    try {
      assert(inside.knownQuery(query.id, query.runId) === null)
      assert(inside.activeQuery(query.id, query.runId).runId === query.runId)
      assert(inside.knownQuery(query.id, query.runId).runId === query.runId)
    } finally query.stop()
  }

  // The last test: it ends the application.
  test("queries that end at once have told their trigger") {
    // Of a folder without files: such a query is over within the time that events wait for company.
    val nothing = Files.createDirectory(scratch.resolve("nothing")).toString
    for (number <- 1 to 20) {
      spark.readStream.text(nothing)
        .writeStream.queryName(s"quick-$number").format("noop").trigger(Trigger.AvailableNow()).start().awaitTermination()
    }
    val file = drivers.resolve(DriversFolder.finalFile(context.applicationId))
    spark.stop()
    val events = Json.tree(new String(Files.readAllBytes(file), UTF_8)).path("events")
    var triggers = List.empty[(String, String)]
    events.forEach { line =>
      val name = line.at("/event/name").asText
      if (line.path("kind").asText == "started" && name.startsWith("quick-")) {
        triggers = name -> line.path("trigger").asText :: triggers
      }
    }

    assert(triggers.reverse === (1 to 20).map(number => s"quick-$number" -> "AvailableNowTrigger").toList)
  }
}

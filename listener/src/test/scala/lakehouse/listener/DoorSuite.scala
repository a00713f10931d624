package lakehouse.listener

import org.scalatest.funsuite.AnyFunSuite

/** Where the listener can't run, the door stays shut and says what to change. */
class DoorSuite extends AnyFunSuite {
  test("Spark 3.5 and newer of the same Scala line is let in, forks too") {
    for (spark <- Seq("3.5.0", "3.5.7", "4.0.0", "4.3.1", "3.5.0-databricks", "4.1.0-preview1", "10.0")) {
      assert(Door.obstacle(spark, "2.12.18", "2.12", true) === null, spark)
    }
  }

  test("older Spark is told which it should be") {
    for (spark <- Seq("3.4.4", "2.4.8", "3.0")) {
      assert(Door.obstacle(spark, "2.12.18", "2.12", true) === s"it needs Spark 3.5 or newer, this is $spark")
    }
  }

  test("another Scala line is told which jar to take") {
    assert(Door.obstacle("4.2.0", "2.13.18", "2.12", true) ===
      "this jar is for Scala 2.12, this Spark runs Scala 2.13.18; put lakehouse-listener_2.13 in its place")
    assert(Door.obstacle("3.5.7", "2.12.18", "2.13", true).endsWith("put lakehouse-listener_2.12 in its place"))
  }

  test("missing py4j is told") {
    assert(Door.obstacle("4.2.0", "2.13.18", "2.13", false).contains("py4j"))
  }

  test("a version that can't be read keeps the door shut") {
    assert(Door.obstacle("custom", "2.13.18", "2.13", true) !== null)
  }

  test("this jar knows its Scala line and its version") {
    assert(scala.util.Properties.versionNumberString.startsWith(Build.SCALA + "."))
    assert(Build.VERSION.matches("\\d+\\.\\d+.*"))
  }
}

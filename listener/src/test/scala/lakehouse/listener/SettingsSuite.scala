package lakehouse.listener

import java.nio.file.Paths

import org.apache.spark.SparkConf
import org.scalatest.funsuite.AnyFunSuite

/** Which settings there are, and what is said of one that can't be used. */
class SettingsSuite extends AnyFunSuite {
  private val nowhere: String => String = _ => null

  private def settings(pairs: (String, String)*): Settings = {
    val conf = new SparkConf(false)
    pairs.foreach { case (key, value) => conf.set(s"spark.lakehouse.listener.$key", value) }
    Settings.of(conf, nowhere)
  }

  test("with no setting at all, the defaults of docs/bridge.md hold") {
    val home = Paths.get(System.getProperty("user.home"), ".lakehouse-exporter", "drivers")

    assert(settings() === Settings(home, 0, groupReadable = false, 1024, 10000, 16L * 1024 * 1024, null))
  }

  test("every setting is read") {
    val all = settings(
      "dir" -> "/d", "port" -> "4711", "groupReadable" -> "true", "queueSize" -> "5", "ringEvents" -> "6", "ringBytes" -> "7k",
      "app" -> " shop ")

    assert(all === Settings(Paths.get("/d"), 4711, groupReadable = true, 5, 6, 7 * 1024L, "shop"))
  }

  test("the folder of the environment counts where the configuration names none") {
    val environ = Map("LAKEHOUSE_EXPORTER_DRIVERS_DIR" -> "/e")
    val named = new SparkConf(false).set("spark.lakehouse.listener.dir", "/d")

    assert(Settings.of(new SparkConf(false), environ.getOrElse(_, null)).dir === Paths.get("/e"))
    assert(Settings.of(named, environ.getOrElse(_, null)).dir === Paths.get("/d"))
  }

  test("a setting that can't be used is named") {
    for (wrong <- Seq("port" -> "many", "port" -> "65536", "port" -> "-1", "queueSize" -> "0", "ringEvents" -> "0",
        "ringBytes" -> "much", "groupReadable" -> "perhaps", "dir" -> "\u0000")) {
      val said = intercept[IllegalArgumentException](settings(wrong)).getMessage

      assert(said.startsWith(s"spark.lakehouse.listener.${wrong._1}"), said)
    }
  }
}

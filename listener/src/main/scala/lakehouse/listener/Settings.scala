package lakehouse.listener

import java.nio.file.{Path, Paths}

import org.apache.spark.SparkConf

/** The listener's own settings, `spark.lakehouse.listener.*`, read once and checked.
  *
  * @param dir           folder of connection and final files
  * @param port          port of the bridge on loopback; 0 takes a free one
  * @param groupReadable whether the folder's files are 0640 instead of 0600
  * @param queueSize     events that may wait for the serialising thread
  * @param ringEvents    events held for readers, at most
  * @param ringBytes     bytes of events held for readers, at most
  * @param app           the application's configured name; null where none is
  */
private[listener] final case class Settings(
    dir: Path,
    port: Int,
    groupReadable: Boolean,
    queueSize: Int,
    ringEvents: Int,
    ringBytes: Long,
    app: String)

private[listener] object Settings {
  private val Prefix = "spark.lakehouse.listener."
  private val DirVariable = "LAKEHOUSE_EXPORTER_DRIVERS_DIR"

  /** Reads `conf`; throws an IllegalArgumentException that names the setting which can't be used. */
  def of(conf: SparkConf, environ: String => String = name => System.getenv(name)): Settings = Settings(
    dir = checked("dir", Paths.get(folder(conf, environ))),
    port = between("port", conf.getInt(Prefix + "port", 0), 0, 65535),
    groupReadable = checked("groupReadable", conf.getBoolean(Prefix + "groupReadable", false)),
    queueSize = between("queueSize", conf.getInt(Prefix + "queueSize", 1024), 1, 1000000),
    ringEvents = between("ringEvents", conf.getInt(Prefix + "ringEvents", 10000), 1, 10000000),
    ringBytes = checked("ringBytes", conf.getSizeAsBytes(Prefix + "ringBytes", "16m")),
    app = conf.getOption(Prefix + "app").map(_.trim).filter(_.nonEmpty).orNull)

  private def folder(conf: SparkConf, environ: String => String): String =
    conf.getOption(Prefix + "dir").filter(_.nonEmpty)
      .orElse(Option(environ(DirVariable)).filter(_.nonEmpty))
      .getOrElse(home() + "/.lakehouse-exporter/drivers")

  private def home(): String = System.getProperty("user.home") match {
    // Java says "?" for a user whom the password database does not know.
    case null | "" | "?" => throw new IllegalArgumentException(s"this user has no home: set ${Prefix}dir")
    case known => known
  }

  private def between(name: String, value: => Int, least: Int, most: Int): Int = {
    val number = checked(name, value)
    if (number < least || number > most) {
      throw new IllegalArgumentException(s"$Prefix$name is $number, it must be from $least to $most")
    }
    number
  }

  private def checked[T](name: String, value: => T): T =
    try value
    catch { case wrong: RuntimeException => throw new IllegalArgumentException(s"$Prefix$name: ${wrong.getMessage}") }
}

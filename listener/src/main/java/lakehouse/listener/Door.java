package lakehouse.listener;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.spark.SparkConf;
import org.apache.spark.scheduler.SparkListenerInterface;

/**
 * Decides whether the rest of the listener can run in this driver, and only then loads it.
 *
 * <p>It names no Scala type: on a driver of another Scala line it must still link, to say what is wrong.
 */
final class Door {
  private static final Pattern LEADING_VERSION = Pattern.compile("(\\d+)\\.(\\d+).*", Pattern.DOTALL);
  private static final String STEPS_ASIDE = "lakehouse-listener steps aside, the application runs without it: ";

  private Door() {}

  /** The listener behind the door; null, after one warning, where it can't run or is switched off. */
  static SparkListenerInterface open(SparkConf conf) {
    try {
      if (!"true".equalsIgnoreCase(conf.get("spark.lakehouse.listener.enabled", "true").trim())) {
        return null;
      }
      String obstacle = obstacle(sparkVersion(), scalaVersion(), Build.SCALA, present("py4j.GatewayServer"));
      if (obstacle != null) {
        Log.warn(STEPS_ASIDE + obstacle);
        return null;
      }
      return (SparkListenerInterface)
          load("lakehouse.listener.BusFeed").getConstructor(SparkConf.class).newInstance(conf);
    } catch (Throwable failure) {
      Throwable cause = failure.getCause() == null ? failure : failure.getCause();
      Log.warn(STEPS_ASIDE + cause);
      return null;
    }
  }

  /** What keeps the listener from running, and what to change; null where nothing does. */
  static String obstacle(String spark, String scala, String jarScala, boolean py4j) {
    Matcher version = LEADING_VERSION.matcher(spark);
    if (!version.matches()) {
      return "it can't tell the version of this Spark from \"" + spark + "\"";
    }
    int major = Integer.parseInt(version.group(1));
    int minor = Integer.parseInt(version.group(2));
    if (major < 3 || (major == 3 && minor < 5)) {
      return "it needs Spark 3.5 or newer, this is " + spark;
    }
    if (!scala.startsWith(jarScala + ".")) {
      Matcher line = LEADING_VERSION.matcher(scala);
      String wanted = line.matches() ? line.group(1) + "." + line.group(2) : scala;
      return "this jar is for Scala " + jarScala + ", this Spark runs Scala " + scala
          + "; put lakehouse-listener_" + wanted + " in its place";
    }
    if (!py4j) {
      return "py4j is not on the driver's class path; add the py4j jar of this Spark, or of PySpark";
    }
    return null;
  }

  private static String sparkVersion() throws ReflectiveOperationException {
    return constant("org.apache.spark.package$", "SPARK_VERSION");
  }

  private static String scalaVersion() throws ReflectiveOperationException {
    return constant("scala.util.Properties$", "versionNumberString");
  }

  private static String constant(String scalaObject, String name) throws ReflectiveOperationException {
    Class<?> type = load(scalaObject);
    return String.valueOf(type.getMethod(name).invoke(type.getField("MODULE$").get(null)));
  }

  private static boolean present(String className) {
    try {
      load(className);
      return true;
    } catch (ClassNotFoundException | LinkageError missing) {
      return false;
    }
  }

  private static Class<?> load(String className) throws ClassNotFoundException {
    return Class.forName(className, true, Door.class.getClassLoader());
  }
}

package lakehouse.listener;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;

/** What this jar is: its version and its Scala line, as the build wrote them into it. */
final class Build {
  /** Version of this jar, for example 0.1.0. */
  static final String VERSION;

  /** Scala line that this jar is compiled for: 2.12 or 2.13. */
  static final String SCALA;

  static {
    Properties build = new Properties();
    try (InputStream in = Build.class.getResourceAsStream("build.properties")) {
      if (in != null) {
        build.load(in);
      }
    } catch (IOException unreadable) {
      build.clear();
    }
    VERSION = build.getProperty("version", "unknown");
    SCALA = build.getProperty("scala", "unknown");
  }

  private Build() {}
}

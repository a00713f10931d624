package lakehouse.listener;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.LoggerFactory;

/** The listener's one voice: a warning in the driver's log, each text once in a process, and few texts. */
final class Log {
  private static final Set<String> SAID = ConcurrentHashMap.newKeySet();
  private static final int MOST_TEXTS = 50;

  private Log() {}

  /** Warns, unless this very text was said before or too many were. Never throws: it is called from catch blocks. */
  static void warn(String text) {
    try {
      if (SAID.size() < MOST_TEXTS && SAID.add(text)) {
        LoggerFactory.getLogger("lakehouse.listener").warn(text);
      }
    } catch (Throwable silent) {
      // The application's log is broken; that is not ours to report.
    }
  }

  /** Warns of a failure, with its cause in one line. */
  static void warn(String text, Throwable cause) {
    warn(text + " (" + cause + ")");
  }
}

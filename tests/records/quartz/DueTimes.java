import java.text.ParseException;
import java.time.Instant;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Random;
import java.util.TimeZone;
import java.util.TreeMap;
import org.quartz.CronExpression;

/** Asks Quartz itself when expressions are due, and prints its answers as JSON, one case a line; README.md says how to run it. */
public final class DueTimes {
    // Quartz looks no farther than a hundred years ahead of the day on which it is asked.
    private static final Instant END = Instant.parse("2100-01-01T00:00:00Z");

    private static final String[] ZONES = {
        "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo", "America/St_Johns",
    };

    // After each of them comes something to get wrong: a change of the clocks, a leap day, the end of a month or year.
    private static final String[] MOMENTS = {
        "2026-03-07T12:00:00Z", "2026-03-28T12:00:00Z", "2026-04-04T03:00:00Z", "2026-04-23T12:00:00Z", "2026-10-03T03:00:00Z",
        "2026-10-24T12:00:00Z", "2026-10-29T12:00:00Z", "2026-10-31T12:00:00Z", "2026-12-31T12:00:00Z", "2028-02-27T12:00:00Z",
        "2026-05-30T12:00:00Z", "2026-08-15T01:02:03Z",
    };

    private static final String[] EVERYWHERE = {
        "0 30 1 * * ?", "0 30 2 * * ?", "0 0 2 * * ?", "0 0 3 * * ?", "0 15 2 * * ?", "0 45 1 ? * *", "0 0 * * * ?", "0 0/20 * * * ?",
        "0 0,30 1-3 * * ?", "0 0 0 * * ?", "0 30 0 * * ?", "59 59 23 * * ?", "0 0 6 ? * MON-FRI", "0 0 1/2 * * ?",
    };

    private static final String[] ONCE = {
        "* * * * * ?", "*/10 * * * * ?", "0/7 * * * * ?", "5,15,55 * * * * ?", "50-10/5 * * * * ?", "0 */15 * * * ?", "0 5/15 * * * ?",
        "/20 /20 * * * ?", "0 55-5 * * * ?", "0 0 22-2 * * ?", "0 0 22-4/3 * * ?", "0 0 9-17/4 * * ?", "0 0 8,12,18 * * ?",
        "0 0 6 1 * ?", "0 0 6 L * ?", "0 0 6 LW * ?", "0 0 6 L-3 * ?", "0 0 6 L-3W * ?", "0 0 6 L-30 * ?", "0 0 6 L-28 * ?", "0 0 6 1W * ?",
        "0 0 6 15W * ?", "0 0 6 31W * ?", "0 0 6 29W 2 ?", "0 0 6,18 15W * ?", "0 0 6 31 * ?", "0 0 6 30 * ?", "0 0 6 29 2 ?",
        "0 0 6 30 2 ?", "0 0 6 31 4,6,9,11 ?", "0 0 6 28-3 * ?", "0 0 6 1/5 * ?", "0 0 6 */10 * ?", "0 0 6 10,20,30 * ?", "0 0 12 1/1 * ? *",
        "0 0 6 ? * 2#1", "0 0 6 ? * MON#1", "0 0 6 ? * 6#5", "0 0 6 ? * 1#2", "0 0 6 ? 2 2#5", "0 0 6 ? * 6L", "0 0 6 ? * FRIL",
        "0 0 6 ? * 1L", "0 0 6 ? * L", "0 0 6 ? * 7", "0 0 6 ? * FRI-MON", "0 0 6 ? * 6-2", "0 0 6 ? * SUN,WED", "0 0 6 ? * 2-6/2",
        "0 0 6 ? * 1/2", "0 0 6 ? * */3", "0 0 6 ? JAN,JUL MON", "0 0 6 1 NOV-FEB ?", "0 0 6 1 11-2 ?", "0 0 6 1 2/4 ?", "0 0 6 1 */5 ?",
        "0 0 6 1 1 ? 2027", "0 0 6 1 1 ? 2027-2029", "0 0 6 1 1 ? 2027,2031", "0 0 6 29 2 ? 2026/2", "0 0 6 1 1 ? 2020", "0 0 6 * * ? 2026",
        "0 0 6 29 2 ? 2026,2027", "0 0 0 31 12 ?", "59 59 23 31 12 ? *", "0 0 6 ? * * *", "0 0 6 ? JAN SUNL", "0 15 10 ? * 6L 2026-2028",
        "0 0 6 ? mar mon-fri", " 0  0 6 ?\t* 2 ", "0 1,,2 * * * ?", "0 0 6 LW 2 ?", "0 0 6 L 2 ? 2028/4", "0 0 9-17/30 * * ?",
    };

    // What Quartz, or every version of it that is about, refuses.
    private static final String[] REFUSED = {
        "", "0 0 6", "0 0 6 * *", "0 0 6 * * *", "0 0 6 ? * ?", "0 0 6 1 * 2", "60 0 6 * * ?", "0 60 6 * * ?", "0 0 24 * * ?", "0 0 6 0 * ?",
        "0 0 6 32 * ?", "0 0 6 * 13 ?", "0 0 6 * 0 ?", "0 0 6 ? * 8", "0 0 6 ? * 0", "0 0 6 ? * XYZ", "0 0 6 * FOO ?", "0 0/60 6 * * ?",
        "0 0 0/24 * * ?", "0 0 6 1/32 * ?", "0 0 6 1 1/13 ?", "0 0 6 ? * 2#6", "0 0 6 ? * 2#", "0 0 6 ? * 1L,2L", "0 0 6 ? * 2#1,3#1",
        "0 0 6 5L * ?", "0 0 6 ? * 3W", "? 0 6 * * ?", "0 a 6 * * ?", "0 0 6 L-31 * ?", "0 0 6 * * ? 2030-2020", "@daily", "0 / * * * ?",
    };

    public static void main(String[] arguments) throws ParseException {
        List<String> lines = new ArrayList<>();
        for (String expression : EVERYWHERE) {
            for (String zone : ZONES) {
                for (String moment : MOMENTS) {
                    if (changes(zone, moment)) {
                        lines.add(answer(expression, zone, moment, 20));
                    }
                }
            }
        }
        for (int i = 0; i < ONCE.length; i++) {
            lines.add(answer(ONCE[i], ZONES[i % ZONES.length], MOMENTS[i * 5 % MOMENTS.length], 20));
        }
        Random random = new Random(20_260_328);
        for (int i = 0; i < 500; i++) {
            String zone = ZONES[random.nextInt(ZONES.length)];
            lines.add(answer(expression(random), zone, MOMENTS[random.nextInt(MOMENTS.length)], 8));
        }
        StringBuilder text = new StringBuilder("{\"due\": [\n");
        text.append(String.join(",\n", lines)).append("\n], \"refused\": [\n");
        for (int i = 0; i < REFUSED.length; i++) {
            if (CronExpression.isValidExpression(REFUSED[i])) {
                throw new IllegalStateException("Quartz takes " + REFUSED[i]);
            }
            text.append(i == 0 ? "" : ",\n").append(quoted(REFUSED[i]));
        }
        text.append("\n], \"short_zones\": {\n");
        List<String> zones = new ArrayList<>();
        new TreeMap<>(ZoneId.SHORT_IDS).forEach((id, meant) -> zones.add(quoted(id) + ": " + quoted(meant)));
        System.out.println(text + String.join(",\n", zones) + "\n}}");
    }

    /** Whether the zone's clocks change within two days of the moment, or it is one that is read everywhere. */
    private static boolean changes(String zone, String moment) {
        Instant from = Instant.parse(moment);
        var change = ZoneId.of(zone).getRules().nextTransition(from);
        return moment.startsWith("2026-12-31") || change != null && change.getInstant().isBefore(from.plusSeconds(172_800));
    }

    private static String answer(String text, String zone, String moment, int times) throws ParseException {
        CronExpression expression = new CronExpression(text);
        expression.setTimeZone(TimeZone.getTimeZone(zone));
        long after = Instant.parse(moment).getEpochSecond();
        List<String> due = new ArrayList<>();
        Date at = new Date(after * 1000);
        while (due.size() < times && (at = expression.getNextValidTimeAfter(at)) != null) {
            due.add(Long.toString(at.getTime() / 1000));
            if (at.toInstant().isAfter(END)) {
                times = due.size();
            }
        }
        return "[" + quoted(text) + ", " + quoted(zone) + ", " + after + ", " + times + ", [" + String.join(", ", due) + "]]";
    }

    private static String quoted(String text) {
        return '"' + text.replace("\t", "\\t") + '"';
    }

    private static String expression(Random random) {
        String seconds = random.nextInt(3) > 0 ? "0" : numbers(random, 0, 59);
        String time = seconds + " " + numbers(random, 0, 59) + " " + numbers(random, 0, 23) + " ";
        String[] months = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
        String month = switch (random.nextInt(6)) {
            case 0 -> numbers(random, 1, 12);
            case 1 -> months[random.nextInt(12)] + "-" + months[random.nextInt(12)];
            case 2 -> months[random.nextInt(12)];
            default -> "*";
        };
        String year = switch (random.nextInt(8)) {
            case 0 -> " " + (2026 + random.nextInt(4));
            case 1 -> " 2026/" + (1 + random.nextInt(4));
            case 2 -> " *";
            default -> "";
        };
        String days = random.nextBoolean() ? monthDays(random) + " " + month + " ?" : "? " + month + " " + weekdays(random);
        return time + days + year;
    }

    private static String monthDays(Random random) {
        return switch (random.nextInt(9)) {
            case 0 -> "L";
            case 1 -> "LW";
            case 2 -> "L-" + random.nextInt(12);
            case 3 -> "L-" + random.nextInt(12) + "W";
            case 4, 5 -> (1 + random.nextInt(31)) + "W";
            default -> numbers(random, 1, 31);
        };
    }

    private static String weekdays(Random random) {
        String[] names = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};
        return switch (random.nextInt(8)) {
            case 0 -> "L";
            case 1 -> (1 + random.nextInt(7)) + "L";
            case 2 -> names[random.nextInt(7)] + "L";
            case 3 -> (1 + random.nextInt(7)) + "#" + (1 + random.nextInt(5));
            case 4 -> names[random.nextInt(7)] + "#" + (1 + random.nextInt(5));
            case 5 -> names[random.nextInt(7)] + "-" + names[random.nextInt(7)];
            default -> numbers(random, 1, 7);
        };
    }

    private static String numbers(Random random, int least, int most) {
        int size = most - least + 1;
        String first = Integer.toString(least + random.nextInt(size));
        String second = Integer.toString(least + random.nextInt(size));
        int step = 1 + random.nextInt(Math.min(size - 1, 20));
        return switch (random.nextInt(8)) {
            case 0 -> "*";
            case 1 -> "*/" + step;
            case 2 -> first + "/" + step;
            case 3 -> first + "-" + second;
            case 4 -> first + "-" + second + "/" + step;
            case 5 -> first + "," + second;
            default -> first;
        };
    }
}

package io.membacking.inspect.internal;

import io.membacking.inspect.InspectNode;
import java.util.Locale;
import java.util.Map;

/**
 * A node as indented text, a name a line. Where the last word of a number's name is its unit, {@code bytes}, {@code nanos} or {@code ns},
 * it is given in a handier unit too.
 */
final class TextFormat {
    private static final String INDENT = "  ";
    private static final String[] BINARY = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

    private TextFormat() {}

    static String format(InspectNode node) {
        StringBuilder text = new StringBuilder();
        if (node instanceof InspectNode.Directory directory) {
            append(text, directory, "");
        } else {
            text.append(value("", node)).append('\n');
        }
        return text.toString();
    }

    private static void append(StringBuilder text, InspectNode.Directory directory, String indent) {
        for (Map.Entry<String, InspectNode> child : directory.children().entrySet()) {
            text.append(indent).append(child.getKey()).append(':');
            if (child.getValue() instanceof InspectNode.Directory below) {
                text.append('\n');
                append(text, below, indent + INDENT);
            } else {
                // A value of several lines stays under its name.
                String value = value(child.getKey(), child.getValue());
                String separator = value.contains("\n") ? "\n" + indent + INDENT : " ";
                text.append(separator)
                        .append(value.replace("\n", "\n" + indent + INDENT))
                        .append('\n');
            }
        }
    }

    private static String value(String name, InspectNode node) {
        if (node instanceof InspectNode.Text text) {
            return text.value().stripTrailing();
        }
        if (node instanceof InspectNode.Numeric number) {
            return number.hexadecimal()
                    ? "0x" + Long.toHexString(number.value())
                    : number.value() + unit(name, number.value());
        }
        if (node instanceof InspectNode.Rate rate) {
            return String.format(Locale.ROOT, "%.1f/s", rate.perSecond());
        }
        if (node instanceof InspectNode.Bool bool) {
            return Boolean.toString(bool.value());
        }
        if (node instanceof InspectNode.Unreadable unreadable) {
            return "(unreadable: " + unreadable.reason() + ")";
        }
        return "...";
    }

    private static String unit(String name, long value) {
        String unit = name.replaceFirst("^.*[^a-z]", "").toLowerCase(Locale.ROOT);
        if (unit.equals("bytes") && value >= 1024) {
            int power = (63 - Long.numberOfLeadingZeros(value)) / 10;
            double scaled = (double) value / (1L << (10 * power));
            String format = scaled == Math.rint(scaled) ? " (%.0f %s)" : " (%.1f %s)";
            return String.format(Locale.ROOT, format, scaled, BINARY[power]);
        }
        if ((unit.equals("nanos") || unit.equals("ns")) && value >= 1000) {
            return value >= 1_000_000
                    ? String.format(Locale.ROOT, " (%.1f ms)", value / 1e6)
                    : String.format(Locale.ROOT, " (%.1f us)", value / 1e3);
        }
        return "";
    }
}

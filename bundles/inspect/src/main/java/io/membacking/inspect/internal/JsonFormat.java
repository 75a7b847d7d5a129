package io.membacking.inspect.internal;

import io.membacking.inspect.InspectNode;
import java.util.Locale;
import java.util.Map;

/**
 * A node as JSON: directories are objects in natural order, numbers are numbers, hexadecimal ones strings, rates numbers per
 * second. What was not entered is {@code {"$notEntered":true}}, and what could not be read {@code {"$unreadable":"why"}}.
 */
final class JsonFormat {
    private JsonFormat() {}

    static String format(InspectNode node) {
        StringBuilder json = new StringBuilder();
        append(json, node);
        return json.toString();
    }

    private static void append(StringBuilder json, InspectNode node) {
        if (node instanceof InspectNode.Directory directory) {
            json.append('{');
            String separator = "";
            for (Map.Entry<String, InspectNode> child : directory.children().entrySet()) {
                json.append(separator);
                quote(json, child.getKey());
                json.append(':');
                append(json, child.getValue());
                separator = ",";
            }
            json.append('}');
        } else if (node instanceof InspectNode.Text text) {
            quote(json, text.value());
        } else if (node instanceof InspectNode.Numeric number) {
            if (number.hexadecimal()) {
                quote(json, "0x" + Long.toHexString(number.value()));
            } else {
                json.append(number.value());
            }
        } else if (node instanceof InspectNode.Rate rate) {
            // JSON has no word for what is not a finite number.
            json.append(Double.isFinite(rate.perSecond()) ? Double.toString(rate.perSecond()) : "null");
        } else if (node instanceof InspectNode.Bool bool) {
            json.append(bool.value());
        } else if (node instanceof InspectNode.Unreadable unreadable) {
            json.append("{\"$unreadable\":");
            quote(json, unreadable.reason());
            json.append('}');
        } else {
            json.append("{\"$notEntered\":true}");
        }
    }

    private static void quote(StringBuilder json, String text) {
        json.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c == '\n') {
                json.append("\\n");
            } else if (c < 0x20 || c == 0x7f || c == '\u2028' || c == '\u2029' || loneSurrogate(text, i)) {
                json.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        json.append('"');
    }

    /** Half a pair could not be written as UTF-8. */
    private static boolean loneSurrogate(String text, int i) {
        char c = text.charAt(i);
        if (Character.isHighSurrogate(c)) {
            return i + 1 == text.length() || !Character.isLowSurrogate(text.charAt(i + 1));
        }
        return Character.isLowSurrogate(c) && (i == 0 || !Character.isHighSurrogate(text.charAt(i - 1)));
    }
}

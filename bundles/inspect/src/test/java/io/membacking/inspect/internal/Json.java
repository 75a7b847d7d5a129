package io.membacking.inspect.internal;

import java.util.LinkedHashMap;
import java.util.Map;

/** A strict parser of the part of JSON that has no arrays: RFC 8259. Objects become maps, numbers doubles. */
final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value();
        if (json.at != text.length()) {
            throw json.bad();
        }
        return value;
    }

    private Object value() {
        return switch (text.charAt(at)) {
            case '{' -> object();
            case '"' -> string();
            case 't' -> word("true", true);
            case 'f' -> word("false", false);
            case 'n' -> word("null", "null");
            default -> number();
        };
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw bad();
        }
        at += word.length();
        return value;
    }

    private Double number() {
        int start = at;
        while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        String number = text.substring(start, at);
        if (!number.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")) {
            throw bad();
        }
        return Double.valueOf(number);
    }

    private Map<String, Object> object() {
        Map<String, Object> object = new LinkedHashMap<>();
        take('{');
        if (text.charAt(at) == '}') {
            at++;
            return object;
        }
        while (true) {
            String name = string();
            take(':');
            if (object.put(name, value()) != null) {
                throw bad();
            }
            if (text.charAt(at) == '}') {
                at++;
                return object;
            }
            take(',');
        }
    }

    private String string() {
        take('"');
        StringBuilder string = new StringBuilder();
        while (text.charAt(at) != '"') {
            char c = text.charAt(at++);
            if (c < 0x20) {
                throw bad();
            }
            if (c != '\\') {
                string.append(c);
                continue;
            }
            char escaped = text.charAt(at++);
            if (escaped == 'u') {
                string.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
                at += 4;
            } else if ("\"\\/".indexOf(escaped) >= 0) {
                string.append(escaped);
            } else if ("bfnrt".indexOf(escaped) >= 0) {
                string.append("\b\f\n\r\t".charAt("bfnrt".indexOf(escaped)));
            } else {
                throw bad();
            }
        }
        at++;
        return string.toString();
    }

    private void take(char c) {
        if (text.charAt(at++) != c) {
            throw bad();
        }
    }

    private IllegalArgumentException bad() {
        return new IllegalArgumentException("not JSON at " + at + ": " + text);
    }
}

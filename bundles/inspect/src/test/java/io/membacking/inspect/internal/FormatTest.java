package io.membacking.inspect.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.membacking.inspect.InspectNode;
import io.membacking.inspect.InspectNode.Bool;
import io.membacking.inspect.InspectNode.Directory;
import io.membacking.inspect.InspectNode.NotEntered;
import io.membacking.inspect.InspectNode.Numeric;
import io.membacking.inspect.InspectNode.Rate;
import io.membacking.inspect.InspectNode.Text;
import io.membacking.inspect.InspectNode.Unreadable;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FormatTest {
    @Test
    void textIsIndentedInNaturalOrderWithUnits() {
        InspectNode node = new Directory(Map.of(
                "a10",
                new Directory(Map.of("x", new Numeric(255, true, false))),
                "a2",
                new Directory(Map.of()),
                "size bytes",
                new Numeric(3L << 30, false, false),
                "odd bytes",
                new Numeric(1536, false, false),
                "drain nanos",
                new Numeric(1_500_000, false, true),
                "commits",
                new Rate(2.25),
                "on",
                new Bool(true),
                "deep",
                new NotEntered(),
                "gone",
                new Unreadable("threw"),
                "lines",
                new Text("one\ntwo\n", false)));
        assertEquals("""
                a2:
                a10:
                  x: 0xff
                commits: 2.3/s
                deep: ...
                drain nanos: 1500000 (1.5 ms)
                gone: (unreadable: threw)
                lines:
                  one
                  two
                odd bytes: 1536 (1.5 KiB)
                on: true
                size bytes: 3221225472 (3 GiB)
                """, TextFormat.format(node));
        assertEquals("0x10\n", TextFormat.format(new Numeric(16, true, false)));
    }

    @Test
    void anyTreeIsValidJsonThatSaysTheSame() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 5_000; i++) {
            InspectNode node = tree(random, 4);
            String json = JsonFormat.format(node);
            assertEquals(expected(node), Json.parse(json), "seed " + seed + ": " + json);
        }
    }

    @Test
    void childrenComeInNaturalOrderInJson() {
        InspectNode node = new Directory(Map.of("a10", new Bool(true), "a9", new Bool(false)));
        assertEquals("{\"a9\":false,\"a10\":true}", JsonFormat.format(node));
    }

    @Test
    void halfASurrogatePairIsEscaped() {
        assertEquals("\"\\ud800x\\udc00\"", JsonFormat.format(new Text("\ud800x\udc00", false)));
        assertEquals("\"\ud83d\ude00\"", JsonFormat.format(new Text("\ud83d\ude00", false)));
    }

    @Test
    void whatIsNoFiniteNumberIsNull() {
        assertEquals("null", JsonFormat.format(new Rate(Double.NaN)));
    }

    private static InspectNode tree(Random random, int depth) {
        return switch (random.nextInt(depth == 0 ? 7 : 10)) {
            case 0 -> new Text(string(random), random.nextBoolean());
            case 1 -> new Numeric(random.nextInt(), false, random.nextBoolean());
            case 2 -> new Numeric(random.nextLong(), true, false);
            case 3 -> new Rate(random.nextDouble() * Math.pow(10, random.nextInt(30) - 10));
            case 4 -> new Bool(random.nextBoolean());
            case 5 -> new NotEntered();
            case 6 -> new Unreadable(string(random));
            default -> {
                Map<String, InspectNode> children = new LinkedHashMap<>();
                for (int i = random.nextInt(4); i > 0; i--) {
                    children.put(string(random), tree(random, depth - 1));
                }
                yield new Directory(children);
            }
        };
    }

    private static Object expected(InspectNode node) {
        if (node instanceof Directory directory) {
            Map<String, Object> object = new LinkedHashMap<>();
            directory.children().forEach((name, child) -> object.put(name, expected(child)));
            return object;
        } else if (node instanceof Text text) {
            return text.value();
        } else if (node instanceof Numeric number) {
            return number.hexadecimal() ? "0x" + Long.toHexString(number.value()) : (Object) (double) number.value();
        } else if (node instanceof Rate rate) {
            return rate.perSecond();
        } else if (node instanceof Bool bool) {
            return bool.value();
        } else if (node instanceof Unreadable unreadable) {
            return Map.of("$unreadable", unreadable.reason());
        }
        return Map.of("$notEntered", true);
    }

    private static String string(Random random) {
        List<String> parts =
                List.of("a", "7", "\"", "\\", "\n", "\t", "\0", "\u001f", "\u2028", "é", "/", "\ud83d\ude00");
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(6); i > 0; i--) {
            text.append(parts.get(random.nextInt(parts.size())));
        }
        return text.toString();
    }
}

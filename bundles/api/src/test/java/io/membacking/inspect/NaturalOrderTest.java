package io.membacking.inspect;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class NaturalOrderTest {
    @Test
    void numbersInNamesCountByValue() {
        List<String> expected = List.of("", "a", "a1", "a01", "a2", "a10", "a10b", "b");
        List<String> shuffled = new ArrayList<>(expected);
        Collections.shuffle(shuffled, new Random(1));
        shuffled.sort(NaturalOrder.INSTANCE);
        assertEquals(expected.indexOf("a2"), shuffled.indexOf("a2"));
        assertEquals(List.of("a2", "a10", "a10b", "b"), shuffled.subList(4, 8));
    }

    /** What sorting needs: antisymmetric, transitive, and equal only to itself. */
    @Test
    void orderIsTotal() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 50_000; i++) {
            String a = name(random);
            String b = name(random);
            String c = name(random);
            String message = "seed " + seed + ": " + a + "," + b + "," + c;
            int ab = NaturalOrder.INSTANCE.compare(a, b);
            assertEquals(Integer.signum(ab), -Integer.signum(NaturalOrder.INSTANCE.compare(b, a)), message);
            assertEquals(a.equals(b), ab == 0, message);
            if (ab < 0 && NaturalOrder.INSTANCE.compare(b, c) < 0) {
                assertEquals(-1, Integer.signum(NaturalOrder.INSTANCE.compare(a, c)), message);
            }
        }
    }

    private static String name(Random random) {
        StringBuilder name = new StringBuilder();
        for (int i = random.nextInt(5); i > 0; i--) {
            name.append("a01-2".charAt(random.nextInt(5)));
        }
        return name.toString();
    }
}

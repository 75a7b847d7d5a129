package io.membacking.inspect;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class NaturalOrderTest {
    private static final Pattern TOKEN = Pattern.compile("[0-9]+|[^0-9]");

    @Test
    void runsOfDigitsAreOrderedByTheirValue() {
        List<String> names = new ArrayList<>(List.of("a10", "b", "a2", "a", "a1b10", "a1b9", "10", "9"));
        names.sort(NaturalOrder.INSTANCE);
        assertEquals(List.of("9", "10", "a", "a1b9", "a1b10", "a2", "a10", "b"), names);
    }

    @Test
    void namesThatDifferInLeadingZerosAloneAreNotTheSame() {
        assertTrue(NaturalOrder.INSTANCE.compare("a01", "a1") != 0);
        assertEquals(0, NaturalOrder.INSTANCE.compare("a01", "a01"));
    }

    @Test
    void itAgreesWithATokenByTokenComparisonAndIsAnOrder() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 100_000; i++) {
            String a = name(random);
            String b = name(random);
            String c = name(random);
            String message = "seed " + seed + ": '" + a + "' '" + b + "' '" + c + "'";
            Comparator<String> order = NaturalOrder.INSTANCE;
            int ab = Integer.signum(order.compare(a, b));
            assertEquals(Integer.signum(oracle(a, b)), ab, message);
            assertEquals(-ab, Integer.signum(order.compare(b, a)), message);
            assertEquals(a.equals(b), ab == 0, message);
            if (ab <= 0 && order.compare(b, c) <= 0) {
                assertTrue(order.compare(a, c) <= 0, message);
            }
        }
    }

    private static int oracle(String a, String b) {
        List<String> first = tokens(a);
        List<String> second = tokens(b);
        for (int i = 0; i < Math.min(first.size(), second.size()); i++) {
            String x = first.get(i);
            String y = second.get(i);
            boolean numbers = Character.isDigit(x.charAt(0)) && Character.isDigit(y.charAt(0));
            int order = numbers
                    ? new BigInteger(x).compareTo(new BigInteger(y))
                    : Character.compare(x.charAt(0), y.charAt(0));
            if (order != 0) {
                return order;
            }
        }
        int order = Integer.compare(first.size(), second.size());
        return order != 0 ? order : a.compareTo(b);
    }

    private static List<String> tokens(String text) {
        List<String> tokens = new ArrayList<>();
        Matcher matcher = TOKEN.matcher(text);
        while (matcher.find()) {
            tokens.add(matcher.group());
        }
        return tokens;
    }

    private static String name(Random random) {
        StringBuilder name = new StringBuilder();
        int length = random.nextInt(8);
        for (int i = 0; i < length; i++) {
            name.append("0129a-z".charAt(random.nextInt(7)));
        }
        return name.toString();
    }
}

package io.membacking.inspect.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class InspectPathTest {
    @Test
    void slashesAreIgnoredWhereRepeatedAndLeadingAndSayADirectoryWhereTrailing() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            List<String> names = new ArrayList<>();
            StringBuilder path = new StringBuilder(slashes(random, 0));
            int count = random.nextInt(5);
            for (int n = 0; n < count; n++) {
                String name = String.valueOf("ab .#-".charAt(random.nextInt(6))).repeat(1 + random.nextInt(3));
                names.add(name);
                path.append(n == 0 ? "" : slashes(random, 1)).append(name);
            }
            String trailing = slashes(random, 0);
            path.append(trailing);
            InspectPath parsed = InspectPath.parse(path.toString());
            String message = "seed " + seed + ", path '" + path + "'";
            assertEquals(names, parsed.names(), message);
            assertEquals(path.length() > 0 && path.charAt(path.length() - 1) == '/', parsed.directory(), message);
            assertEquals(names, InspectPath.parse(parsed.toString()).names(), message);
        }
    }

    private static String slashes(Random random, int least) {
        return "/".repeat(least + random.nextInt(3));
    }
}

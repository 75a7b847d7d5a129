package io.membacking.mapping.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Runs {@link AccessStress} in JVMs of their own, which a fault would end instead of this one. */
class AccessStressTest {
    @Test
    void aMillionAccessesRaceWithChangesAndNoneIsLateOrWrong() throws Exception {
        Ended run = run("barrier", "drain", "1000000", "3");
        assertEquals(0, run.code, run.output);
        assertTrue(run.output.contains("operations"), run.output);
    }

    @Test
    void readersThatFenceForThemselvesAreAsSafe() throws Exception {
        Ended run = run("fence", "drain", "300000", "2");
        assertEquals(0, run.code, run.output);
    }

    @Test
    void aGuestThatIsClosedUnderItsReadersTellsThemSo() throws Exception {
        Ended run = run("close", "100");
        assertEquals(0, run.code, run.output);
    }

    /** Shows that the stress finds what it looks for. */
    @Test
    void withoutWaitingForReadersAWriteComesLate() throws Exception {
        Ended run = run("barrier", "careless", "1000000000", "3");
        assertTrue(run.code != 0, run.output);
    }

    private record Ended(int code, String output) {}

    private static Ended run(String... args) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        if (Runtime.version().feature() >= 22) {
            command.add("--enable-native-access=ALL-UNNAMED");
        }
        command.addAll(List.of("-Xmx512m", "-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=target/hs_err_%p.log"));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), AccessStress.class.getName()));
        command.addAll(Arrays.asList(args));
        Path output = Files.createTempFile("stress", ".txt");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        boolean ended = process.waitFor(5, TimeUnit.MINUTES);
        process.destroyForcibly();
        String said = Files.readString(output);
        Files.delete(output);
        assertTrue(ended, () -> "hangs: " + said);
        return new Ended(process.exitValue(), said);
    }
}

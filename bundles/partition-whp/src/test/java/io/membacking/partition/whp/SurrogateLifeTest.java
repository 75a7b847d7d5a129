package io.membacking.partition.whp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.contract.BackendFixture;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.TestRam;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** Either of two processes ends, without being asked: this one, or the surrogate that a partition's memory goes through. */
class SurrogateLifeTest extends BackendFixture {
    @Override
    protected PartitionBackend createBackend() {
        Shim.find();
        return new WhpBackend(new SurrogateCalls());
    }

    @BeforeEach
    void oneMappedPartition(TestInfo test) {
        BackendRequirement.require(Shim.isThere(), test, "WinHvPlatform is not the library for tests");
        Shim.set("one.mapped.partition", 1);
    }

    @AfterEach
    void switchBack() {
        if (Shim.isThere()) {
            Shim.set("one.mapped.partition", 0);
        }
    }

    private static Map<String, Long> counts() {
        Map<String, Long> counts = new TreeMap<>();
        List.of("partitions", "processors", "mappings", "views").forEach(what -> counts.put(what, Shim.count(what)));
        return counts;
    }

    private static void awaitEnd(long pid) throws Exception {
        ProcessHandle.of(pid)
                .ifPresent(process ->
                        process.onExit().orTimeout(60, TimeUnit.SECONDS).join());
    }

    @Test
    void theSurrogateEndsWithThisProcessHoweverThatEnds() throws Exception {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:TieredStopAtLevel=1"));
        for (String property : List.of("java.security.properties", WinHvCalls.SHIM)) {
            if (System.getProperty(property) != null) {
                command.add("-D" + property + "=" + System.getProperty(property));
            }
        }
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Killed.class.getName()));
        Process killed = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (BufferedReader output = killed.inputReader(StandardCharsets.US_ASCII)) {
            long surrogate = Long.parseLong(output.readLine());
            assertTrue(ProcessHandle.of(surrogate).orElseThrow().isAlive());
            killed.destroyForcibly();
            try {
                awaitEnd(surrogate);
            } finally {
                ProcessHandle.of(surrogate).ifPresent(ProcessHandle::destroyForcibly);
            }
        } finally {
            killed.destroyForcibly();
        }
    }

    /** Prints the number of a surrogate, and waits for its own end. */
    static final class Killed {
        private Killed() {}

        public static void main(String[] none) throws Exception {
            Shim.find();
            Shim.set("one.mapped.partition", 1);
            WhpBackend backend = new WhpBackend(new SurrogateCalls());
            TestRam ram = new TestRam(MIB);
            for (String name : List.of("first", "second")) {
                backend.createPartition(new PartitionRequest(name, false, 1)).map(ram.at(0));
            }
            System.out.println(SurrogateCalls.pids().get(0));
            Thread.currentThread().join();
        }
    }

    @Test
    void whereTheSurrogateEndsItsPartitionSaysSoAndAllElseGoesOn() throws Exception {
        partition().close(); // so that what the platform can do is known
        Map<String, Long> before = counts();
        Partition first = partitionWithRam();
        Partition second = partitionWithRam();
        long surrogate = SurrogateCalls.pids().get(0);
        ProcessHandle.of(surrogate).orElseThrow().destroyForcibly();
        awaitEnd(surrogate);
        try (TestRam extra = new TestRam(EXTRA.length())) {
            PartitionMapping more = extra.at(EXTRA, 0, true);
            BackendException ended = assertThrows(BackendException.class, () -> second.map(more));
            assertTrue(ended.getMessage().contains("has ended"), ended::getMessage);
            assertEquals(EXTRA, ended.failure().range().orElseThrow());
            assertEquals(1, second.mappings().size());
            first.map(more);
            first.unmap(EXTRA);
        }
        assertRuns(first);
        // With the last range the surrogate is given up; the next one starts another.
        second.unmap(ram.at(0).range());
        second.map(ram.at(0));
        assertEquals(1, SurrogateCalls.running());
        assertRuns(second);
        second.close();
        first.close();
        assertEquals(before, counts());
        assertEquals(0, SurrogateCalls.running());
    }

    private void assertRuns(Partition partition) throws Exception {
        Processor processor = ready(
                partition,
                GuestProgram.PROTECTED_PEEKPOKE,
                registers().rbx(0x20000).rcx(UNMAPPED).rax(0x77));
        assertEquals(0x77, runTo(processor, Exit.Mmio.class).value());
    }
}

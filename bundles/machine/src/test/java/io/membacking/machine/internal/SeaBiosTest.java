package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.machine.BootSource;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.memory.RamVisibility;
import io.membacking.range.MemoryRange;
import io.membacking.region.JournalEntry;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionOperation;
import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A firmware that nobody here wrote, on the memory of this project. */
@Timeout(120)
final class SeaBiosTest {
    @Test
    void itRunsToNoBootableDeviceThroughItsOwnPamWrites() throws Exception {
        byte[] image = RealHost.seabios();
        try (RealHost host = new RealHost()) {
            WatchedOutput debug = new WatchedOutput("No bootable device.");
            Machine machine = host.machines()
                    .create(MachineConfig.of("seabios", new BootSource.Firmware("bios-256k.bin", image))
                            .withOutput(OutputStream.nullOutputStream(), debug));
            long before = lastSequence(machine);
            Run run = machine.start();
            debug.stops(run);
            RunResult result = run.await(Duration.ofSeconds(90)).orElseThrow(() -> new AssertionError(debug.text()));
            String text = debug.text();

            assertEquals(RunResult.Kind.STOPPED, result.kind(), result + text);
            assertTrue(text.contains("SeaBIOS (version "), text);
            assertTrue(text.contains("No bootable device."), text);
            assertTrue(text.contains("e820 map has"), text);
            assertTrue(text.contains("0000000000000000 - 000000000009fc00 = 1 RAM"), text);
            assertTrue(text.lines().anyMatch(l -> l.contains("0000000000100000 - ") && l.endsWith("= 1 RAM")), text);
            assertTrue(text.lines().anyMatch(l -> l.contains("- 0000000100000000 = 2 RESERVED")), text);

            List<List<String>> changes = visibilityChanges(machine, before);
            assertEquals(expectedChanges(), changes);
            assertTrue(
                    machine.memory().regions().checkDrift().clean(),
                    () -> machine.memory().regions().checkDrift().toString());
            assertEquals(RamVisibility.READ_ONLY, machine.memory().visibility(new MemoryRange(0xf0000, 0x100000)));
            // What the firmware shadowed is no longer what the ROM holds: it has relocated and patched itself.
            assertEquals((byte) 0xea, machine.memory().memory().readByte(0xffff0));
        }
    }

    @Test
    void itFindsEveryProcessor() throws Exception {
        byte[] image = RealHost.seabios();
        try (RealHost host = new RealHost()) {
            WatchedOutput debug = new WatchedOutput("Found 3 cpu(s) max supported 3 cpu(s)");
            Machine machine = host.machines()
                    .create(MachineConfig.of("seabios", new BootSource.Firmware("bios-256k.bin", image))
                            .withProcessors(3)
                            .withOutput(OutputStream.nullOutputStream(), debug));
            Run run = machine.start();
            debug.stops(run);
            assertEquals(
                    RunResult.Kind.STOPPED,
                    run.await(Duration.ofSeconds(60))
                            .orElseThrow(() -> new AssertionError(debug.text()))
                            .kind());
        }
    }

    /** Two register writes of four bytes each time, 0x58 and 0x5c: so it is in SeaBIOS's src/fw/shadow.c. */
    private static List<List<String>> expectedChanges() {
        List<String> first = segments(LongStream.of(0xf0000, 0xc0000, 0xc4000, 0xc8000, 0xcc000));
        List<String> second = segments(LongStream.iterate(0xd0000, gpa -> gpa < 0xf0000, gpa -> gpa + 0x4000));
        // The two segments that its memory allocator keeps writing to stay writable.
        List<String> secondReadOnly = segments(LongStream.iterate(0xd0000, gpa -> gpa < 0xe8000, gpa -> gpa + 0x4000));
        return List.of(
                suffix(first, " rw"), suffix(second, " rw"), suffix(first, " r-"), suffix(secondReadOnly, " r-"));
    }

    private static List<String> segments(LongStream starts) {
        return starts.mapToObj(Long::toHexString).toList();
    }

    private static List<String> suffix(List<String> names, String suffix) {
        return names.stream().map(name -> name + suffix).toList();
    }

    private static List<List<String>> visibilityChanges(Machine machine, long after) {
        List<List<String>> changes = new ArrayList<>();
        for (JournalEntry entry : machine.memory().regions().journal()) {
            if (entry.sequence() <= after || entry.plan().isEmpty()) {
                continue;
            }
            List<String> change = new ArrayList<>();
            for (RegionOperation operation : entry.operations()) {
                RegionInfo region =
                        machine.memory().regions().region(operation.region()).orElseThrow();
                change.add(Long.toHexString(region.range().start())
                        + (operation instanceof RegionOperation.Map map
                                ? map.parameters().writable() ? " rw" : " r-"
                                : " --"));
            }
            changes.add(change);
        }
        return changes;
    }

    private static long lastSequence(Machine machine) {
        List<JournalEntry> journal = machine.memory().regions().journal();
        return journal.get(journal.size() - 1).sequence();
    }
}

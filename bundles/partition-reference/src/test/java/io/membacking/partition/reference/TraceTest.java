package io.membacking.partition.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.Processor;
import io.membacking.partition.contract.BackendFixture;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TraceTest extends BackendFixture {
    @TempDir
    Path directory;

    @Override
    protected PartitionBackend createBackend() {
        return new ReferenceBackend();
    }

    @Test
    void everyInstructionAndAccessIsALineAndOneThatExitsShowsOnce() throws Exception {
        Partition partition = partitionWithRam();
        Processor processor = ready(
                partition,
                GuestProgram.PROTECTED_PEEKPOKE,
                registers().rbx(UNMAPPED).rcx(0x20000).rax(0x11223344L));
        Path file = directory.resolve("trace");
        partition.startTrace(file);
        runTo(processor, Exit.Mmio.class).setValue(0xcafe);
        runTo(processor, Exit.Halt.class);
        partition.stopTrace();
        assertEquals(
                List.of(
                        "0 i 0x8000 [8b 13] mov",
                        "0 r 0x30000000 gpa 0x30000000 4 0xcafe",
                        "0 i 0x8002 [89 01] mov",
                        "0 w 0x20000 gpa 0x20000 4 0x11223344",
                        "0 i 0x8004 [8b 31] mov",
                        "0 r 0x20000 gpa 0x20000 4 0x11223344",
                        "0 i 0x8006 [f4] hlt"),
                Files.readAllLines(file));
    }

    @Test
    void aTraceCanBeginAndEndWhileTheGuestRunsAndIsWhole() throws Exception {
        Partition partition = partitionWithRam();
        Processor processor = ready(
                partition, GuestProgram.USER_COUNTER, registers().rdi(0x20000).rbx(UNMAPPED));
        FutureTask<Exit> run = onThread("counter", processor::run);
        awaitProgress(0x20000, run);
        Path file = directory.resolve("trace");
        partition.startTrace(file);
        assertThrows(BackendException.class, () -> partition.startTrace(directory.resolve("other")));
        for (int i = 0; i < 100; i++) {
            awaitProgress(0x20000, run);
        }
        partition.stopTrace();
        partition.stopTrace();
        awaitProgress(0x20000, run);
        List<String> lines = Files.readAllLines(file);
        assertTrue(lines.size() > 100, () -> lines.size() + " lines");
        long last = -1;
        for (String line : lines) {
            if (line.startsWith("0 w 0x20000 ")) {
                long value = Long.decode(line.substring(line.lastIndexOf(' ') + 1));
                assertTrue(last == -1 || value == last + 1, line);
                last = value;
            }
        }
        assertTrue(last > 0);
        processor.cancel();
        assertInstanceOf(Exit.Cancelled.class, run.get());
    }

    @Test
    void aFileThatCannotBeWrittenIsRefusedByName() throws Exception {
        Partition partition = partition();
        Path nowhere = directory.resolve("missing").resolve("trace");
        BackendException refused = assertThrows(BackendException.class, () -> partition.startTrace(nowhere));
        assertTrue(refused.getMessage().contains(nowhere.toString()), refused::getMessage);
    }
}

package io.membacking.itests.windows;

import static io.membacking.itests.windows.GuestMemories.SEGMENT;
import static io.membacking.itests.windows.GuestRig.END;
import static io.membacking.itests.windows.GuestRig.registers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.AttachException;
import io.membacking.error.MembackingException;
import io.membacking.guests.GuestProgram;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamVisibility;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.region.Attachment;
import io.membacking.region.ProcessorGate;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Memory attached through a process that the caller names: seen by the guest as any other, or refused by name. */
@Timeout(120)
class RemoteProcessTest {
    private static final long OURS = 0x1122334455667788L;

    private final GuestRig rig = new GuestRig();
    private final PartitionBackend backend = InContainer.container().await(PartitionBackend.class);

    @AfterEach
    void close() throws Exception {
        rig.close();
    }

    private Partition partition(String name) throws MembackingException {
        return rig.guests.keep(backend.createPartition(new PartitionRequest(name, false, 1)));
    }

    private static Attachment attach(GuestMemoryManager memory, Partition partition, long process)
            throws MembackingException {
        return memory.attach(partition.name(), partition, ProcessorGate.NONE, 0, OptionalLong.of(process));
    }

    private static void assertRuns(GuestMemoryManager memory, Processor processor, long at, long value)
            throws Exception {
        GuestProgram program = GuestProgram.USER_PEEKPOKE;
        GuestRig.load(memory, program);
        memory.memory().writeLong(at, value);
        processor.setState(
                GuestRig.state(program, registers(program, 0, END, 0, value + 1, at + 8, at), processor.state()));
        Exit.Mmio end = assertInstanceOf(Exit.Mmio.class, processor.run());
        assertEquals(END, end.gpa());
        assertEquals(value, end.value());
        processor.completeExit();
        assertEquals(value + 1, memory.memory().readLong(at + 8));
    }

    @Test
    void guestSeesMemoryThatGoesThroughAnotherProcessUntilThatEnds() throws Exception {
        if (!backend.capabilities().remoteProcess()) {
            GuestMemoryManager memory = rig.memory("near");
            Partition partition = partition("near");
            assertThrows(AttachException.class, () -> attach(memory, partition, 1));
            assertTrue(memory.regions().attachments().isEmpty());
            return;
        }
        GuestMemoryManager memory = rig.memory("far");
        Partition partition = partition("far");
        try (OtherProcess process = OtherProcess.start()) {
            Attachment attachment = attach(memory, partition, process.handle());
            Processor processor = partition.createProcessor(0);
            assertRuns(memory, processor, SEGMENT.start(), OURS);
            memory.setVisibility(SEGMENT, RamVisibility.UNMAPPED);
            memory.setVisibility(SEGMENT, RamVisibility.READ_WRITE);
            assertRuns(memory, processor, SEGMENT.start(), OURS + 5);
            assertTrue(memory.regions().checkDrift().clean());
            attachment.close();
            assertTrue(partition.mappings().isEmpty());

            attach(memory, partition, process.handle());
            assertRuns(memory, processor, SEGMENT.start(), OURS + 9);
            memory.setVisibility(SEGMENT, RamVisibility.UNMAPPED);
            process.end();
            MembackingException ended = assertThrows(
                    MembackingException.class, () -> memory.setVisibility(SEGMENT, RamVisibility.READ_WRITE));
            assertTrue(ended.toString().contains("has ended"), ended::toString);
            memory.regions().attachments().forEach(Attachment::close);
            memory.setVisibility(SEGMENT, RamVisibility.READ_WRITE);
            assertEquals(OURS + 10, memory.memory().readLong(SEGMENT.start() + 8));
            // Through this process again: nothing of the other one is in the way.
            memory.attach("near", partition, ProcessorGate.NONE, 0, OptionalLong.empty());
            assertRuns(memory, processor, SEGMENT.start(), OURS + 20);
            assertTrue(memory.regions().checkDrift().clean());
        }
    }

    @Test
    void privateMemoryIsRefusedByName() throws Exception {
        GuestMemoryManager memory = rig.guests.keep(rig.guests
                .managers
                .builder("private")
                .layout(MemoryLayout.flat(2 << 20))
                .backing(BackingChoice.privateMemory())
                .build());
        Partition partition = partition("private");
        AttachException refused = assertThrows(AttachException.class, () -> attach(memory, partition, 1));
        assertTrue(
                refused.toString().contains(backend.capabilities().remoteProcess() ? "private memory" : "cannot map"),
                refused::toString);
        assertTrue(partition.mappings().isEmpty());
    }
}

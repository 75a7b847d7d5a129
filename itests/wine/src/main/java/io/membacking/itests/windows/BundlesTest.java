package io.membacking.itests.windows;

import static io.membacking.itests.windows.GuestRig.END;
import static io.membacking.itests.windows.GuestRig.registers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.host.HostMemory;
import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.GuestMemoryManagers;
import io.membacking.memory.MemoryLayout;
import io.membacking.partition.PartitionBackend;
import io.membacking.vm.VirtualMachine;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceReference;

/** Bundles that stop while guests are alive, and come back. */
@Timeout(120)
class BundlesTest {
    private final Container container = InContainer.container();
    private final GuestRig rig = new GuestRig();

    @AfterEach
    void close() throws Exception {
        rig.close();
        container.awaitComplete();
    }

    private static Bundle provider(Class<?> service) {
        BundleContext context = FrameworkUtil.getBundle(BundlesTest.class).getBundleContext();
        ServiceReference<?> reference = context.getServiceReference(service);
        return reference.getBundle();
    }

    private static void assertRuns(GuestMemoryManager memory, VirtualMachine vm, long value) throws Exception {
        GuestProgram program = GuestProgram.USER_PEEKPOKE;
        GuestRig.load(memory, program);
        memory.memory().writeLong(0x200000, value);
        GuestRig.prepare(vm, 0, program, registers(program, 0, END, 0, value + 1, 0x200008, 0x200000));
        GuestRig.EndHandler ends = new GuestRig.EndHandler();
        assertEquals("ended", GuestRig.await(vm.start(ends)).reason());
        assertEquals(value, ends.written.get());
        assertEquals(value + 1, memory.memory().readLong(0x200008));
    }

    @Test
    void memoryOutlivesTheHypervisorsBundleAndRunsOnItsReturn() throws Exception {
        GuestMemoryManager memory = rig.memory("survivor");
        VirtualMachine vm = rig.vm("survivor", memory, 1, 0);
        assertRuns(memory, vm, 0x55);
        memory.memory().writeLong(0x300000, 0x66);
        Bundle backend = provider(PartitionBackend.class);
        for (int round = 0; round < 3; round++) {
            backend.stop();
            Conditions.await(() -> vm.backend().isEmpty(), Container.DEADLINE, vm::status);
            assertEquals(0x66, memory.memory().readLong(0x300000));
            assertTrue(memory.regions().attachments().isEmpty());
            backend.start();
            assertTrue(vm.awaitReady(Duration.ofSeconds(30)), vm::status);
            assertRuns(memory, vm, 0x100 + round);
        }
    }

    @Test
    void memoryIsClosedBeforeTheHostsBundleHasStopped() throws Exception {
        GuestMemoryManager memory = rig.memory("closed");
        Bundle host = provider(HostMemory.class);
        host.stop();
        IllegalStateException closed =
                assertThrows(IllegalStateException.class, () -> memory.memory().readLong(0));
        assertTrue(closed.toString().contains("closed"), closed::toString);
        host.start();
        container.awaitComplete();
        try (GuestMemoryManager again = container
                .await(GuestMemoryManagers.class)
                .builder("again")
                .layout(MemoryLayout.flat(GuestMemories.MIB))
                .build()) {
            again.memory().writeLong(0, 1);
            assertEquals(1, again.memory().readLong(0));
        }
    }
}

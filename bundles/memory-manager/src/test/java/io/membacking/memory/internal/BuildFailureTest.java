package io.membacking.memory.internal;

import static io.membacking.memory.internal.Rig.MIB;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostMemory;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryBuilder;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.range.MemoryRange;
import io.membacking.region.RegionManagers;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class BuildFailureTest {
    private static final MemoryRange LOW = new MemoryRange(0, 2 * MIB);
    private static final MemoryRange MIDDLE = new MemoryRange(4 * MIB, 5 * MIB);
    private static final MemoryRange HIGH = new MemoryRange(8 * MIB, 9 * MIB);
    private static final MemoryRange VTL2 = new MemoryRange(10 * MIB, 11 * MIB);

    private final Rig rig = new Rig();

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void aBuildThatFailsAtAnyCallLeavesNothingAndWorksAtTheSecondTry() throws Exception {
        Faults faults = new Faults();
        GuestMemories memories = new GuestMemories(
                faults.wrap(HostMemory.class, rig.host), faults.wrap(RegionManagers.class, rig.regions));
        Backing old = rig.host.allocate(BackingRequest.shared("old", MIB));
        GuestMemoryBuilder builder = memories.builder("g")
                .layout(MemoryLayout.of(
                        List.of(RamRange.of(LOW), RamRange.of(MIDDLE), RamRange.of(HIGH)),
                        List.of(),
                        Optional.of(VTL2)))
                .backing(Set.of(MIDDLE), BackingChoice.privateMemory())
                .backing(Set.of(HIGH), BackingChoice.existing(old).withPrefetch())
                .x86LegacySupport(true);
        builder.build().close();
        List<String> calls = faults.calls();
        assertTrue(
                calls.containsAll(List.of(
                        "HostMemory.allocate",
                        "HostMemory.duplicate",
                        "Backing.claim",
                        "RegionManagers.create",
                        "RegionManager.addBacking",
                        "RegionManager.change",
                        "Change.add",
                        "Change.addMapping",
                        "Change.map",
                        "Change.commit")),
                calls.toString());

        Rig.Held before = Rig.Held.now();
        int buildCalls = calls.lastIndexOf("Change.commit") + 1;
        for (int call = 0; call < buildCalls; call++) {
            faults.failAt(call);
            Exception failed = assertThrows(Exception.class, builder::build);
            assertTrue(failed.getMessage().contains("injected into " + calls.get(call)), failed.getMessage());
            assertEquals(0, failed.getSuppressed().length);
            assertEquals(before, Rig.Held.now(), "left behind after " + calls.get(call));
            assertEquals(0, rig.openGuests.get(), "left open after " + calls.get(call));
            assertEquals(0, Rig.blanks(VTL2.end()), "left reserved after " + calls.get(call));
            assertEquals(List.of(), memories.managers());
        }
        // What is counted can be seen.
        rig.regions.create("empty", VTL2.end());
        assertEquals(1, rig.openGuests.get());
        assertEquals(1, Rig.blanks(VTL2.end()));
        faults.failAt(Integer.MAX_VALUE);
        try (GuestMemoryManager guest = builder.build()) {
            guest.memory().writeLong(MIDDLE.start(), 1);
            assertEquals(1, guest.memory().readLong(MIDDLE.start()));
        }
        assertEquals(before, Rig.Held.now());
        // No claim is left either.
        old.claim("test").close();
    }

    @Test
    void exportThatFailsHalfWayLeavesNoHandles() throws Exception {
        Faults faults = new Faults();
        GuestMemories memories = new GuestMemories(
                faults.wrap(HostMemory.class, rig.host), faults.wrap(RegionManagers.class, rig.regions));
        GuestMemoryManager guest = memories.builder("g")
                .layout(MemoryLayout.of(List.of(RamRange.of(LOW), RamRange.of(MIDDLE)), List.of(), Optional.empty()))
                .backing(Set.of(MIDDLE), BackingChoice.SHARED)
                .build();
        Rig.Held before = Rig.Held.now();
        faults.failAt(1);
        assertThrows(Exception.class, guest::export);
        assertEquals(before, Rig.Held.now());
        faults.failAt(Integer.MAX_VALUE);
        guest.export().forEach(Backing::close);
        assertEquals(before, Rig.Held.now());
        memories.close();
    }

    @Test
    void deviceMemoryThatCouldNotBeTakenOutIsWhenItIsClosedOnceMore() throws Exception {
        Faults faults = new Faults();
        GuestMemories memories = new GuestMemories(rig.host, faults.wrap(RegionManagers.class, rig.regions));
        GuestMemoryManager guest =
                memories.builder("g").layout(Rig.withGap(MIB)).build();
        DeviceMemory device = guest.createDeviceMemory("d", MIB);
        device.mappings().map(new MemoryRange(0, MIB), guest.allocate("d", MIB), 0, true);
        device.control().place(MIB, true);
        faults.failAt(faults.calls().size() + 1000);
        device.close();
        int commit = faults.calls().indexOf("Change.commit");
        assertEquals(List.of(), guest.deviceMemory());

        DeviceMemory stubborn = guest.createDeviceMemory("s", MIB);
        faults.failAt(commit);
        stubborn.close(); // the second commit, with the longer deadline, goes well
        assertEquals(List.of(), guest.deviceMemory());
        DeviceMemory again = guest.createDeviceMemory("a", MIB);
        faults.failAt(commit - 1); // no change could be started
        again.close();
        assertEquals(List.of(again), guest.deviceMemory());
        assertThrows(IllegalStateException.class, () -> again.control().place(MIB, true));
        again.close();
        assertEquals(List.of(), guest.deviceMemory());
        memories.close();
    }
}

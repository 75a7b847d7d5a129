package io.membacking.memory.internal;

import static io.membacking.memory.internal.Rig.MIB;
import static io.membacking.memory.internal.Rig.PAGE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.membacking.error.AllocationException;
import io.membacking.error.BuildException;
import io.membacking.error.GuestAccessException;
import io.membacking.error.HostMappingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryBuilder;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.memory.RamVisibility;
import io.membacking.memory.SharedRam;
import io.membacking.memory.VisibilityChange;
import io.membacking.range.MemoryRange;
import io.membacking.region.JournalEntry;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionKind;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class GuestMemoriesTest {
    private final Rig rig = new Rig();

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void eachRangeBecomesARegionNamedRam() throws Exception {
        MemoryRange vtl2 = new MemoryRange(6 * MIB, 7 * MIB);
        GuestMemoryManager guest = rig.memories
                .builder("g")
                .layout(MemoryLayout.of(
                        List.of(
                                RamRange.of(new MemoryRange(0, 2 * MIB)),
                                RamRange.of(new MemoryRange(4 * MIB, 5 * MIB))),
                        List.of(new MemoryRange(2 * MIB, 4 * MIB)),
                        Optional.of(vtl2)))
                .build();
        assertEquals(7 * MIB, guest.regions().size());
        assertEquals(3, guest.regions().regions().size());
        for (RegionInfo region : guest.regions().regions()) {
            assertEquals("ram", region.id().name());
            assertEquals(255, region.priority());
            assertEquals(RegionKind.RAM, region.kind());
            assertEquals(Optional.of(MapParameters.RAM), region.mapped());
        }
        assertTrue(guest.ramRegions().contains(vtl2));
        guest.memory().writeLong(6 * MIB, 42);
        assertEquals(42, guest.memory().readLong(6 * MIB));
        assertThrows(GuestAccessException.class, () -> guest.memory().readByte(2 * MIB));
        assertTrue(guest.regions().checkDrift().clean());

        // One backing, packed without holes: ranges in order, then VTL2.
        byte[] bytes = new byte[8];
        SharedRam last = guest.shareableRam().get(2);
        assertEquals(new SharedRam(vtl2, last.backing(), 3 * MIB), last);
        assertEquals(4 * MIB, last.backing().size());
        last.backing().read(3 * MIB, bytes, 0, 8);
        assertArrayEquals(new byte[] {42, 0, 0, 0, 0, 0, 0, 0}, bytes);
    }

    @Test
    void aNameIsTakenWhileItsGuestLivesAndNoLonger() throws Exception {
        GuestMemoryBuilder builder = rig.memories.builder("g").layout(MemoryLayout.flat(MIB));
        GuestMemoryManager first = builder.build();
        assertThrows(IllegalStateException.class, builder::build);
        assertSame(first, rig.memories.manager("g").orElseThrow());
        first.close();
        first.close();
        assertEquals(Optional.empty(), rig.memories.manager("g"));
        GuestMemoryManager second = builder.build();
        assertEquals(List.of(second), rig.memories.managers());
        for (String name : List.of("", "a/b", "/")) {
            assertThrows(IllegalArgumentException.class, () -> rig.memories.builder(name), name);
        }
        assertThrows(
                IllegalStateException.class, () -> rig.memories.builder("h").build());
    }

    @Test
    void ofManyThatBuildUnderOneNameAtOnceOneDoes() throws Exception {
        CountDownLatch start = new CountDownLatch(1);
        List<CompletableFuture<Boolean>> builds = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            builds.add(CompletableFuture.supplyAsync(
                    () -> {
                        try {
                            start.await();
                            build("g", MIB);
                            return true;
                        } catch (IllegalStateException e) {
                            return false;
                        } catch (Exception e) {
                            throw new AssertionError(e);
                        }
                    },
                    task -> new Thread(task).start()));
        }
        start.countDown();
        int built = 0;
        for (CompletableFuture<Boolean> build : builds) {
            built += build.get(60, TimeUnit.SECONDS) ? 1 : 0;
        }
        assertEquals(1, built);
        assertEquals(1, rig.memories.managers().size());
    }

    @Test
    void guestsThatAreBuiltWhileTheServiceClosesAreClosedToo() throws Exception {
        Rig.Held before = Rig.Held.now();
        CountDownLatch building = new CountDownLatch(1);
        CountDownLatch closed = new CountDownLatch(1);
        GuestMemories memories = new GuestMemories(rig.host, rig.regions, memory -> {
            building.countDown();
            try {
                closed.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return () -> {};
        });
        CompletableFuture<Exception> build = CompletableFuture.supplyAsync(
                () -> assertThrows(IllegalStateException.class, () -> memories.builder("g")
                        .layout(MemoryLayout.flat(MIB))
                        .build()),
                task -> new Thread(task).start());
        assertTrue(building.await(60, TimeUnit.SECONDS));
        memories.close();
        closed.countDown();
        assertTrue(build.get(60, TimeUnit.SECONDS).getMessage().contains("closed"));
        assertEquals(before, Rig.Held.now());
    }

    @Test
    void managersAreClosedInReverseOrderAndThenTheServiceSaysClosed() throws Exception {
        List<String> closed = new ArrayList<>();
        GuestMemories memories = new GuestMemories(rig.host, rig.regions, memory -> () -> closed.add(memory.guest()));
        for (String name : List.of("a", "b", "c")) {
            memories.builder(name).layout(MemoryLayout.flat(MIB)).build();
        }
        memories.manager("b").orElseThrow().close();
        memories.close();
        memories.close();
        assertEquals(List.of("b", "c", "a"), closed);
        assertThrows(IllegalStateException.class, memories::managers);
        assertThrows(
                IllegalStateException.class,
                () -> memories.builder("d").layout(MemoryLayout.flat(MIB)).build());
    }

    @Test
    void whatIsAnnouncedBadlyIsNotLeftBehind() throws Exception {
        Rig.Held before = Rig.Held.now();
        GuestMemories memories = new GuestMemories(rig.host, rig.regions, memory -> {
            throw new IllegalStateException("the bundle stopped");
        });
        GuestMemoryBuilder builder = memories.builder("g").layout(MemoryLayout.flat(MIB));
        assertThrows(IllegalStateException.class, builder::build);
        assertThrows(IllegalStateException.class, builder::build);
        assertEquals(before, Rig.Held.now());
    }

    @Test
    void afterCloseEveryCallSaysClosed() throws Exception {
        GuestMemoryManager guest = build("g", MIB);
        DeviceMemory device = guest.createDeviceMemory("vga", PAGE);
        VisibilityChange change = guest.changeVisibility("late");
        Backing backing = guest.allocate("rom", PAGE);
        guest.close();
        int calls = 0;
        for (Method method : GuestMemoryManager.class.getMethods()) {
            if (method.getName().equals("close")) {
                continue;
            }
            Object[] arguments = new Object[method.getParameterCount()];
            for (int i = 0; i < arguments.length; i++) {
                Class<?> type = method.getParameterTypes()[i];
                arguments[i] = type == long.class
                        ? (Object) 4096L
                        : type == int.class
                                ? (Object) 0
                                : type == String.class
                                        ? "x"
                                        : type == MemoryRange.class
                                                ? new MemoryRange(0, MIB)
                                                : type == RamVisibility.class ? RamVisibility.READ_ONLY : null;
            }
            Throwable thrown = assertThrows(
                            InvocationTargetException.class, () -> method.invoke(guest, arguments), method.getName())
                    .getCause();
            assertEquals(IllegalStateException.class, thrown.getClass(), method.getName());
            assertTrue(thrown.getMessage().contains("closed"), method + ": " + thrown.getMessage());
            calls++;
        }
        assertTrue(calls > 10);
        device.close();
        assertThrows(IllegalStateException.class, () -> device.control().place(0, true));
        assertThrows(IllegalStateException.class, () -> device.mappings().mapped());
        assertThrows(IllegalStateException.class, () -> change.commit());
        assertThrows(IllegalStateException.class, backing::descriptor);
        assertNotNull(guest.toString());
    }

    @Test
    void closingLeavesNothing() throws Exception {
        rig.memories.builder("warm").layout(MemoryLayout.flat(MIB)).build().close();
        Rig.Held before = Rig.Held.now();
        GuestMemoryManager guest = rig.memories
                .builder("g")
                .layout(Rig.withGap(2 * MIB))
                .x86LegacySupport(true)
                .build();
        DeviceMemory device = guest.createDeviceMemory("rom", MIB);
        device.mappings().map(new MemoryRange(0, MIB), guest.allocate("rom", MIB), 0, true);
        device.control().place(2 * MIB, false);
        assertTrue(Rig.Held.now().mappings() >= 2);
        assertEquals(0, device.control().placed().orElseThrow().compareTo(new MemoryRange(2 * MIB, 3 * MIB)));
        guest.close();
        assertEquals(before, Rig.Held.now());
    }

    @Test
    void exportedMemoryIsAdoptedWithItsContentsOnceTheGuestIsClosed() throws Exception {
        MemoryRange low = new MemoryRange(0, MIB);
        MemoryRange high = new MemoryRange(4 * MIB, 6 * MIB);
        MemoryLayout layout =
                MemoryLayout.of(List.of(RamRange.of(low), RamRange.of(high)), List.of(), Optional.empty());
        GuestMemoryManager guest = rig.memories
                .builder("g")
                .layout(layout)
                .backing(Set.of(high), BackingChoice.SHARED)
                .build();
        guest.memory().writeLong(8, 1234);
        guest.memory().writeLong(5 * MIB, 5678);
        List<Backing> exported = guest.export();
        assertEquals(List.of(MIB, 2 * MIB), exported.stream().map(Backing::size).toList());

        GuestMemoryBuilder again = rig.memories
                .builder("h")
                .layout(layout)
                .backing(BackingChoice.existing(exported.get(0)))
                .backing(Set.of(high), BackingChoice.existing(exported.get(1)));
        AllocationException refused = assertThrows(AllocationException.class, again::build);
        assertTrue(refused.getMessage().contains("'g'"), refused.getMessage());
        guest.close();
        GuestMemoryManager restored = again.build();
        assertEquals(1234, restored.memory().readLong(8));
        assertEquals(5678, restored.memory().readLong(5 * MIB));
        assertTrue(restored.regions().checkDrift().clean());
        restored.close();
        // The caller's handles stay the caller's.
        byte[] bytes = new byte[1];
        exported.get(0).read(8, bytes, 0, 1);
        assertEquals((byte) 1234, bytes[0]);
        exported.forEach(Backing::close);
    }

    @Test
    void privateMemoryIsNeitherSharedNorExported() throws Exception {
        MemoryRange low = new MemoryRange(0, MIB);
        MemoryRange high = new MemoryRange(4 * MIB, 6 * MIB);
        GuestMemoryManager guest = rig.memories
                .builder("g")
                .layout(MemoryLayout.of(List.of(RamRange.of(low), RamRange.of(high)), List.of(), Optional.empty()))
                .backing(Set.of(high), BackingChoice.privateMemory())
                .build();
        guest.memory().writeLong(5 * MIB, 5);
        assertEquals(5, guest.memory().readLong(5 * MIB));
        assertEquals(List.of(), guest.shareableRam());
        Rig.Held before = Rig.Held.now();
        AllocationException refused = assertThrows(AllocationException.class, guest::export);
        assertTrue(refused.getMessage().contains("private"), refused.getMessage());
        assertEquals(before, Rig.Held.now());
        assertTrue(guest.regions().checkDrift().clean());
    }

    @Test
    void aSecondManagerOnALiveBackingIsRefusedAndLeavesNothing() throws Exception {
        GuestMemoryManager guest = build("g", MIB);
        Backing shared = guest.shareableRam().get(0).backing();
        Rig.Held before = Rig.Held.now();
        GuestMemoryBuilder second =
                rig.memories.builder("h").layout(MemoryLayout.flat(MIB)).backing(BackingChoice.existing(shared));
        assertThrows(AllocationException.class, second::build);
        assertThrows(AllocationException.class, second::build);
        assertEquals(before, Rig.Held.now());
        assertEquals(1, rig.memories.managers().size());
    }

    @Test
    void whatTheHostCannotGiveIsRefused() throws Exception {
        long physical = rig.host.capabilities().physicalMemory();
        BuildException tooMuch = assertThrows(BuildException.class, () -> build("g", (physical & -PAGE) + PAGE));
        assertTrue(tooMuch.getMessage().contains(Size.of(physical)), tooMuch.getMessage());
        long beyond = 1L << rig.host.capabilities().addressBits();
        MemoryLayout high =
                MemoryLayout.of(List.of(RamRange.of(MemoryRange.ofLength(beyond, PAGE))), List.of(), Optional.empty());
        assertThrows(
                BuildException.class,
                () -> rig.memories.builder("g").layout(high).build());
    }

    @Test
    void moreAddressesThanTheHostHasAreRefusedAndNothingIsLeft() throws Exception {
        Rig.Held before = Rig.Held.now();
        long bits = Math.min(rig.host.capabilities().addressBits(), 62);
        MemoryLayout high = MemoryLayout.of(
                List.of(RamRange.of(MemoryRange.ofLength((1L << bits) - PAGE, PAGE))), List.of(), Optional.empty());
        try {
            rig.memories.builder("g").layout(high).build().close();
        } catch (HostMappingException e) {
            assertTrue(e.getMessage().length() > 10);
        }
        assertEquals(before, Rig.Held.now());
    }

    @Test
    void hugePagesThatThePoolLacksAreRefusedAtBuild() throws Exception {
        Set<Long> sizes = rig.host.capabilities().hugePageSizes();
        assumeFalse(sizes.isEmpty(), "the host has no huge pages");
        long page = sizes.stream().min(Long::compare).orElseThrow();
        long size = rig.host.capabilities().physicalMemory() / page * page;
        Rig.Held before = Rig.Held.now();
        AllocationException refused = assertThrows(AllocationException.class, () -> rig.memories
                .builder("g")
                .layout(MemoryLayout.flat(size))
                .backing(BackingChoice.hugetlb(page))
                .build());
        assertTrue(refused.getMessage().contains("pages of 0x" + Long.toHexString(page)), refused.getMessage());
        assertEquals(before, Rig.Held.now());
    }

    @Test
    void choicesAreKept() throws Exception {
        GuestMemoryManager guest = rig.memories
                .builder("g")
                .layout(MemoryLayout.flat(MIB))
                .aliasMapOffset(1L << 32)
                .pinning(true)
                .build();
        assertEquals(OptionalLong.of(1L << 32), guest.aliasMapOffset());
        assertTrue(guest.pinning());
        assertEquals("g", guest.guest());
        assertEquals(MemoryLayout.flat(MIB), guest.layout());
        GuestMemoryManager plain = build("plain", MIB);
        assertEquals(OptionalLong.empty(), plain.aliasMapOffset());
        assertFalse(plain.pinning());
        assertEquals(BackingKind.SHARED, plain.shareableRam().get(0).backing().kind());
        assertEquals(List.of(new MemoryRange(0, MIB)), plain.ramRegions());
    }

    @Test
    void prefetchPopulatesAtBuildAndIsInTheJournal() throws Exception {
        GuestMemoryManager lazy = build("lazy", 8 * MIB);
        GuestMemoryManager eager = rig.memories
                .builder("eager")
                .layout(MemoryLayout.flat(8 * MIB))
                .backing(BackingChoice.SHARED.withPrefetch())
                .build();
        assertEquals(0, Rig.resident("lazy-ram"));
        assertEquals(8 * MIB, Rig.resident("eager-ram"));
        JournalEntry entry = eager.regions().journal().get(0);
        assertTrue(entry.plan().toString().contains("Prefetch"), entry.plan().toString());
        assertEquals(List.of(), entry.warnings());
        assertFalse(lazy.regions().journal().get(0).plan().toString().contains("Prefetch"));
    }

    private GuestMemoryManager build(String name, long size) throws Exception {
        return rig.memories.builder(name).layout(MemoryLayout.flat(size)).build();
    }
}

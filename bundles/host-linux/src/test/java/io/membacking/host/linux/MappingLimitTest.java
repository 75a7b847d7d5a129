package io.membacking.host.linux;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Pointer;
import io.membacking.error.HostMappingException;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostPiece;
import io.membacking.range.MemoryRange;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Limits of a process, met for real, in a process of their own. */
class MappingLimitTest {
    private static final long PAGE = 4096;

    @Test
    void limitOnMappingsIsRefusedByNameAndEverythingGoesOn() throws Exception {
        Required.require(
                HostFacts.mappingLimit() <= 200_000,
                "meeting vm.max_map_count in reasonable time needs it at 200000 or less (sysctl vm.max_map_count)");
        ForkedJvm.start(Exhausted.class).finish();
    }

    /** Fills the process with islands. */
    static final class Exhausted {
        private static final long LARGE_PAGES = 1200;

        private Exhausted() {}

        public static void main(String[] arguments) throws Exception {
            long before;
            try (LinuxHostMemory host = new LinuxHostMemory()) {
                before = ProcessState.mappings();
                run(host);
                assertTrue(ProcessState.mappings() < before + 50, "mappings left behind");
            }
        }

        private static void run(LinuxHostMemory host) throws Exception {
            AddressReservation large = host.reserve(4 * LARGE_PAGES * PAGE, PAGE);
            AddressReservation space = host.reserve(1L << 30, PAGE);
            Backing ram = host.allocate(BackingRequest.shared("ram", LARGE_PAGES * PAGE));
            Backing scratch = host.allocate(new BackingRequest(
                    "scratch", BackingKind.PRIVATE, LARGE_PAGES * PAGE, 0, false, OptionalInt.empty()));
            large.map(pages(0, LARGE_PAGES), ram, 0);
            large.map(pages(2 * LARGE_PAGES, LARGE_PAGES), scratch, 0);
            Pointer memory = new Pointer(large.base());
            for (long i = 0; i < LARGE_PAGES; i++) {
                memory.setLong(i * PAGE, i);
                memory.setLong((2 * LARGE_PAGES + i) * PAGE, i);
            }

            long islands = fill(space, ram);
            List<HostPiece> all = space.observe();
            assertEquals(islands, all.size());

            // Every door is shut, and what was there stays.
            assertAtLimit(() -> space.map(pages(2 * islands + 10, 1), ram, 0));
            assertAtLimit(() -> large.map(pages(4, 1), scratch, 0));
            assertAtLimit(() -> large.lock(pages(4, 1)));
            assertAtLimit(() -> host.reserve(PAGE, PAGE));
            assertEquals(all, space.observe());
            assertEquals(4, memory.getLong(4 * PAGE));

            // What needs no mapping more goes on.
            space.map(pages(4, 1), ram, 9 * PAGE);
            assertEquals(9, new Pointer(space.base()).getLong(4 * PAGE));

            // The JVM has room to live.
            List<Thread> threads = new ArrayList<>();
            for (long i = 0; i < 8; i++) {
                threads.add(new Thread(() -> {}));
            }
            threads.forEach(Thread::start);
            for (Thread thread : threads) {
                thread.join();
            }

            // More cuts than are kept for releasing: each release ends, and what is gone is gone or said to be there.
            long cuts = LARGE_PAGES / 2;
            for (long i = 0; i < cuts; i++) {
                large.release(pages(2 * i + 1, 1));
                large.release(pages(2 * LARGE_PAGES + 2 * i + 1, 1));
            }
            Set<Long> lingering = new HashSet<>();
            for (HostPiece piece : large.observe()) {
                for (long at = piece.offsets().start(); at < piece.offsets().end(); at += PAGE) {
                    if (at / PAGE % 2 == 1) {
                        lingering.add(at);
                    }
                }
            }
            assertTrue(!lingering.isEmpty(), "releasing was never short of mappings");
            for (long i = 0; i < cuts; i++) {
                assertEquals(2 * i, memory.getLong(2 * i * PAGE));
                assertEquals(2 * i, memory.getLong((2 * LARGE_PAGES + 2 * i) * PAGE));
                // Private contents are gone in either case.
                assertEquals(0, memory.getLong((2 * LARGE_PAGES + 2 * i + 1) * PAGE));
            }

            // With room again, the next change takes away what lingered.
            for (long i = 0; i < islands; i++) {
                space.release(pages(2 * i, 1));
            }
            assertEquals(List.of(), space.observe());
            large.release(pages(0, 1));
            List<HostPiece> rest = large.observe();
            assertEquals(2 * cuts - 1, rest.size());
            for (HostPiece piece : rest) {
                assertEquals(0, piece.offsets().start() / PAGE % 2);
                assertEquals(PAGE, piece.offsets().length());
            }
            assertEquals(
                    1,
                    MapsLine.within(space.base(), space.base() + space.size()).size());
            space.map(pages(1, 1), ram, 0);
            space.close();
            large.close();
        }

        private static long fill(AddressReservation space, Backing ram) throws HostMappingException {
            for (long islands = 0; ; islands++) {
                try {
                    space.map(pages(2 * islands, 1), ram, 0);
                } catch (HostMappingException e) {
                    assertNamesLimit(e);
                    assertTrue(islands * 2 > HostFacts.mappingLimit() - 20_000, islands + " islands");
                    return islands;
                }
            }
        }

        private static void assertAtLimit(org.junit.jupiter.api.function.Executable call) {
            assertNamesLimit(assertThrows(HostMappingException.class, call));
        }

        private static void assertNamesLimit(HostMappingException e) {
            assertTrue(
                    e.getMessage().contains("vm.max_map_count allows, " + HostFacts.mappingLimit())
                            && e.getMessage().contains("sysctl -w vm.max_map_count="),
                    e.getMessage());
        }
    }

    @Test
    void budgetKeepsPartsForReleasingAndForTheJvm() {
        long limit = 65_530;
        long kept = MappingBudget.kept(limit);
        AtomicLong counted = new AtomicLong(500);
        MappingBudget budget = new MappingBudget(() -> limit, counted::get);
        long free = limit - 500 - kept;
        assertTrue(budget.allowsMapping(free));
        assertFalse(budget.allowsMapping(free + 1));
        assertTrue(budget.allowsReleasing(free + kept - kept / 2));
        assertFalse(budget.allowsReleasing(free + kept - kept / 2 + 1));
        budget.changed(free);
        counted.addAndGet(free);
        assertFalse(budget.allowsMapping(1));
        assertTrue(budget.allowsMapping(0));
        assertTrue(budget.allowsMapping(-1));
        budget.changed(-10);
        counted.addAndGet(-10);
        assertTrue(budget.allowsMapping(10));
        assertFalse(budget.allowsMapping(11));
    }

    @Test
    void budgetSeesWhatOthersMapMeanwhile() {
        AtomicLong counted = new AtomicLong(500);
        MappingBudget budget = new MappingBudget(() -> 65_530, counted::get);
        counted.set(60_000);
        assertFalse(budget.allowsMapping(5_000));
    }

    @Test
    void limitOnLockedMemoryIsRefusedByNumberWithNothingLocked() throws Exception {
        List<String> limited = new ArrayList<>();
        Required.require(
                Files.isExecutable(Path.of("/usr/bin/prlimit")) && Files.isExecutable(Path.of("/usr/bin/setpriv")),
                "limits on another process need util-linux's prlimit and setpriv");
        if ("root".equals(System.getProperty("user.name"))) {
            limited.addAll(List.of("/usr/bin/setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"));
        }
        limited.addAll(List.of("/usr/bin/prlimit", "--memlock=65536:65536"));
        ForkedJvm.start(limited, Locking.class).finish();
    }

    /** May lock 16 pages. */
    static final class Locking {
        private Locking() {}

        public static void main(String[] arguments) throws Exception {
            try (LinuxHostMemory host = new LinuxHostMemory();
                    AddressReservation space = host.reserve(64 * PAGE, PAGE);
                    Backing ram = host.allocate(BackingRequest.shared("ram", 64 * PAGE))) {
                space.map(pages(0, 64), ram, 0);
                assertRefused(space);
                assertEquals(0, ProcessState.status("VmLck"));
                space.lock(pages(10, 4));
                assertRefused(space);
                assertEquals(4 * PAGE, ProcessState.status("VmLck"), "what was locked before stays locked");
                space.unlock(pages(0, 64));
                space.lock(pages(0, 16));
                assertEquals(16 * PAGE, ProcessState.status("VmLck"));
            }
        }

        private static void assertRefused(AddressReservation space) {
            var refused = assertThrows(HostMappingException.class, () -> space.lock(pages(0, 64)));
            assertTrue(
                    refused.getMessage().contains("0x40000 bytes; the process may lock 65536 bytes")
                            && refused.getMessage().contains("ulimit -l"),
                    refused.getMessage());
        }
    }

    private static MemoryRange pages(long from, long count) {
        return MemoryRange.ofLength(from * PAGE, count * PAGE);
    }
}

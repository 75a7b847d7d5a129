package io.membacking.memory.internal;

import io.membacking.error.LayoutException;
import io.membacking.host.linux.LinuxHostMemory;
import io.membacking.mapping.internal.GuestMappingManagers;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamRange;
import io.membacking.range.MemoryRange;
import io.membacking.region.internal.GuestRegionManagers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** The real thing, from the host up. */
final class Rig implements AutoCloseable {
    static final long MIB = 1L << 20;
    static final long PAGE = MemoryRange.PAGE_SIZE;

    final LinuxHostMemory host = new LinuxHostMemory();
    final GuestMappingManagers mappings = new GuestMappingManagers(host);
    /** Region managers that are open. */
    final AtomicInteger openGuests = new AtomicInteger();

    final GuestRegionManagers regions = new GuestRegionManagers(mappings, (manager, inspectable) -> {
        openGuests.incrementAndGet();
        return openGuests::decrementAndGet;
    });
    final GuestMemories memories = new GuestMemories(host, regions);

    /** RAM from 0, then a gap for devices that is as large. */
    static MemoryLayout withGap(long ram) throws LayoutException {
        return MemoryLayout.of(
                List.of(RamRange.of(MemoryRange.ofLength(0, ram))),
                List.of(MemoryRange.ofLength(ram, ram)),
                Optional.empty());
    }

    @Override
    public void close() {
        memories.close();
        regions.close();
        mappings.close();
        host.close();
    }

    /** Bytes of the mappings of a memory file that are populated. */
    static long resident(String memfd) throws IOException {
        long kibibytes = 0;
        boolean inside = false;
        for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
            if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
                inside = line.contains("/memfd:" + memfd + " ");
            } else if (inside && line.startsWith("Rss:")) {
                kibibytes += Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        return kibibytes << 10;
    }

    /** How many anonymous mappings of exactly this size there are: VA spaces that hold nothing. */
    static long blanks(long size) throws IOException {
        return Files.readAllLines(Path.of("/proc/self/maps")).stream()
                .filter(line -> line.endsWith(" 00:00 0") || line.endsWith(" 00:00 0 "))
                .map(line -> line.substring(0, line.indexOf(' ')))
                .filter(range -> Long.parseUnsignedLong(range.substring(range.indexOf('-') + 1), 16)
                                - Long.parseUnsignedLong(range.substring(0, range.indexOf('-')), 16)
                        == size)
                .count();
    }

    /** What this process holds of guests, as the kernel sees it. */
    record Held(long descriptors, long mappings, long threads) {
        static Held now() throws IOException {
            long descriptors;
            try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
                descriptors = all.filter(Held::isOurs).count();
            }
            long mappings = Files.readAllLines(Path.of("/proc/self/maps")).stream()
                    .filter(line -> line.contains("memfd:"))
                    .count();
            long threads = Thread.getAllStackTraces().keySet().stream()
                    .filter(thread -> thread.getName().toLowerCase(Locale.ROOT).contains("membacking"))
                    .count();
            return new Held(descriptors, mappings, threads);
        }

        /** Memory files, sockets, pipes; not the jars that the JVM opens when it likes. */
        private static boolean isOurs(Path descriptor) {
            try {
                String target = Files.readSymbolicLink(descriptor).toString();
                return target.contains("memfd:") || !target.startsWith("/");
            } catch (IOException e) {
                return false; // the one that lists them
            }
        }
    }
}

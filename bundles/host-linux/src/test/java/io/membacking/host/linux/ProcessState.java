package io.membacking.host.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** What this process holds, as the kernel sees it. */
final class ProcessState {
    private ProcessState() {}

    static long descriptors() throws IOException {
        try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
            return all.count();
        }
    }

    /** Mappings of memory files with these letters in the name. */
    static List<String> mappings(String name) throws IOException {
        return Files.readAllLines(Path.of("/proc/self/maps")).stream()
                .filter(line -> line.contains("memfd:" + name))
                .toList();
    }

    static long mappings() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/maps")).size();
    }

    /** A line of /proc/self/status, bytes. */
    static long status(String key) throws IOException {
        return HostFacts.kibibytes(Files.readString(Path.of("/proc/self/status")), key);
    }

    /** The flags of the mapping that begins at an address. */
    static List<String> flags(long address) throws IOException {
        return List.of(detail(address, "VmFlags:").split(" "));
    }

    /** Bytes of the mapping that begins at an address that are in memory and in the page table. */
    static long resident(long address) throws IOException {
        String kibibytes = detail(address, "Rss:");
        return Long.parseLong(kibibytes.substring(0, kibibytes.indexOf(' '))) << 10;
    }

    /** From smaps: counters of the whole process are approximate, and the JVM's own memory moves them. */
    private static String detail(long address, String key) throws IOException {
        boolean found = false;
        for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
            if (line.startsWith(Long.toHexString(address) + "-")) {
                found = true;
            } else if (found && line.startsWith(key)) {
                return line.substring(key.length()).strip();
            }
        }
        throw new AssertionError("no mapping begins at 0x" + Long.toHexString(address));
    }
}

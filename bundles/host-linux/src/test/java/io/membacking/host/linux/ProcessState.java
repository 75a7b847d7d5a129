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

    /** The flags of the mapping that begins at an address (VmFlags in smaps). */
    static List<String> flags(long address) throws IOException {
        List<String> lines = Files.readAllLines(Path.of("/proc/self/smaps"));
        boolean found = false;
        for (String line : lines) {
            if (line.startsWith(Long.toHexString(address) + "-")) {
                found = true;
            } else if (found && line.startsWith("VmFlags:")) {
                return List.of(line.substring(8).strip().split(" "));
            }
        }
        throw new AssertionError("no mapping begins at 0x" + Long.toHexString(address));
    }
}

package io.membacking.host.linux;

import io.membacking.host.HostCapabilities;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the kernel tells about the host in /proc and /sys.
 *
 * @param capabilities for consumers
 * @param strictOvercommit whether {@code vm.overcommit_memory} is 2: memory is charged when it is mapped, and memory with a
 *     descriptor when it is first touched, where a shortage would be a fault
 * @param populates whether the kernel can populate memory for writing without writing to it (Linux 5.14)
 */
record HostFacts(HostCapabilities capabilities, boolean strictOvercommit, boolean populates) {
    private static final Path MEMINFO = Path.of("/proc/meminfo");
    private static final Path THP = Path.of("/sys/kernel/mm/transparent_hugepage");
    private static final Pattern KIB = Pattern.compile("(?m)^(\\w+):\\s+(\\d+) kB");
    private static final Pattern ADDRESS_BITS = Pattern.compile("(?m)^address sizes\\s*:\\s*(\\d+) bits physical");

    static HostFacts read() {
        long pageSize = Libc.pageSize();
        Set<Integer> nodes = numbered(Path.of("/sys/devices/system/node"), "node(\\d+)");
        if (nodes.isEmpty()) {
            // A kernel without NUMA has one node and no folder.
            nodes = Set.of(0);
        }
        HostCapabilities capabilities = new HostCapabilities(
                "linux",
                pageSize,
                HugePagePool.sizes(),
                nodes,
                kibibytes(text(MEMINFO), "MemTotal"),
                addressBits(text(Path.of("/proc/cpuinfo"))),
                true,
                sharedMemoryTakesHugePages());
        return new HostFacts(
                capabilities,
                text(Path.of("/proc/sys/vm/overcommit_memory")).strip().equals("2"),
                // Of no bytes it does nothing but say whether it is known.
                Libc.madvise(0, 0, Libc.MADV_POPULATE_WRITE) == 0);
    }

    /** The value of a line of /proc/meminfo, in bytes; 0 where there is no such line. */
    static long kibibytes(String meminfo, String key) {
        Matcher line = KIB.matcher(meminfo);
        while (line.find()) {
            if (line.group(1).equals(key)) {
                return Long.parseLong(line.group(2)) << 10;
            }
        }
        return 0;
    }

    /** Bits of a physical address; 48, what every aarch64 processor before LPA has, where the kernel does not say. */
    static int addressBits(String cpuinfo) {
        Matcher line = ADDRESS_BITS.matcher(cpuinfo);
        return line.find() ? Integer.parseInt(line.group(1)) : 48;
    }

    /** The choice in brackets: {@code always [madvise] never}. */
    static String chosen(String choices) {
        int open = choices.indexOf('[');
        int close = choices.indexOf(']', open + 1);
        return open < 0 || close < 0 ? "" : choices.substring(open + 1, close);
    }

    /** How many mappings a process may have. */
    static long mappingLimit() {
        String text = text(Path.of("/proc/sys/vm/max_map_count")).strip();
        return text.isEmpty() ? Long.MAX_VALUE : Long.parseLong(text);
    }

    /** Whether this process has about as many mappings as it may; moving one needs four to spare (mremap). */
    static boolean atMappingLimit() {
        return MapsLine.count() >= mappingLimit() - 8;
    }

    /** How much memory this process may lock, for people. */
    static String lockLimit() {
        Matcher line = Pattern.compile("(?m)^Max locked memory\\s+(\\S+)").matcher(text(Path.of("/proc/self/limits")));
        return line.find() ? line.group(1) + (line.group(1).equals("unlimited") ? "" : " bytes") : "an unknown amount";
    }

    private static boolean sharedMemoryTakesHugePages() {
        // Since Linux 6.10 each size has its own switch beside the general one, which "inherit" refers to.
        String general = chosen(text(THP.resolve("shmem_enabled")));
        String bytes = text(THP.resolve("hpage_pmd_size")).strip();
        String bySize = bytes.isEmpty()
                ? ""
                : chosen(text(THP.resolve("hugepages-" + (Long.parseLong(bytes) >> 10) + "kB/shmem_enabled")));
        return admits(general) || admits(bySize);
    }

    private static boolean admits(String choice) {
        return Set.of("always", "within_size", "advise", "force").contains(choice);
    }

    private static Set<Integer> numbered(Path folder, String name) {
        Pattern pattern = Pattern.compile(name);
        Set<Integer> numbers = new TreeSet<>();
        if (Files.isDirectory(folder)) {
            try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
                for (Path entry : entries) {
                    Matcher match = pattern.matcher(entry.getFileName().toString());
                    if (match.matches()) {
                        numbers.add(Integer.parseInt(match.group(1)));
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return numbers;
    }

    /** A file of /proc or /sys; empty where this kernel has none or does not show it. */
    static String text(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            // Not Files.readString: it begins with one byte where the size is 0, and numbers in /proc/sys can only be
            // read
            // from their beginning, so that it would see one digit.
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            byte[] part = new byte[64 << 10];
            for (int count = in.read(part); count > 0; count = in.read(part)) {
                bytes.write(part, 0, count);
            }
            return bytes.toString(StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            return "";
        }
    }
}

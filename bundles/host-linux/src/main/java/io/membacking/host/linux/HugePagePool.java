package io.membacking.host.linux;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A pool of huge pages as /sys shows it at the moment.
 *
 * @param folder where its numbers can be read and set
 * @param pages in the pool, used ones among them
 * @param free neither used nor reserved
 */
record HugePagePool(Path folder, long pages, long free) {
    private static final Path ALL = Path.of("/sys/kernel/mm/hugepages");
    private static final Pattern NAME = Pattern.compile("hugepages-(\\d+)kB");

    /** Bytes of each size that has a pool, be it empty at present. */
    static Set<Long> sizes() {
        Set<Long> sizes = new TreeSet<>();
        if (Files.isDirectory(ALL)) {
            try (DirectoryStream<Path> entries = Files.newDirectoryStream(ALL)) {
                for (Path entry : entries) {
                    Matcher match = NAME.matcher(entry.getFileName().toString());
                    if (match.matches()) {
                        sizes.add(Long.parseLong(match.group(1)) << 10);
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return sizes;
    }

    /** The pool of a size, or a node's part of it. */
    static HugePagePool of(long pageSize, OptionalInt node) {
        String name = "hugepages-" + (pageSize >> 10) + "kB";
        Path folder = node.isPresent()
                ? Path.of("/sys/devices/system/node/node" + node.getAsInt(), "hugepages", name)
                : ALL.resolve(name);
        long free = number(folder.resolve("free_hugepages"));
        // A node's folder does not tell what is reserved.
        long reserved = node.isPresent() ? 0 : number(folder.resolve("resv_hugepages"));
        return new HugePagePool(folder, number(folder.resolve("nr_hugepages")), Math.max(0, free - reserved));
    }

    private static long number(Path file) {
        String text = HostFacts.text(file).strip();
        return text.isEmpty() ? 0 : Long.parseLong(text);
    }
}

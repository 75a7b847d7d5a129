package io.membacking.host.linux;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A line of /proc/self/maps.
 *
 * @param start first address
 * @param end address after the last
 * @param readable whether it can be read
 * @param writable whether it can be written
 * @param shared whether writes reach the file
 * @param offset in the file, bytes; of no meaning where there is none
 * @param file what is mapped; {@link FileId#NONE} for anonymous memory
 */
record MapsLine(long start, long end, boolean readable, boolean writable, boolean shared, long offset, FileId file) {
    private static final Path MAPS = Path.of("/proc/self/maps");

    /** What of the process's mappings overlaps these addresses, in order. */
    static List<MapsLine> within(long start, long end) {
        List<MapsLine> lines = new ArrayList<>();
        try (BufferedReader maps = Files.newBufferedReader(MAPS, StandardCharsets.ISO_8859_1)) {
            for (String text = maps.readLine(); text != null; text = maps.readLine()) {
                MapsLine line = parse(text);
                if (Long.compareUnsigned(line.start, end) < 0 && Long.compareUnsigned(line.end, start) > 0) {
                    lines.add(line);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return lines;
    }

    /** How many mappings the process has. */
    static long count() {
        try (BufferedReader maps = Files.newBufferedReader(MAPS, StandardCharsets.ISO_8859_1)) {
            return maps.lines().count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** {@code 7f0000000000-7f0000001000 rw-s 00002000 00:01 1234   /memfd:ram (deleted)} */
    static MapsLine parse(String text) {
        int dash = text.indexOf('-');
        int permissions = text.indexOf(' ', dash) + 1;
        int offset = permissions + 5;
        int device = text.indexOf(' ', offset) + 1;
        int inode = text.indexOf(' ', device) + 1;
        int path = text.indexOf(' ', inode);
        int colon = text.indexOf(':', device);
        return new MapsLine(
                Long.parseUnsignedLong(text, 0, dash, 16),
                Long.parseUnsignedLong(text, dash + 1, permissions - 1, 16),
                text.charAt(permissions) == 'r',
                text.charAt(permissions + 1) == 'w',
                text.charAt(permissions + 3) == 's',
                Long.parseUnsignedLong(text, offset, device - 1, 16),
                new FileId(
                        Integer.parseUnsignedInt(text, device, colon, 16),
                        Integer.parseUnsignedInt(text, colon + 1, inode - 1, 16),
                        Long.parseUnsignedLong(text, inode, path < 0 ? text.length() : path, 10)));
    }

    boolean anonymous() {
        return file.equals(FileId.NONE);
    }
}

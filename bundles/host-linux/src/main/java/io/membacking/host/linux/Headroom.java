package io.membacking.host.linux;

import com.sun.jna.Memory;
import java.nio.charset.StandardCharsets;

/**
 * Mappings kept in reserve. At the limit of {@code vm.max_map_count} the kernel refuses every mmap, even one that would put a
 * single mapping in the place of another; so releasing and undoing would fail exactly when they are needed, and the JVM could
 * start no thread. Whoever meets the limit gives these up; new memory is mapped only while they are there. Thread-safe.
 */
final class Headroom {
    static final int MAPPINGS = 128;

    private final long pageSize;
    private int descriptor = -1;
    private long address = Libc.MAP_FAILED;

    Headroom(long pageSize) {
        this.pageSize = pageSize;
        try (Memory name = cString("membacking-headroom")) {
            descriptor = Libc.memfd_create(name, Libc.MFD_CLOEXEC);
        }
        // A refusal here comes again, by name, when something is mapped.
        restore();
    }

    /** Makes sure they are there; false where the limit does not let them. */
    synchronized boolean restore() {
        if (descriptor < 0 || address != Libc.MAP_FAILED) {
            // Without a descriptor (a process out of them) there is no reserve, but memory can be mapped.
            return true;
        }
        long length = MAPPINGS * pageSize;
        long start =
                Libc.mmap(0, length, Libc.PROT_NONE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE, -1, 0);
        if (start == Libc.MAP_FAILED) {
            return false;
        }
        for (int i = 0; i < MAPPINGS; i++) {
            // The same page of a file side by side: the kernel cannot merge these.
            long page = Libc.mmap(
                    start + i * pageSize, pageSize, Libc.PROT_NONE, Libc.MAP_SHARED | Libc.MAP_FIXED, descriptor, 0);
            if (page == Libc.MAP_FAILED) {
                Libc.munmap(start, length);
                return false;
            }
        }
        address = start;
        return true;
    }

    synchronized void giveUp() {
        if (address != Libc.MAP_FAILED) {
            // Whole mappings only, so that nothing is split, which the limit could refuse.
            Libc.munmap(address, MAPPINGS * pageSize);
            address = Libc.MAP_FAILED;
        }
    }

    synchronized void close() {
        giveUp();
        if (descriptor >= 0) {
            Libc.close(descriptor);
            descriptor = -1;
        }
    }

    /** UTF-8 with a zero at the end. */
    static Memory cString(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        Memory memory = new Memory(bytes.length + 1L);
        memory.write(0, bytes, 0, bytes.length);
        memory.setByte(bytes.length, (byte) 0);
        return memory;
    }
}

package io.membacking.machine.internal;

import java.nio.ByteBuffer;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The header of a multiboot version 1 kernel (multiboot specification 0.6.96, 3.1).
 *
 * @param offset where it is in the file
 * @param addressesOrNull where to load the kernel if it says so itself, else its ELF headers do
 */
record MultibootHeader(int offset, int flags, @Nullable Addresses addressesOrNull) {
    private static final int MAGIC = 0x1badb002;
    private static final int SEARCHED = 8192;
    private static final int HAS_ADDRESSES = 1 << 16;

    /** Modules on page boundaries, memory information, video: what a kernel may ask for. Without a screen, video stays unanswered. */
    private static final int KNOWN_REQUIREMENTS = 0x7;

    /**
     * The kernel's own addresses.
     *
     * @param loadEnd where what the file holds ends; 0 for all that follows in the file
     * @param bssEnd where what is zeroed ends; 0 for none
     */
    record Addresses(long header, long load, long loadEnd, long bssEnd, long entry) {}

    Optional<Addresses> addresses() {
        return Optional.ofNullable(addressesOrNull);
    }

    /**
     * Searches the first 8 KiB.
     *
     * @throws IllegalArgumentException if there is a header that demands what nobody knows, or that is cut off
     */
    static Optional<MultibootHeader> find(String name, byte[] image) {
        ByteBuffer file = ElfImage.little(image);
        int last = Math.min(image.length, SEARCHED) - 12;
        for (int at = 0; at <= last; at += 4) {
            int flags = file.getInt(at + 4);
            if (file.getInt(at) == MAGIC && MAGIC + flags + file.getInt(at + 8) == 0) {
                return Optional.of(read(name, file, at, flags));
            }
        }
        return Optional.empty();
    }

    private static MultibootHeader read(String name, ByteBuffer file, int at, int flags) {
        int unknown = flags & 0xffff & ~KNOWN_REQUIREMENTS;
        if (unknown != 0) {
            throw ElfImage.bad(
                    name,
                    "its multiboot header demands features 0x" + Integer.toHexString(unknown)
                            + " that multiboot version 1 does not have");
        }
        if ((flags & HAS_ADDRESSES) == 0) {
            return new MultibootHeader(at, flags, null);
        }
        if (at + 32 > file.capacity()) {
            throw ElfImage.bad(name, "its multiboot header is cut off");
        }
        return new MultibootHeader(
                at,
                flags,
                new Addresses(
                        unsigned(file, at + 12),
                        unsigned(file, at + 16),
                        unsigned(file, at + 20),
                        unsigned(file, at + 24),
                        unsigned(file, at + 28)));
    }

    private static long unsigned(ByteBuffer file, int at) {
        return Integer.toUnsignedLong(file.getInt(at));
    }
}

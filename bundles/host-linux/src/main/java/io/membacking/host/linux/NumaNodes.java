package io.membacking.host.linux;

import com.sun.jna.Memory;
import io.membacking.error.NativeError;
import org.jspecify.annotations.Nullable;

/** Where the kernel is to take memory from. */
final class NumaNodes {
    /** Bits of the mask: the most nodes a Linux kernel can be built for. */
    private static final int BITS = 1024;

    private NumaNodes() {}

    /**
     * Binds what will be touched at these addresses to a node. For shared memory the binding is the file's, and stays when the
     * mapping goes.
     *
     * @return null, or what the kernel answered
     */
    static @Nullable NativeError bind(long address, long length, int node) {
        try (Memory mask = new Memory(BITS / 8)) {
            mask.clear();
            mask.setLong(node / 64 * 8L, 1L << (node % 64));
            // The kernel reads one bit less than it is told.
            return Libc.mbind(address, length, Libc.MPOL_BIND, mask, BITS + 1) == 0 ? null : Errno.last();
        }
    }
}

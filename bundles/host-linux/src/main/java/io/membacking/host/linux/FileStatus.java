package io.membacking.host.linux;

import com.sun.jna.Memory;

/**
 * What the kernel says about an open file.
 *
 * @param file which it is
 * @param size bytes
 * @param fileSystem the magic number of its file system
 * @param blockSize bytes; of huge pages, the page size
 */
record FileStatus(FileId file, long size, long fileSystem, long blockSize) {
    /** Bytes of the larger of {@code struct stat} (144) and {@code struct statfs} (120), with room to spare. */
    private static final int BYTES = 256;

    /** @throws IllegalArgumentException if it is no open descriptor */
    static FileStatus of(int descriptor) {
        try (Memory memory = new Memory(BYTES)) {
            if (Libc.fstat(descriptor, memory) != 0) {
                throw new IllegalArgumentException("descriptor " + descriptor + ": " + Errno.last());
            }
            // st_dev, st_ino, st_size: at these offsets on both processors (asm/stat.h).
            FileId file = FileId.of(memory.getLong(0), memory.getLong(8));
            long size = memory.getLong(48);
            if (Libc.fstatfs(descriptor, memory) != 0) {
                throw new IllegalArgumentException("descriptor " + descriptor + ": " + Errno.last());
            }
            return new FileStatus(file, size, memory.getLong(0), memory.getLong(8));
        }
    }
}

package io.membacking.host.linux;

/** What tells a file from every other: the device it is on, and its inode there. */
record FileId(int major, int minor, long inode) {
    static final FileId NONE = new FileId(0, 0, 0);

    /** From {@code st_dev} as the C library gives it (sys/sysmacros.h). */
    static FileId of(long device, long inode) {
        int major = (int) (((device >>> 8) & 0xfff) | ((device >>> 32) & ~0xfffL));
        int minor = (int) ((device & 0xff) | ((device >>> 12) & ~0xffL));
        return new FileId(major, minor, inode);
    }
}

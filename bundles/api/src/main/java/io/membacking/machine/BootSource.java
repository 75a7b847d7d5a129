package io.membacking.machine;

/** What a machine runs. The arrays are not copied: do not change them. */
public sealed interface BootSource {
    /** For people and error messages: a file's name, say. */
    String name();

    byte[] image();

    /** A firmware image, placed read-only below 4 GiB, its last 128 KiB also below 1 MiB; started at the reset vector. At most 16 MiB. */
    record Firmware(String name, byte[] image) implements BootSource {}

    /** A multiboot version 1 kernel, or an ELF image without the header; started in 32-bit protected mode, or a 64-bit ELF in long mode. */
    record Kernel(String name, byte[] image, String commandLine) implements BootSource {}

    /** A flat binary, loaded and started at an address. @param gpa in RAM; in real mode below 1 MiB */
    record Flat(String name, byte[] image, long gpa, Mode mode) implements BootSource {}

    /** The processor's mode when a flat binary starts. */
    enum Mode {
        REAL,
        /** 32 bits, flat segments, no paging. */
        PROTECTED,
        /** 64 bits, the first 4 GiB mapped to itself, privilege level 0. */
        LONG,
        /** As {@link #LONG}, at privilege level 3. */
        LONG_USER
    }
}

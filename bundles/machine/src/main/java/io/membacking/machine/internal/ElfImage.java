package io.membacking.machine.internal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * An executable in ELF format, of 32 or 64 bits, for x86: its segments at their physical addresses. The file is checked before
 * anything of it is used.
 *
 * @param segments those to be loaded, that take memory
 * @param entry the entry point's physical address: by the segment that holds its virtual one
 */
record ElfImage(boolean is64, List<LoadedImage.Piece> segments, long entry) {
    private static final int MAGIC = 0x464c457f;
    private static final int CLASS = 4;
    private static final int DATA_ENCODING = 5;
    private static final int TYPE_EXECUTABLE = 2;
    private static final int TYPE_SHARED = 3;
    private static final int MACHINE_386 = 3;
    private static final int MACHINE_X86_64 = 62;
    private static final int LOADED = 1;

    static boolean isElf(byte[] image) {
        return image.length >= 4 && little(image).getInt(0) == MAGIC;
    }

    /** @throws IllegalArgumentException if it is none, is damaged, or is for something else */
    static ElfImage parse(String name, byte[] image) {
        ByteBuffer file = little(image);
        if (!isElf(image) || image.length < 52) {
            throw bad(name, "it is no complete ELF file");
        }
        boolean is64 = image[CLASS] == 2;
        if ((!is64 && image[CLASS] != 1) || image[DATA_ENCODING] != 1 || (is64 && image.length < 64)) {
            throw bad(name, "its ELF header is damaged or big endian");
        }
        int type = file.getShort(16) & 0xffff;
        int machine = file.getShort(18) & 0xffff;
        if (type != TYPE_EXECUTABLE && type != TYPE_SHARED) {
            throw bad(name, "it is an ELF file of type " + type + ", not an executable: link it");
        }
        if (machine != MACHINE_386 && machine != MACHINE_X86_64) {
            throw bad(name, "it is for ELF machine " + machine + ", not for x86: build it for i386 or x86-64");
        }
        long table = is64 ? file.getLong(32) : Integer.toUnsignedLong(file.getInt(28));
        int entrySize = file.getShort(is64 ? 54 : 42) & 0xffff;
        int count = file.getShort(is64 ? 56 : 44) & 0xffff;
        if (entrySize < (is64 ? 56 : 32) || table < 0 || table > image.length - (long) entrySize * count) {
            throw bad(name, "its program headers lie outside the file: it is cut off");
        }
        long entry = is64 ? file.getLong(24) : Integer.toUnsignedLong(file.getInt(24));
        return segments(name, image, is64, entry, (int) table, entrySize, count);
    }

    private static ElfImage segments(
            String name, byte[] image, boolean is64, long entry, int table, int entrySize, int count) {
        ByteBuffer file = little(image);
        List<LoadedImage.Piece> pieces = new ArrayList<>();
        Long start = null;
        for (int i = 0; i < count; i++) {
            int at = table + i * entrySize;
            if (file.getInt(at) != LOADED) {
                continue;
            }
            long offset = is64 ? file.getLong(at + 8) : Integer.toUnsignedLong(file.getInt(at + 4));
            long virtual = is64 ? file.getLong(at + 16) : Integer.toUnsignedLong(file.getInt(at + 8));
            long physical = is64 ? file.getLong(at + 24) : Integer.toUnsignedLong(file.getInt(at + 12));
            long inFile = is64 ? file.getLong(at + 32) : Integer.toUnsignedLong(file.getInt(at + 16));
            long inMemory = is64 ? file.getLong(at + 40) : Integer.toUnsignedLong(file.getInt(at + 20));
            if (inMemory == 0) {
                continue;
            }
            if (offset < 0 || inFile < 0 || inFile > image.length || offset > image.length - inFile) {
                throw bad(name, "segment " + i + " lies outside the file: it is cut off");
            }
            if (inMemory < inFile) {
                throw bad(name, "segment " + i + " has more bytes in the file than in memory: it is damaged");
            }
            pieces.add(new LoadedImage.Piece(physical, image, (int) offset, (int) inFile, inMemory));
            if (start == null
                    && Long.compareUnsigned(virtual, entry) <= 0
                    && Long.compareUnsigned(entry - virtual, inMemory) < 0) {
                start = entry - virtual + physical;
            }
        }
        if (pieces.isEmpty()) {
            throw bad(name, "it has nothing to load: link it as an executable");
        }
        if (start == null) {
            throw bad(name, "its entry point 0x" + Long.toHexString(entry) + " is in none of its segments");
        }
        return new ElfImage(is64, List.copyOf(pieces), start);
    }

    static IllegalArgumentException bad(String name, String problem) {
        return new IllegalArgumentException("kernel " + name + " cannot be loaded: " + problem);
    }

    static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}

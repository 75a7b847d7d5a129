package io.membacking.machine.internal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Makes small ELF executables of one segment. */
final class Elf {
    private Elf() {}

    /** @param size bytes in memory */
    record Segment(long virtual, long physical, byte[] bytes, long size) {}

    static byte[] of32(int entry, Segment segment) {
        byte[] bytes = start(52 + 32, segment, 1, 3);
        ByteBuffer file = ElfImage.little(bytes);
        file.putInt(24, entry).putInt(28, 52).putShort(42, (short) 32).putShort(44, (short) 1);
        file.position(52);
        file.putInt(1).putInt(84).putInt((int) segment.virtual()).putInt((int) segment.physical());
        file.putInt(segment.bytes().length).putInt((int) segment.size());
        return bytes;
    }

    static byte[] of64(long entry, Segment segment) {
        byte[] bytes = start(64 + 56, segment, 2, 62);
        ByteBuffer file = ElfImage.little(bytes);
        file.putLong(24, entry).putLong(32, 64).putShort(54, (short) 56).putShort(56, (short) 1);
        file.position(64);
        file.putInt(1).putInt(7).putLong(120).putLong(segment.virtual()).putLong(segment.physical());
        file.putLong(segment.bytes().length).putLong(segment.size());
        return bytes;
    }

    private static byte[] start(int headers, Segment segment, int elfClass, int machine) {
        ByteBuffer file = ByteBuffer.allocate(headers + segment.bytes().length).order(ByteOrder.LITTLE_ENDIAN);
        file.putInt(0x464c457f).put((byte) elfClass).put((byte) 1).put((byte) 1);
        file.putShort(16, (short) 2).putShort(18, (short) machine);
        file.position(headers);
        file.put(segment.bytes());
        return file.array();
    }
}

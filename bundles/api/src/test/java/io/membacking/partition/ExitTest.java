package io.membacking.partition;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class ExitTest {
    @Test
    void valuesAreLittleEndianItems() {
        Exit.PortIo io = new Exit.PortIo(0x1f0, 2, 2, true, new byte[4]);
        io.setValue(1, 0x8001);
        assertArrayEquals(new byte[] {0, 0, 1, (byte) 0x80}, io.data());
        assertEquals(0x8001, io.value(1));
        Exit.Mmio mmio = new Exit.Mmio(0, 8, true, new byte[8]);
        mmio.setValue(0x8877665544332211L);
        assertEquals(0x11, mmio.data()[0]);
        assertEquals(0x8877665544332211L, mmio.value());
    }
}

package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.machine.BootSource.Mode;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class BootStateTest {
    @Test
    void everyAddressBelow4GibTranslatesToItself() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (Mode mode : new Mode[] {Mode.LONG, Mode.LONG_USER}) {
            BootState state = new BootState(mode, 0x90000);
            ByteBuffer tables = ByteBuffer.wrap(state.tables()).order(ByteOrder.LITTLE_ENDIAN);
            long cr3 = state.processor(ResetState.VALUE, GeneralRegisters.at(0))
                    .system()
                    .cr3();
            boolean user = mode == Mode.LONG_USER;
            for (int i = 0; i < 10_000; i++) {
                long address = random.nextLong() & 0xffffffffL;
                assertEquals(address, translate(tables, 0x90000, cr3, address, user), "seed " + seed);
            }
        }
    }

    /** Walks as the processor does. */
    private static long translate(ByteBuffer tables, long base, long cr3, long address, boolean user) {
        long flags = user ? 7 : 3;
        long pml4e = tables.getLong((int) (cr3 - base + 8 * ((address >> 39) & 511)));
        assertEquals(flags, pml4e & 0xfff);
        long pdpte = tables.getLong((int) ((pml4e & ~0xfff) - base + 8 * ((address >> 30) & 511)));
        assertEquals(flags, pdpte & 0xfff);
        long pde = tables.getLong((int) ((pdpte & ~0xfff) - base + 8 * ((address >> 21) & 511)));
        assertEquals(flags | 0x80, pde & 0xfff);
        return (pde & ~0x1fffff) | (address & 0x1fffff);
    }

    @Test
    void theSegmentsOfTheStateAreThoseOfTheTable() {
        for (Mode mode : new Mode[] {Mode.PROTECTED, Mode.LONG, Mode.LONG_USER}) {
            BootState state = new BootState(mode, 0x1000);
            ByteBuffer tables = ByteBuffer.wrap(state.tables()).order(ByteOrder.LITTLE_ENDIAN);
            ProcessorState start = state.processor(ResetState.VALUE, GeneralRegisters.at(0x8000));
            assertEquals(0x1000, start.system().gdt().base());
            for (Segment segment : new Segment[] {
                start.system().cs(), start.system().ss(), start.system().ds()
            }) {
                long descriptor = tables.getLong(segment.selector() & ~7);
                assertEquals(0xffff, descriptor & 0xffff);
                assertEquals(segment.attributes() & 0xff, descriptor >>> 40 & 0xff);
                assertEquals(segment.attributes() >>> 12, descriptor >>> 52 & 0xf);
                assertEquals(segment.selector() & 3, segment.attributes() >> 5 & 3);
            }
            long tss = tables.getLong(0x38);
            assertEquals(start.system().tr().base(), tss >>> 16 & 0xffffff);
        }
    }

    @Test
    void userCodeStartsWithTheSelectorsThatSystemsUse() {
        ProcessorState start =
                new BootState(Mode.LONG_USER, 0x1000).processor(ResetState.VALUE, GeneralRegisters.at(0x8000));
        assertEquals(0x33, start.system().cs().selector());
        assertEquals(0x2b, start.system().ss().selector());
        assertEquals(0x500, start.system().efer());
    }

    @Test
    void realModeReachesAllOfTheFirstMib() {
        BootState state = new BootState(Mode.REAL, 0);
        for (long gpa : new long[] {0x8000, 0xffff, 0x10000, 0x9fff7}) {
            ProcessorState start = state.processor(ResetState.VALUE, GeneralRegisters.at(gpa));
            Segment cs = start.system().cs();
            assertEquals(gpa, cs.base() + start.general().rip());
            assertEquals(cs.base(), (long) cs.selector() << 4);
            // Most of the 64 KiB that IP reaches lies ahead.
            assertTrue(cs.selector() == 0 || start.general().rip() < 16);
        }
        assertEquals(
                0,
                state.processor(ResetState.VALUE, GeneralRegisters.at(0x8000))
                        .system()
                        .cs()
                        .selector());
    }

    @Test
    void tablesOffAPageAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> new BootState(Mode.LONG, 0x1004));
    }
}

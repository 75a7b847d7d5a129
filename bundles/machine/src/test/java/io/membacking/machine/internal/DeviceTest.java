package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.membacking.machine.internal.HostBridge.LegacyRam;
import io.membacking.memory.RamVisibility;
import io.membacking.partition.Exit;
import io.membacking.range.MemoryRange;
import io.membacking.vm.Outcome;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The devices as a guest finds them, through the exits it makes. */
final class DeviceTest {
    private final ByteArrayOutputStream serial = new ByteArrayOutputStream();
    private final ByteArrayOutputStream debug = new ByteArrayOutputStream();
    private final AtomicLong nanos = new AtomicLong();
    private final List<Boolean> serialLine = new ArrayList<>();
    private final ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(1);
    private final Pc pc = new Pc(
            new PcMemory(5L << 30),
            3,
            new NoRam(),
            new ConsoleOutput("serial", serial, timer),
            new ConsoleOutput("debug", debug, timer),
            serialLine::add,
            new Pit(nanos::get, Pit.Alarm.NONE, () -> true),
            Clock.fixed(Instant.parse("2024-02-29T21:58:59Z"), ZoneOffset.UTC),
            nanos::get);

    @AfterEach
    void stopTimer() {
        timer.shutdownNow();
    }

    @Test
    void whatNobodyClaimsReadsAsAllOnes() throws Exception {
        assertEquals(0xff, in(0x300, 1));
        assertEquals(0xffff, in(0x300, 2));
        assertEquals(0xffffffffL, in(0x300, 4));
        out(0x300, 4, 5);
        Exit.Mmio read = new Exit.Mmio(0xfed40000L, 8, true, new byte[8]);
        assertEquals(Outcome.resume(), pc.handle(0, read));
        assertEquals(-1, read.value());
        pc.handle(0, new Exit.Mmio(0xfed40000L, 4, false, new byte[4]));
        assertEquals(2, pc.counters().ofKind(Exit.Mmio.class));
    }

    @Test
    void haltsAndFaultsAreLeftToTheVirtualMachine() throws Exception {
        assertEquals(Outcome.unhandled(), pc.handle(0, new Exit.Halt()));
        assertEquals(Outcome.unhandled(), pc.handle(0, new Exit.Shutdown("triple fault")));
    }

    @Test
    void theExitPortEndsTheRunWithTheValueTwicePlusOne() throws Exception {
        assertEquals(33, stopCode(out(0xf4, 1, 0x10)));
        pc.reset();
        assertEquals(1, stopCode(out(0xf4, 4, 0)));
        // The first end stands until the next run.
        assertEquals(1, stopCode(out(0xf4, 1, 7)));
    }

    @Test
    void everyWayToResetEndsTheRun() throws Exception {
        for (int[] way : new int[][] {{0xcf9, 6}, {0x92, 1}, {0x64, 0xfe}}) {
            assertEquals(RunEnd.RESET, stopCode(out(way[0], 1, way[1])));
            pc.reset();
        }
        assertEquals(Outcome.resume(), out(0xcf9, 1, 2));
        assertEquals(Outcome.resume(), out(0x92, 1, 2));
        assertEquals(Outcome.resume(), out(0x64, 1, 0xaa));
    }

    @Test
    void pciFunctionsAnswerAndTheOthersDoNot() throws Exception {
        assertEquals(0x12378086L, config(0, 0, 0, 4));
        assertEquals(0x70008086L, config(1, 0, 0, 4));
        assertEquals(0x71138086L, config(1, 3, 0, 4));
        assertEquals(0x7113, config(1, 3, 2, 2));
        assertEquals(0x80, config(1, 0, 0x0e, 1));
        assertEquals(2, config(1, 3, 0x5b, 1));
        assertEquals(0xffffffffL, config(2, 0, 0, 4));
        out(0xcf8, 4, 0x80010000);
        assertEquals(0xffffffffL, in(0xcfc, 4));
        out(0xcf8, 4, 0);
        assertEquals(0xffffffffL, in(0xcfc, 4));
    }

    @Test
    void theIdentityOfAFunctionCannotBeWritten() throws Exception {
        out(0xcf8, 4, 0x80000000);
        out(0xcfc, 4, 0);
        assertEquals(0x12378086L, config(0, 0, 0, 4));
        out(0xcf8, 4, 0x80000010);
        out(0xcfc, 4, -1);
        assertEquals(0, config(0, 0, 0x10, 4));
    }

    @Test
    void thePmTimerCountsWhereFirmwarePutsIt() throws Exception {
        assertEquals(0xffffffffL, in(0xb008, 4));
        writeConfig(1, 3, 0x40, 4, 0xb001);
        assertEquals(0xffffffffL, in(0xb008, 4));
        writeConfig(1, 3, 0x80, 1, 1);
        assertEquals(0, in(0xb008, 4));
        nanos.set(1_000_000_000L);
        assertEquals(3_579_545, in(0xb008, 4));
        // A day: 24 bits of it.
        nanos.set(86_400_000_000_000L);
        assertEquals(86_400L * 3_579_545 & 0xffffff, in(0xb008, 4));
        writeConfig(1, 3, 0x40, 4, 0x0601);
        assertEquals(0xffffffffL, in(0xb008, 4));
        assertNotEquals(0xffffffffL, in(0x0608, 4));
    }

    @Test
    void sleepingInTypeZeroSwitchesOff() throws Exception {
        writeConfig(1, 3, 0x40, 4, 0xb001);
        writeConfig(1, 3, 0x80, 1, 1);
        out(0xb004, 2, 1);
        assertEquals(1, in(0xb004, 2));
        assertEquals(Outcome.resume(), out(0xb004, 2, 0x2401));
        assertEquals(RunEnd.POWER_OFF, stopCode(out(0xb004, 2, 0x2001)));
    }

    @Test
    void cmosTellsTheTimeInTheFormAsked() throws Exception {
        assertEquals(0x59, cmos(0x00));
        assertEquals(0x58, cmos(0x02));
        assertEquals(0x21, cmos(0x04));
        assertEquals(5, cmos(0x06));
        assertEquals(0x29, cmos(0x07));
        assertEquals(0x02, cmos(0x08));
        assertEquals(0x24, cmos(0x09));
        assertEquals(0x20, cmos(0x32));
        out(0x70, 1, 0x8b);
        out(0x71, 1, 0x04);
        assertEquals(59, cmos(0x00));
        assertEquals(0x89, cmos(0x04));
        assertEquals(0, cmos(0x0a) & 0x80);
        assertEquals(0x80, cmos(0x0d));
    }

    @Test
    void inTwelveHoursThereIsNoHourZero() {
        int[] expected = {12, 1, 11, 0x80 | 12, 0x80 | 1, 0x80 | 11};
        int[] hours = {0, 1, 11, 12, 13, 23};
        for (int i = 0; i < hours.length; i++) {
            Instant time = Instant.parse("2024-02-29T00:00:00Z").plus(Duration.ofHours(hours[i]));
            Cmos cmos = new Cmos(Clock.fixed(time, ZoneOffset.UTC), new PcMemory(1 << 20), 1);
            cmos.write(Cmos.INDEX, 1, 0x0b);
            cmos.write(Cmos.DATA, 1, 0x04);
            cmos.write(Cmos.INDEX, 1, 0x04);
            assertEquals(expected[i], cmos.read(Cmos.DATA, 1));
        }
    }

    @Test
    void cmosTellsTheMemoryOnBothSidesOfTheGap() throws Exception {
        assertEquals(640, cmos(0x15) | (cmos(0x16) << 8));
        assertEquals(0xffff, cmos(0x30) | (cmos(0x31) << 8));
        assertEquals((3L << 30) - (16 << 20), (long) (cmos(0x34) | (cmos(0x35) << 8)) << 16);
        assertEquals(2L << 30, (long) (cmos(0x5b) | (cmos(0x5c) << 8) | (cmos(0x5d) << 16)) << 16);
        assertEquals(2, cmos(0x5f));
    }

    @Test
    void firmwareFindsItsConfigurationByFileName() throws Exception {
        assertEquals("QEMU", new String(item(0, 4), StandardCharsets.US_ASCII));
        assertArrayEquals(new byte[] {1, 0, 0, 0}, item(1, 4));
        assertEquals(3, item(5, 2)[0]);
        Map<String, byte[]> files = files();
        ByteBuffer e820 = ByteBuffer.wrap(files.get("etc/e820")).order(ByteOrder.LITTLE_ENDIAN);
        assertEquals(40, e820.capacity());
        assertEquals(0, e820.getLong());
        assertEquals(0xc0000000L, e820.getLong());
        assertEquals(1, e820.getInt());
        assertEquals(1L << 32, e820.getLong());
        assertEquals(2L << 30, e820.getLong());
        assertEquals(1, e820.getInt());
        assertArrayEquals(new byte[] {-1, -1, -1, -1}, files.get("etc/boot-fail-wait"));
    }

    @Test
    void unknownItemsAndTheEndOfAnItemReadAsZero() throws Exception {
        assertArrayEquals(new byte[8], item(0x7777, 8));
        assertArrayEquals(new byte[] {'Q', 'E', 'M', 'U', 0, 0}, item(0, 6));
    }

    @Test
    void stringInputTakesAnItemByteForByte() throws Exception {
        out(0x510, 2, 0);
        Exit.PortIo exit = new Exit.PortIo(0x511, 1, 4, true, new byte[4]);
        pc.handle(0, exit);
        assertEquals("QEMU", new String(exit.data(), StandardCharsets.US_ASCII));
    }

    @Test
    void stringOutputReachesTheDebugConsole() throws Exception {
        assertEquals(0xe9, in(0x402, 1));
        byte[] text = "hello\n".getBytes(StandardCharsets.US_ASCII);
        pc.handle(0, new Exit.PortIo(0x402, 1, text.length, false, text));
        assertEquals("hello\n", debug.toString(StandardCharsets.US_ASCII));
    }

    @Test
    void serialOutputComesOutAndTheDivisorDoesNot() throws Exception {
        out(0x3fb, 1, 0x83);
        out(0x3f8, 1, 0x01);
        out(0x3f9, 1, 0x02);
        assertEquals(0x01, in(0x3f8, 1));
        assertEquals(0x02, in(0x3f9, 1));
        out(0x3fb, 1, 0x03);
        assertEquals(0x60, in(0x3fd, 1));
        for (char c : "ab\n".toCharArray()) {
            out(0x3f8, 1, c);
        }
        assertEquals("ab\n", serial.toString(StandardCharsets.US_ASCII));
        out(0x3ff, 1, 0x5a);
        assertEquals(0x5a, in(0x3ff, 1));
    }

    @Test
    void loopBackReceivesWhatWasSentAndNothingComesOut() throws Exception {
        out(0x3fc, 1, 0x1e);
        assertEquals(0xd0, in(0x3fe, 1));
        out(0x3f8, 1, 0xae);
        assertEquals(0x61, in(0x3fd, 1));
        assertEquals(0xae, in(0x3f8, 1));
        assertEquals(0x60, in(0x3fd, 1));
        pc.flush();
        assertEquals(0, serial.size());
    }

    @Test
    void theEmptyTransmitterInterruptsUntilItIsIdentified() throws Exception {
        assertEquals(0x01, in(0x3fa, 1));
        out(0x3fa, 1, 0x01);
        assertEquals(0xc1, in(0x3fa, 1));
        out(0x3f9, 1, 0x02);
        assertEquals(List.of(true), serialLine);
        assertEquals(0xc2, in(0x3fa, 1));
        assertEquals(0xc1, in(0x3fa, 1));
        assertEquals(List.of(true, false), serialLine);
        out(0x3f8, 1, '\n');
        assertEquals(List.of(true, false, true), serialLine);
        pc.reset();
        assertEquals(List.of(true, false, true, false), serialLine);
    }

    @Test
    void theRefreshBitToggles() throws Exception {
        long before = in(0x61, 1) & 0x10;
        nanos.addAndGet(16_000);
        assertNotEquals(before, in(0x61, 1) & 0x10);
    }

    @Test
    void thereIsNoKeyboardControllerAndNoSmi() throws Exception {
        assertEquals(0xff, in(0x64, 1));
        assertEquals(0xff, in(0x60, 1));
        out(0xb3, 1, 1);
        out(0xb2, 1, 0);
        assertEquals(0, in(0xb3, 1));
        assertEquals(2, in(0x92, 1));
    }

    @Test
    void wideAccessToNarrowPortsIsSplitIntoBytes() throws Exception {
        out(0x70, 2, 0x5a0f);
        assertEquals(0x5a, cmos(0x0f));
        out(0x70, 1, 0x0f);
        assertEquals(0x5aff, in(0x70, 2));
    }

    @Test
    void resetPutsDevicesBack() throws Exception {
        out(0x70, 2, 0x5a0f);
        out(0x80, 1, 0x42);
        writeConfig(1, 3, 0x40, 4, 0xb001);
        out(0x3ff, 1, 0x5a);
        pc.reset();
        assertEquals(0, cmos(0x0f));
        assertEquals(0, in(0x80, 1));
        assertEquals(1, config(1, 3, 0x40, 4));
        assertEquals(0, in(0x3ff, 1));
    }

    private long in(int port, int size) throws Exception {
        Exit.PortIo exit = new Exit.PortIo(port, size, 1, true, new byte[size]);
        pc.handle(0, exit);
        return exit.value(0);
    }

    private Outcome out(int port, int size, int value) throws Exception {
        Exit.PortIo exit = new Exit.PortIo(port, size, 1, false, new byte[size]);
        exit.setValue(0, value);
        return pc.handle(0, exit);
    }

    private static int stopCode(Outcome outcome) {
        return ((Outcome.Stop) outcome).code();
    }

    private long config(int device, int function, int offset, int size) throws Exception {
        out(0xcf8, 4, 0x80000000 | (device << 11) | (function << 8) | (offset & ~3));
        return in(0xcfc + (offset & 3), size);
    }

    private void writeConfig(int device, int function, int offset, int size, int value) throws Exception {
        out(0xcf8, 4, 0x80000000 | (device << 11) | (function << 8) | (offset & ~3));
        out(0xcfc + (offset & 3), size, value);
    }

    private int cmos(int index) throws Exception {
        out(0x70, 1, index);
        return (int) in(0x71, 1);
    }

    private byte[] item(int selector, int length) throws Exception {
        out(0x510, 2, selector);
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) in(0x511, 1);
        }
        return bytes;
    }

    private Map<String, byte[]> files() throws Exception {
        int count = ByteBuffer.wrap(item(0x19, 4)).getInt();
        ByteBuffer directory = ByteBuffer.wrap(item(0x19, 4 + 64 * count));
        directory.position(4);
        Map<String, byte[]> files = new HashMap<>();
        for (int i = 0; i < count; i++) {
            int size = directory.getInt();
            int selector = directory.getShort();
            directory.getShort();
            byte[] name = new byte[56];
            directory.get(name);
            files.put(new String(name, StandardCharsets.US_ASCII).trim(), item(selector, size));
        }
        return files;
    }

    private static final class NoRam implements LegacyRam {
        @Override
        public void setVisibility(String reason, Map<MemoryRange, RamVisibility> segments) {}

        @Override
        public void writeHidden(long gpa, byte[] data) {}
    }
}

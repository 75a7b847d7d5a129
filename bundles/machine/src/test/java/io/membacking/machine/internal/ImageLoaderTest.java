package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.machine.BootSource;
import io.membacking.machine.BootSource.Mode;
import io.membacking.machine.internal.LoadedImage.Piece;
import io.membacking.partition.ProcessorState;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class ImageLoaderTest {
    private final ImageLoader loader = new ImageLoader(new PcMemory(16 << 20));

    @Test
    void anElfKernelIsLoadedAtItsPhysicalAddressesAndZeroedBehind() {
        byte[] code = {1, 2, 3, 4};
        byte[] elf = Elf.of32(0xc0100002, segment(0xc0100000L, 0x200000, code, 0x3000));
        Piece piece = load(elf).pieces().get(0);
        assertEquals(0x200000, piece.gpa());
        assertEquals(0x3000, piece.size());
        assertArrayEquals(code, Arrays.copyOfRange(piece.bytes(), piece.offset(), piece.offset() + piece.length()));
        ProcessorState start = start(load(elf));
        assertEquals(0x200002, start.general().rip());
        assertEquals(0, start.system().efer());
        assertEquals(1, start.system().cr0() & 1);
    }

    @Test
    void a64BitElfStartsInLongMode() {
        ProcessorState start = start(load(Elf.of64(0x100000, segment(0x100000, 0x100000, new byte[64], 64))));
        assertEquals(0x500, start.system().efer());
        assertEquals(0x2badb002, start.general().rax());
        assertEquals(start.general().rbx(), start.general().rsi());
    }

    @Test
    void a64BitElfWithAMultibootHeaderStartsAsMultibootSays() {
        byte[] body = new byte[64];
        multiboot(ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN), 3);
        assertEquals(
                0,
                start(load(Elf.of64(0x100000, segment(0x100000, 0x100000, body, 64))))
                        .system()
                        .efer());
    }

    @Test
    void aKernelWithAddressesIsLoadedByThem() {
        byte[] file = new byte[0x200];
        new Random(1).nextBytes(file);
        ByteBuffer header = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        header.position(0x40);
        multiboot(
                header.slice().order(ByteOrder.LITTLE_ENDIAN),
                0x10003,
                0x100020,
                0x100000,
                0x100100,
                0x102000,
                0x100050);
        LoadedImage image = load(file);
        assertEquals(
                new Piece(0x100000, file, 0x20, 0x100, 0x2000), image.pieces().get(0));
        assertEquals(0x100050, start(image).general().rip());
    }

    @Test
    void theMultibootInformationTellsMemoryAndCommandLine() {
        byte[] elf = Elf.of32(0x100000, segment(0x100000, 0x100000, new byte[16], 16));
        LoadedImage image = loader.load(new BootSource.Kernel("k", elf, "console=ttyS0 ä"));
        long ebx = start(image).general().rbx();
        Piece piece =
                image.pieces().stream().filter(p -> p.gpa() == ebx).findFirst().orElseThrow();
        ByteBuffer info = ByteBuffer.wrap(piece.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        assertEquals(0x245, info.getInt(0));
        assertEquals(640, info.getInt(4));
        assertEquals(15 << 10, info.getInt(8));
        assertEquals("console=ttyS0 ä", text(info, info.getInt(16) - (int) ebx));
        assertEquals("Membacking", text(info, info.getInt(64) - (int) ebx));
        int map = info.getInt(48) - (int) ebx;
        assertEquals(3 * 24, info.getInt(44));
        long[][] entries = {{0, 0xa0000, 1}, {0xa0000, 0x60000, 2}, {0x100000, 15 << 20, 1}};
        for (int i = 0; i < entries.length; i++) {
            assertEquals(20, info.getInt(map + 24 * i));
            assertEquals(entries[i][0], info.getLong(map + 24 * i + 4));
            assertEquals(entries[i][1], info.getLong(map + 24 * i + 12));
            assertEquals(entries[i][2], info.getInt(map + 24 * i + 20));
        }
    }

    @Test
    void tablesKeepOutOfTheImagesWay() {
        LoadedImage image = loader.load(new BootSource.Flat("f", new byte[0x98000 - 0x8000], 0x8000, Mode.LONG));
        assertEquals(0x1000, image.pieces().get(1).gpa());
        image = loader.load(new BootSource.Flat("f", new byte[0x98000 - 0x2000], 0x2000, Mode.LONG));
        assertEquals(0x98000, image.pieces().get(1).gpa());
        assertRefused(
                "room", new BootSource.Flat("f", new byte[0x9f000 - 0x2000], 0x2000, Mode.LONG), new PcMemory(1 << 20));
    }

    @Test
    void onlyTheFirstProcessorOfAKernelStarts() {
        byte[] elf = Elf.of32(0x100000, segment(0x100000, 0x100000, new byte[16], 16));
        assertTrue(load(elf).start().state(ResetState.VALUE, 1).isEmpty());
        LoadedImage flat = loader.load(new BootSource.Flat("f", new byte[16], 0x8000, Mode.REAL));
        assertEquals(
                2,
                flat.start().state(ResetState.VALUE, 2).orElseThrow().general().rax());
    }

    @Test
    void whatCannotBeLoadedIsRefusedByName() {
        assertRefused("empty", new BootSource.Firmware("fw", new byte[0]));
        assertRefused("too large", new BootSource.Firmware("fw", new byte[(16 << 20) + 4096]));
        assertRefused("multiple", new BootSource.Firmware("fw", new byte[5000]));
        assertRefused("no multiboot", kernel(new byte[5000]));
        assertRefused("ELF", kernel(Arrays.copyOf(Elf.of32(0, segment(0, 0, new byte[4], 4)), 40)));
        assertRefused("cut off", kernel(cut(Elf.of32(0x100000, segment(0x100000, 0x100000, new byte[4096], 4096)))));
        assertRefused("machine 40", kernel(with16(elf(), 18, 40)));
        assertRefused("link it", kernel(with16(elf(), 16, 1)));
        assertRefused("nothing to load", kernel(with16(elf(), 44, 0)));
        assertRefused("entry point", kernel(Elf.of32(0x5000, segment(0x100000, 0x100000, new byte[16], 16))));
        assertRefused("not all RAM", kernel(Elf.of32(0x100000, segment(0x100000, 0x100000, new byte[16], 16 << 20))));
        assertRefused("not all RAM", kernel(Elf.of32(0xa0000, segment(0xa0000, 0xa0000, new byte[16], 16))));
        assertRefused("more bytes", kernel(Elf.of32(0x100000, segment(0x100000, 0x100000, new byte[16], 8))));
        assertRefused("demands", kernel(multibootFile(0x8)));
        assertRefused("no addresses", kernel(multibootFile(0x3)));
        assertRefused("contradict", kernel(multibootFile(0x10000, 0x100000, 0x100000, 0, 0, 0x500000)));
        assertRefused("do not fit", kernel(multibootFile(0x10000, 0x100000, 0x100000, 0x200000, 0, 0x100000)));
        assertRefused("below 1 MiB", new BootSource.Flat("f", new byte[16], 0x200000, Mode.REAL));
        assertRefused("not all RAM", new BootSource.Flat("f", new byte[16], -16, Mode.PROTECTED));
        assertRefused("not all RAM", new BootSource.Flat("f", new byte[0x2000], 0x9f000, Mode.REAL));
        assertRefused("command line", new BootSource.Kernel("k", elf(), "x".repeat(20_000)));
    }

    @Test
    void noDamageToAKernelDoesMoreThanRefuse() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        byte[][] good = {
            elf(),
            Elf.of64(0x100000, segment(0x100000, 0x100000, new byte[64], 64)),
            multibootFile(0x10000, 0x100000, 0x100000, 0, 0, 0x100000)
        };
        for (int round = 0; round < 50_000; round++) {
            byte[] bytes = good[round % good.length].clone();
            for (int i = random.nextInt(8); i >= 0; i--) {
                bytes[random.nextInt(Math.min(bytes.length, 160))] =
                        (byte) (random.nextBoolean() ? random.nextInt() : -1);
            }
            byte[] image = Arrays.copyOf(bytes, random.nextInt(4) == 0 ? random.nextInt(bytes.length) : bytes.length);
            try {
                for (Piece piece : load(image).pieces()) {
                    assertTrue(new PcMemory(16 << 20).isVisibleRam(piece.gpa(), piece.size()), "seed " + seed);
                    assertTrue(piece.offset() + piece.length() <= piece.bytes().length, "seed " + seed);
                }
            } catch (IllegalArgumentException e) {
                // A refusal, as it should be.
            }
        }
    }

    private static byte[] elf() {
        return Elf.of32(0x100000, segment(0x100000, 0x100000, new byte[16], 16));
    }

    private static Elf.Segment segment(long virtual, long physical, byte[] bytes, long size) {
        return new Elf.Segment(virtual, physical, bytes, size);
    }

    private static byte[] cut(byte[] bytes) {
        return Arrays.copyOf(bytes, bytes.length - 100);
    }

    private static byte[] with16(byte[] bytes, int at, int value) {
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putShort(at, (short) value);
        return bytes;
    }

    private static byte[] multibootFile(int flags, int... addresses) {
        byte[] file = new byte[4096];
        multiboot(ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN), flags, addresses);
        return file;
    }

    private static void multiboot(ByteBuffer at, int flags, int... addresses) {
        at.putInt(0x1badb002).putInt(flags).putInt(-(0x1badb002 + flags));
        for (int address : addresses) {
            at.putInt(address);
        }
    }

    private LoadedImage load(byte[] kernel) {
        return loader.load(kernel(kernel));
    }

    private static BootSource kernel(byte[] image) {
        return new BootSource.Kernel("k", image, "");
    }

    private static ProcessorState start(LoadedImage image) {
        return image.start().state(ResetState.VALUE, 0).orElseThrow();
    }

    private void assertRefused(String problem, BootSource source) {
        assertRefused(problem, source, new PcMemory(16 << 20));
    }

    private static void assertRefused(String problem, BootSource source, PcMemory memory) {
        String message = assertThrows(IllegalArgumentException.class, () -> new ImageLoader(memory).load(source))
                .getMessage();
        assertTrue(message.contains(problem) && message.contains(source.name()), message);
    }

    private static String text(ByteBuffer bytes, int at) {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        for (int i = at; bytes.get(i) != 0; i++) {
            text.write(bytes.get(i));
        }
        return text.toString(StandardCharsets.UTF_8);
    }
}

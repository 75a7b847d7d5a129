package io.membacking.host.linux;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.membacking.range.MemoryRange;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HostFactsTest {
    @Test
    void readsMemoryFromMeminfo() {
        String meminfo = "MemTotal:       24684060 kB\nMemFree:        23943184 kB\nHugePages_Total:       4\n";
        assertEquals(24684060L << 10, HostFacts.kibibytes(meminfo, "MemTotal"));
        assertEquals(0, HostFacts.kibibytes(meminfo, "SwapTotal"));
    }

    @Test
    void readsAddressBitsAndKnowsWhatArmHas() {
        assertEquals(46, HostFacts.addressBits("flags\t: x\naddress sizes\t: 46 bits physical, 57 bits virtual\n"));
        assertEquals(48, HostFacts.addressBits("processor\t: 0\nCPU implementer\t: 0x41\n"));
    }

    @Test
    void readsEveryDigitOfANumberOfTheKernel() throws Exception {
        Path file = Path.of("/proc/sys/vm/max_map_count");
        Process cat = new ProcessBuilder("cat", file.toString()).start();
        String wanted = new String(cat.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
        assertEquals(wanted, HostFacts.text(file));
        assertEquals(Long.parseLong(wanted.strip()), HostFacts.mappingLimit());
    }

    @Test
    void readsTheChoiceInBrackets() {
        assertEquals("never", HostFacts.chosen("always within_size advise [never] deny force\n"));
        assertEquals("", HostFacts.chosen(""));
    }

    @Test
    void readsLinesOfMappings() {
        MapsLine file = MapsLine.parse(
                "7f1200000000-7f1200002000 rw-s 00003000 fd:1a 4294967297           /memfd:a b 1 (deleted)");
        assertEquals(
                new MapsLine(
                        0x7f1200000000L,
                        0x7f1200002000L,
                        true,
                        true,
                        true,
                        0x3000,
                        new FileId(0xfd, 0x1a, 4294967297L)),
                file);
        MapsLine anonymous = MapsLine.parse("ffffffffff600000-ffffffffff601000 ---p 00000000 00:00 0 ");
        assertEquals(
                new MapsLine(0xffffffffff600000L, 0xffffffffff601000L, false, false, false, 0, FileId.NONE), anonymous);
        assertEquals(
                FileId.NONE,
                MapsLine.parse("7f1200000000-7f1200002000 r--p 00000000 00:00 0")
                        .file());
    }

    @Test
    void readsDeviceNumbersAsTheCLibraryPacksThem() {
        assertEquals(new FileId(0, 1, 9), FileId.of(1, 9));
        assertEquals(new FileId(0xfd, 0x1a, 9), FileId.of(0xfd1a, 9));
        assertEquals(new FileId(0x12345, 0x6789a, 9), FileId.of(pack(0x12345, 0x6789a), 9));
    }

    private static long pack(long major, long minor) {
        return ((major & 0xfff) << 8) | ((major & ~0xfffL) << 32) | (minor & 0xff) | ((minor & ~0xffL) << 12);
    }

    @Test
    void rangeSetIsASetOfPages() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        RangeSet set = new RangeSet();
        BitSet model = new BitSet();
        for (int step = 0; step < 5000; step++) {
            int from = random.nextInt(40);
            int to = from + 1 + random.nextInt(40 - from);
            MemoryRange range = new MemoryRange(from * 4096L, to * 4096L);
            assertEquals(bits(model, from, to), bits(set.inside(range)), "seed " + seed);
            BitSet rest = new BitSet();
            rest.set(from, to);
            rest.andNot(model);
            assertEquals(rest, bits(set.outside(range)), "seed " + seed);
            if (random.nextBoolean()) {
                set.add(range);
                model.set(from, to);
            } else {
                set.remove(range);
                model.clear(from, to);
            }
            assertEquals(model, bits(set.all()), "seed " + seed);
            assertEquals(model.isEmpty(), set.isEmpty());
        }
    }

    private static BitSet bits(BitSet model, int from, int to) {
        BitSet part = new BitSet();
        part.set(from, to);
        part.and(model);
        return part;
    }

    private static BitSet bits(List<MemoryRange> ranges) {
        BitSet bits = new BitSet();
        ranges.forEach(range -> bits.set((int) (range.start() / 4096), (int) (range.end() / 4096)));
        return bits;
    }
}

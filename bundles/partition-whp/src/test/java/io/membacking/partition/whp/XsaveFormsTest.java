package io.membacking.partition.whp;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Platform;
import io.membacking.error.BackendException;
import io.membacking.partition.CpuModel;
import io.membacking.partition.CpuModel.Leaf;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.whp.XsaveForms.Component;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** The forms of vector registers, against this host's processor. */
class XsaveFormsTest {
    /** Has the processor store and load both. */
    private static final Path PROGRAM = Path.of("../../native/target/whp-shim/xsave");

    private static final String OPERATION = "test";
    private static final int MXCSR = 24;
    private static final int MXCSR_MASK = 28;
    private static final int XMM = 160;
    private static final int XMM_END = 416;
    private static final int XSTATE_BV = 512;
    private static final int XCOMP_BV = 520;
    private static final long SSE = 2;
    private static final int ROUNDS = 300;

    @TempDir
    Path folder;

    private record Forms(byte[] standard, byte[] compacted) {}

    private List<String> run(String input, String... arguments) throws IOException, InterruptedException {
        Path in = Files.writeString(folder.resolve("in"), input);
        Path out = folder.resolve("out");
        List<String> command = new ArrayList<>(List.of(PROGRAM.toString()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command)
                .redirectInput(in.toFile())
                .redirectOutput(out.toFile())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        int status = process.waitFor();
        Assumptions.assumeFalse(status == 2, "this processor has no XSAVEC");
        assertEquals(0, status);
        return Files.readAllLines(out);
    }

    private static void requireProgram(TestInfo test) {
        Assumptions.assumeTrue(WhpPlatform.isX86(), "the forms are those of x86-64");
        Assumptions.assumeFalse(Platform.isWindows(), "it is a program for Linux");
        BackendRequirement.require(
                Files.isExecutable(PROGRAM), test, "not here: " + PROGRAM + "; make -C native/whp-shim");
    }

    private XsaveForms layout() throws Exception {
        List<Leaf> leaves = new ArrayList<>();
        for (String line : run("", "layout")) {
            int[] numbers = Arrays.stream(line.split(" "))
                    .mapToInt(Integer::parseUnsignedInt)
                    .toArray();
            leaves.add(new Leaf(0xd, numbers[0], true, numbers[1], numbers[2], numbers[3], numbers[4]));
        }
        return XsaveForms.of(new CpuModel(leaves));
    }

    private List<Forms> states(long seed) throws Exception {
        HexFormat hex = HexFormat.of();
        return run("", "make", Long.toUnsignedString(seed), Integer.toString(ROUNDS)).stream()
                .map(line -> line.split(" "))
                .map(forms -> new Forms(hex.parseHex(forms[0]), hex.parseHex(forms[1])))
                .toList();
    }

    /**
     * What means the same is the same: a component in its initial state, which a processor may tell to be in use, and a mask that
     * nobody reads.
     */
    private static byte[] meaning(XsaveForms forms, byte[] standard, int length) {
        byte[] area = Arrays.copyOf(standard, length);
        ByteBuffer bytes = little(area).putInt(MXCSR_MASK, 0);
        long used = bytes.getLong(XSTATE_BV);
        if (bytes.getInt(MXCSR) != 0x1f80) {
            used |= SSE; // stored whether in use or not
        } else if (isZero(area, XMM, XMM_END)) {
            used &= ~SSE;
        }
        for (var component : forms.components().entrySet()) {
            int at = component.getValue().offset();
            if (!component.getValue().supervisor()
                    && isZero(area, at, at + component.getValue().size())) {
                used &= ~(1L << component.getKey());
            }
        }
        bytes.putLong(XSTATE_BV, used);
        return area;
    }

    private static boolean isZero(byte[] area, int from, int to) {
        return Arrays.equals(area, from, to, new byte[to - from], 0, to - from);
    }

    @Test
    void eachFormBecomesTheOtherAsTheProcessorHasThem(TestInfo test) throws Exception {
        requireProgram(test);
        XsaveForms forms = layout();
        long seed = new Random().nextInt() & 0xffffffffL;
        List<Forms> states = states(seed);
        assertEquals(ROUNDS, states.size());
        StringBuilder ours = new StringBuilder();
        Forms other = states.get(0);
        for (Forms state : states) {
            assertTrue(XsaveForms.isCompacted(state.compacted()));
            assertFalse(XsaveForms.isCompacted(state.standard()));
            byte[] standard = forms.standard(state.compacted(), OPERATION);
            assertArrayEquals(
                    meaning(forms, state.standard(), standard.length),
                    meaning(forms, standard, standard.length),
                    () -> "to the standard form, seed " + seed);
            byte[] compacted = forms.compacted(state.standard(), other.compacted(), OPERATION);
            ours.append(HexFormat.of().formatHex(compacted)).append('\n');
            other = state;
        }
        List<String> loaded = run(ours.toString(), "load");
        for (int i = 0; i < ROUNDS; i++) {
            byte[] expected = states.get(i).standard();
            assertArrayEquals(
                    meaning(forms, expected, expected.length),
                    meaning(forms, HexFormat.of().parseHex(loaded.get(i)), expected.length),
                    () -> "loaded from the compacted form, seed " + seed);
        }
    }

    @Test
    void supervisorComponentsStayThePlatformsOwn() throws Exception {
        TreeMap<Integer, Component> components = new TreeMap<>();
        components.put(2, new Component(8, 576, false, false));
        components.put(11, new Component(16, 0, false, true));
        components.put(12, new Component(8, 584, true, false));
        XsaveForms forms = new XsaveForms(components);
        long format = 1L << 63 | 1 << 2 | 1 << 11 | 1 << 12;
        byte[] now = area(640 + 8, 1 << 11, format);
        little(now).putLong(584, 0x1111).putLong(592, 0x2222);
        byte[] given = area(592, 1 << 2 | 1 << 12, 0);
        little(given).putLong(576, 0x3333).putLong(584, 0x4444);
        byte[] compacted = forms.compacted(given, now, OPERATION);
        ByteBuffer taken = little(compacted);
        assertEquals(1 << 2 | 1 << 11 | 1 << 12, taken.getLong(XSTATE_BV));
        assertEquals(format, taken.getLong(XCOMP_BV));
        assertEquals(
                List.of(0x3333L, 0x1111L, 0x2222L, 0x4444L),
                List.of(taken.getLong(576), taken.getLong(584), taken.getLong(592), taken.getLong(640)));
        byte[] back = forms.standard(compacted, OPERATION);
        little(given).putShort(0, (short) 0x37f);
        assertArrayEquals(given, back);
    }

    @Test
    void whatHasNoKnownPlaceIsRefusedByItsNumber() {
        XsaveForms forms = new XsaveForms(new TreeMap<>());
        byte[] unknown = area(1024, 1 << 5, 1L << 63 | 1 << 5);
        byte[] nothing = area(576, 0, 1L << 63);
        BackendException refused = assertThrows(BackendException.class, () -> forms.standard(unknown, OPERATION));
        assertTrue(refused.getMessage().contains("component 5"), refused::getMessage);
        byte[] given = area(1024, 1 << 5, 0);
        refused = assertThrows(BackendException.class, () -> forms.compacted(given, nothing, OPERATION));
        assertTrue(refused.getMessage().contains("component 5"), refused::getMessage);
    }

    @Test
    void areasThatAreTooShortAreRefused() {
        TreeMap<Integer, Component> components = new TreeMap<>();
        components.put(2, new Component(256, 576, false, false));
        XsaveForms forms = new XsaveForms(components);
        byte[] cut = area(800, 4, 1L << 63 | 4);
        byte[] now = area(832, 0, 1L << 63 | 4);
        byte[] given = area(800, 4, 0);
        assertThrows(BackendException.class, () -> forms.standard(cut, OPERATION));
        assertThrows(BackendException.class, () -> forms.compacted(given, now, OPERATION));
    }

    private static byte[] area(int size, long present, long format) {
        byte[] area = new byte[size];
        little(area).putInt(MXCSR, 0x1f80).putLong(XSTATE_BV, present).putLong(XCOMP_BV, format);
        return area;
    }

    private static ByteBuffer little(byte[] area) {
        return ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
    }
}

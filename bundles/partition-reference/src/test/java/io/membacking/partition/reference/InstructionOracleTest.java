package io.membacking.partition.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.GuestStates;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.partition.reference.Oracle.Outcome;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Instruction by instruction against the processor of this host, by way of KVM. {@code -Dmembacking.oracle.cases} says how many, and
 * {@code -Dmembacking.oracle.seed} which round. Otherwise there are two: one that is always the same, and one that is always another.
 */
class InstructionOracleTest {
    private static final int CASES = Integer.getInteger("membacking.oracle.cases", 1000);

    /** What an instruction in the middle of a stream may find. */
    private static final GeneralRegisters NO_COUNT = GuestStates.at(Oracle.CODE).done();

    /** No stream is that long. */
    private static final int BEHIND_STREAMS = 110;

    private long seed;
    private Random random;
    private Oracle.Mode mode;
    private InstructionSource source;
    private KvmBackend kvm;
    private ReferenceBackend reference;
    private Oracle oracle;
    private int failures;
    private int shutdowns;

    @BeforeEach
    void make(TestInfo test) throws Exception {
        kvm = new KvmBackend();
        BackendRequirement.require(kvm, test);
        reference = new ReferenceBackend();
    }

    static LongStream seeds() {
        Long asked = Long.getLong("membacking.oracle.seed");
        return asked != null ? LongStream.of(asked) : LongStream.of(3, new Random().nextInt(Integer.MAX_VALUE));
    }

    private void makeOracle(long roundSeed, Oracle.Mode roundMode) throws Exception {
        seed = roundSeed;
        random = new Random(seed);
        mode = roundMode;
        source = new InstructionSource(mode, random);
        oracle = new Oracle(mode, kvm, reference);
        byte[] data = new byte[Oracle.DATA_SIZE];
        random.nextBytes(data);
        oracle.setData(data);
    }

    @AfterEach
    void close() {
        if (oracle != null) {
            oracle.close();
        }
        if (reference != null) {
            reference.close();
        }
        kvm.close();
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void everyInstructionOfTheSubsetDoesWhatTheProcessorDoes(long roundSeed) throws Exception {
        makeOracle(roundSeed, Oracle.Mode.LONG_USER);
        List<String> wrong = new ArrayList<>();
        for (int i = 0; i < CASES && wrong.size() < 20; i++) {
            GeneralRegisters registers = source.registers();
            compare(source.next(), registers, wrong);
        }
        check(wrong);
        assertTrue(failures < CASES / 10, () -> failures + " of " + CASES + " beyond the subset");
        assertTrue(shutdowns < CASES / 2, () -> shutdowns + " of " + CASES + " ended in a shutdown");
    }

    /** There KVM may have to emulate too: what it cannot is left out. */
    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void codeOf32BitsDoesToo(long roundSeed) throws Exception {
        inMode(roundSeed, Oracle.Mode.PROTECTED);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void codeOf16BitsInRealModeDoesToo(long roundSeed) throws Exception {
        inMode(roundSeed, Oracle.Mode.REAL);
    }

    private void inMode(long roundSeed, Oracle.Mode other) throws Exception {
        makeOracle(roundSeed, other);
        List<String> wrong = new ArrayList<>();
        for (int i = 0; i < CASES && wrong.size() < 20; i++) {
            GeneralRegisters registers = source.registers();
            compare(source.next(), registers, wrong);
        }
        check(wrong);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void streamsOfInstructionsDoToo(long roundSeed) throws Exception {
        makeOracle(roundSeed, Oracle.Mode.LONG_USER);
        List<String> wrong = new ArrayList<>();
        for (int i = 0; i < CASES / 3 && wrong.size() < 20; i++) {
            GeneralRegisters registers = source.registers();
            ByteArrayOutputStream stream = new ByteArrayOutputStream();
            int count = 2 + random.nextInt(6);
            for (int j = 0; j < count; j++) {
                byte[] one;
                do {
                    one = source.next();
                } while (Undefined.flags(one, mode.codeSize, registers) != 0
                        || Undefined.dependsOnHost(one, mode.codeSize, NO_COUNT)
                        || Undefined.isRepeatedStore(one, mode.codeSize)
                        || Undefined.isShiftByRegister(one, mode.codeSize));
                if (Undefined.isShortJump(one, mode.codeSize)) { // not into the middle of another
                    one[one.length - 1] = (byte) (BEHIND_STREAMS + random.nextInt(8) - stream.size() - one.length);
                }
                stream.write(one);
            }
            compare(stream.toByteArray(), registers, wrong);
        }
        check(wrong);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void randomBytesAreTheSameInstructionOrNone(long roundSeed) throws Exception {
        makeOracle(roundSeed, Oracle.Mode.LONG_USER);
        List<String> wrong = new ArrayList<>();
        byte[] code = new byte[15];
        for (int i = 0; i < CASES && wrong.size() < 20; i++) {
            GeneralRegisters registers = source.registers();
            random.nextBytes(code);
            if (random.nextInt(3) == 0) {
                code[0] = 0x0f;
            }
            Instruction in = Undefined.decode(code, mode.codeSize);
            compare(in == null ? code : Arrays.copyOf(code, in.length), registers, wrong);
        }
        check(wrong);
    }

    private void check(List<String> wrong) {
        assertEquals(List.of(), wrong, () -> "seed " + seed + "\n" + String.join("\n", wrong) + "\n");
    }

    private void compare(byte[] code, GeneralRegisters registers, List<String> wrong) throws Exception {
        if (Undefined.dependsOnHost(code, mode.codeSize, registers)) {
            return;
        }
        Outcome mine = oracle.onSecond(code, registers);
        if (mine.exit().equals("failure") || mine.exit().isEmpty()) {
            failures++;
            oracle.align();
            return;
        }
        Outcome theirs = oracle.onFirst(code, registers);
        if (theirs.exit().equals("failure") || theirs.exit().isEmpty()) {
            oracle.align();
            return;
        }
        String difference = difference(theirs, mine, Undefined.flags(code, mode.codeSize, registers));
        if (mine.exit().startsWith("Shutdown")) {
            shutdowns++;
            oracle.align();
        }
        if (!difference.isEmpty()) {
            wrong.add(HexFormat.ofDelimiter(" ").formatHex(code) + " " + name(code) + ": " + difference + " from "
                    + registers);
            oracle.align();
        }
    }

    private String name(byte[] code) {
        Instruction in = Undefined.decode(code, mode.codeSize);
        return in == null ? "?" : in.opcode.name() + in.size * 8;
    }

    private String difference(Outcome theirs, Outcome mine, int undefined) {
        StringBuilder text = new StringBuilder();
        if (!theirs.exit().equals(mine.exit())) {
            return "exit " + theirs.exit() + " but " + mine.exit();
        }
        if (theirs.exit().startsWith("Shutdown")) {
            return "";
        }
        long[] a = values(theirs.general());
        long[] b = values(mine.general());
        String[] names = {
            "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
            "r15", "rip"
        };
        // Outside of 64-bit code the upper halves are undefined.
        long mask = mode == Oracle.Mode.LONG_USER ? -1 : 0xffffffffL;
        for (int i = 0; i < names.length; i++) {
            if (((a[i] ^ b[i]) & mask) != 0) {
                text.append(names[i])
                        .append(" 0x")
                        .append(Long.toHexString(a[i]))
                        .append(" but 0x")
                        .append(Long.toHexString(b[i]))
                        .append(' ');
            }
        }
        long flags = (theirs.general().rflags() ^ mine.general().rflags()) & (Flags.STATUS | Flags.DF) & ~undefined;
        if (flags != 0) {
            text.append("flags 0x")
                    .append(Long.toHexString(theirs.general().rflags()))
                    .append(" but 0x")
                    .append(Long.toHexString(mine.general().rflags()))
                    .append(" differ in 0x")
                    .append(Long.toHexString(flags));
        }
        int at = Arrays.mismatch(theirs.data(), mine.data());
        if (at >= 0) {
            text.append(" memory at 0x").append(Long.toHexString(mode.data + at));
        }
        return text.toString();
    }

    private static long[] values(GeneralRegisters g) {
        return new long[] {
            g.rax(), g.rbx(), g.rcx(), g.rdx(), g.rsi(), g.rdi(), g.rsp(), g.rbp(), g.r8(), g.r9(), g.r10(), g.r11(),
            g.r12(), g.r13(), g.r14(), g.r15(), g.rip()
        };
    }
}

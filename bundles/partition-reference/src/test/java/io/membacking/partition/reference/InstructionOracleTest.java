package io.membacking.partition.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.partition.reference.Oracle.Outcome;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/**
 * Instruction by instruction against the processor of this host, by way of KVM. {@code -Dmembacking.oracle.cases} says how many, and
 * {@code -Dmembacking.oracle.seed} takes another round: a build fails for what was changed, not by chance. Some
 * rounds take very long: they repeat a string instruction billions of times over memory that exits.
 */
class InstructionOracleTest {
    private static final int CASES = Integer.getInteger("membacking.oracle.cases", 1000);
    private static final long SEED = Long.getLong("membacking.oracle.seed", 3);

    private final Random random = new Random(SEED);
    private Oracle.Mode mode = Oracle.Mode.LONG_USER;
    private InstructionSource source = new InstructionSource(mode, random);
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
        makeOracle();
    }

    private void makeOracle() throws Exception {
        oracle = new Oracle(mode, kvm, reference);
        byte[] data = new byte[Oracle.DATA_SIZE];
        random.nextBytes(data);
        oracle.setData(data);
    }

    @AfterEach
    void close() {
        if (oracle != null) {
            oracle.close();
            reference.close();
        }
        kvm.close();
    }

    @Test
    void everyInstructionOfTheSubsetDoesWhatTheProcessorDoes() throws Exception {
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
    @Test
    void codeOf32BitsDoesToo() throws Exception {
        inMode(Oracle.Mode.PROTECTED);
    }

    @Test
    void codeOf16BitsInRealModeDoesToo() throws Exception {
        inMode(Oracle.Mode.REAL);
    }

    private void inMode(Oracle.Mode other) throws Exception {
        oracle.close();
        mode = other;
        source = new InstructionSource(other, random);
        makeOracle();
        List<String> wrong = new ArrayList<>();
        for (int i = 0; i < CASES && wrong.size() < 20; i++) {
            GeneralRegisters registers = source.registers();
            compare(source.next(), registers, wrong);
        }
        check(wrong);
    }

    @Test
    void streamsOfInstructionsDoToo() throws Exception {
        List<String> wrong = new ArrayList<>();
        for (int i = 0; i < CASES / 3 && wrong.size() < 20; i++) {
            GeneralRegisters registers = source.registers();
            ByteArrayOutputStream stream = new ByteArrayOutputStream();
            int count = 2 + random.nextInt(6);
            for (int j = 0; j < count; j++) {
                byte[] one;
                do {
                    one = source.next();
                } while (Undefined.flags(one, mode.codeSize, registers) != 0);
                stream.write(one);
            }
            compare(stream.toByteArray(), registers, wrong);
        }
        check(wrong);
    }

    @Test
    void randomBytesAreTheSameInstructionOrNone() throws Exception {
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
        assertEquals(List.of(), wrong, () -> "seed " + SEED + "\n" + String.join("\n", wrong) + "\n");
    }

    private void compare(byte[] code, GeneralRegisters registers, List<String> wrong) throws Exception {
        if (Undefined.dependsOnHost(code, mode.codeSize)) {
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

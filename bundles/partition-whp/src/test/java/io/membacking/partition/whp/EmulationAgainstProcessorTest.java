package io.membacking.partition.whp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.contract.BackendFixture;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Random instructions on memory: carried out by the processor itself, in ring 3, and emulated here because the same bytes lie where
 * no memory is mapped. Registers, flags and bytes must be the same afterwards.
 */
class EmulationAgainstProcessorTest extends BackendFixture {
    private static final int ROUNDS = Integer.getInteger("membacking.emulation.rounds", 300);
    private static final long CODE = 0x8000;
    private static final long SCRATCH = 0x40000;
    private static final int SCRATCH_SIZE = 64;
    private static final long DEVICE = UNMAPPED + 0x10000;
    private static final long DEFINED_FLAGS = 0x8d5;

    @Override
    protected PartitionBackend createBackend() {
        Shim.find();
        return new WhpBackend();
    }

    /** @param undefined flags that the instruction leaves undefined */
    private record Sample(byte[] code, long undefined) {}

    /** Instructions with the memory operand [rbx+disp8]; the accumulator is RAX, the count CL, other operands RDX or R9. */
    private static Sample sample(Random random) {
        ByteArrayOutputStream code = new ByteArrayOutputStream();
        long undefined = 0;
        int size = 1 << random.nextInt(4);
        int displacement = random.nextInt(16) + 16;
        int choice = random.nextInt(20);
        if (size == 2 && choice != 12) {
            code.write(0x66);
        }
        boolean high = random.nextBoolean();
        int rex = (size == 8 ? 8 : 0) | (high ? 4 : 0);
        if (choice != 12 && (rex != 0 || random.nextInt(4) == 0)) {
            code.write(0x40 | rex);
        }
        int wide = size == 1 ? 0 : 1;
        int register = high ? 1 : 2; // R9 or DX
        switch (choice) {
            case 0, 1, 2 -> {
                code.write(random.nextInt(8) << 3 | random.nextInt(2) << 1 | wide);
                operand(code, register, displacement);
            }
            case 3, 4 -> {
                code.write(size == 1 ? 0x80 : 0x83);
                operand(code, random.nextInt(8), displacement);
                code.write(random.nextInt(256));
            }
            case 5 -> {
                code.write(0x84 | random.nextInt(2) << 1 | wide);
                operand(code, register, displacement);
            }
            case 6, 7 -> {
                code.write(0x88 | random.nextInt(2) << 1 | wide);
                operand(code, register, displacement);
            }
            case 8 -> {
                int operation = (random.nextInt(6) & ~1) | random.nextInt(2);
                operation = operation == 0 ? 2 : operation == 1 ? 3 : operation;
                code.write(0xf6 | wide);
                operand(code, operation, displacement);
                undefined = operation >= 4 ? 0xd4 : 0;
            }
            case 9 -> {
                code.write(0xfe | wide);
                operand(code, random.nextInt(2), displacement);
            }
            case 10, 11 -> {
                int operation = List.of(0, 1, 2, 3, 4, 5, 7).get(random.nextInt(7));
                boolean byOne = random.nextBoolean();
                if (byOne) {
                    code.write(0xd0 | wide);
                    operand(code, operation, displacement);
                    undefined = operation > 3 ? 0x10 : 0;
                } else {
                    code.write(0xc0 | wide);
                    operand(code, operation, displacement);
                    int most = 8 * size > 8 ? 8 * size - 1 : 7;
                    code.write(1 + random.nextInt(most));
                    undefined = operation > 3 ? 0x810 : 0x800;
                }
            }
            case 12 -> {
                code.write(0x0f);
                code.write(random.nextBoolean() ? 0x10 : 0x11); // movups
                operand(code, 2, displacement);
            }
            case 13 -> {
                code.write(0x0f);
                code.write(List.of(0xb6, 0xb7, 0xbe, 0xbf).get(random.nextInt(4)));
                operand(code, register, displacement);
            }
            case 14 -> {
                code.write(0x0f);
                code.write((random.nextBoolean() ? 0x40 : 0x90) | random.nextInt(16));
                operand(code, register, displacement);
            }
            case 15 -> {
                code.write(0x0f);
                code.write(0xba);
                operand(code, 4 + random.nextInt(4), displacement);
                code.write(random.nextInt(256));
                undefined = 0x894;
            }
            case 16 -> {
                code.write(0x0f);
                code.write(0xb0 | wide); // cmpxchg
                operand(code, register, displacement);
            }
            case 17 -> {
                code.write(0x0f);
                code.write(0xc0 | wide); // xadd
                operand(code, register, displacement);
            }
            case 18 -> {
                code.write(0x0f);
                code.write(0xaf); // imul
                operand(code, register, displacement);
                undefined = 0xd4;
            }
            default -> {
                boolean shld = random.nextBoolean();
                code.write(0x0f);
                code.write(shld ? 0xa4 : 0xac);
                operand(code, register, displacement);
                int most = size == 8 ? 63 : size == 2 ? 15 : 31;
                code.write(1 + random.nextInt(most));
                undefined = 0x810;
            }
        }
        return new Sample(code.toByteArray(), undefined);
    }

    private static void operand(ByteArrayOutputStream code, int register, int displacement) {
        code.write(0x43 | (register & 7) << 3);
        code.write(displacement);
    }

    /** Registers and memory after an instruction. */
    private record After(GeneralRegisters general, String vectors, String bytes) {}

    @Test
    void whatIsEmulatedIsWhatTheProcessorDoes() throws Exception {
        Partition partition = partitionWithRam();
        Processor processor = partition.createProcessor(0);
        long seed = Long.getLong("membacking.emulation.seed", new Random().nextLong());
        Random random = new Random(seed);
        int emulated = 0;
        for (int round = 0; round < ROUNDS; round++) {
            Sample sample = sample(random);
            byte[] before = new byte[SCRATCH_SIZE];
            random.nextBytes(before);
            long[] values = random.longs(4).toArray();
            if (random.nextInt(8) == 0) {
                System.arraycopy(before, 16, before, 24, 8);
            }
            long flags = 2 | (random.nextInt() & DEFINED_FLAGS);
            After native_ = run(processor, sample, SCRATCH, before, values, flags);
            After ours = run(processor, sample, DEVICE, before, values, flags);
            String what = HexFormat.ofDelimiter(" ").formatHex(sample.code()) + ", round " + round + ", seed " + seed;
            assertEquals(masked(native_, sample), masked(ours, sample), what);
            assertEquals(native_.bytes(), ours.bytes(), what);
            assertEquals(native_.vectors(), ours.vectors(), what);
            emulated += accesses > 0 ? 1 : 0;
        }
        assertTrue(emulated > ROUNDS * 9 / 10, emulated + " of " + ROUNDS + " reached the device");
    }

    private int accesses;

    private static GeneralRegisters masked(After after, Sample sample) {
        GeneralRegisters r = after.general();
        return new GeneralRegisters(
                r.rax(),
                0,
                r.rcx(),
                r.rdx(),
                r.rsi(),
                r.rdi(),
                r.rsp(),
                r.rbp(),
                r.r8(),
                r.r9(),
                r.r10(),
                r.r11(),
                r.r12(),
                r.r13(),
                r.r14(),
                r.r15(),
                r.rip(),
                r.rflags() & DEFINED_FLAGS & ~sample.undefined());
    }

    private After run(Processor processor, Sample sample, long at, byte[] before, long[] values, long flags)
            throws Exception {
        byte[] device = before.clone();
        ram.write(SCRATCH, before);
        ram.write(CODE, sample.code());
        // Then the end: mov [UNMAPPED], al, by its absolute address.
        byte[] end = {(byte) 0xa2, 0, 0, 0, 0x30, 0, 0, 0, 0};
        ram.write(CODE + sample.code().length, end);
        GeneralRegisters registers = new GeneralRegisters(
                values[0],
                at,
                3,
                values[1],
                values[2],
                values[3],
                0,
                0,
                values[0] >>> 3,
                values[1] >> 5,
                1,
                2,
                3,
                4,
                5,
                6,
                CODE,
                flags);
        start(processor, GuestProgram.Mode.LONG_USER, registers);
        accesses = 0;
        while (true) {
            Exit.Mmio exit = assertInstanceOf(Exit.Mmio.class, processor.run(), () -> HexFormat.ofDelimiter(" ")
                    .formatHex(sample.code()));
            if (exit.gpa() == UNMAPPED) {
                assertTrue(processor.completeExit().isEmpty(), exit::toString);
                break;
            }
            accesses++;
            int offset = (int) (exit.gpa() - DEVICE);
            if (exit.input()) {
                System.arraycopy(device, offset, exit.data(), 0, exit.size());
            } else {
                System.arraycopy(exit.data(), 0, device, offset, exit.size());
            }
        }
        ProcessorState state = processor.state();
        byte[] bytes = device;
        if (at == SCRATCH) {
            ram.memory().read(SCRATCH, bytes, 0, bytes.length);
        }
        List<String> vectors = new ArrayList<>();
        state.vectors().ifPresent(v -> vectors.add(HexFormat.of().formatHex(v.xsave(), 160, 160 + 48)));
        return new After(state.general(), vectors.toString(), HexFormat.of().formatHex(bytes));
    }
}

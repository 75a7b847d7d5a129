package io.membacking.partition.whp.emulation;

import io.membacking.partition.whp.emulation.Interruption.Fault;
import io.membacking.partition.whp.emulation.Interruption.NotCovered;
import io.membacking.partition.whp.emulation.Interruption.Unanswered;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * One instruction, or one item of a string instruction, under way. Registers and memory change only when it is complete: until then
 * it is started over with each answer of a device, and what memory and devices said before they say again. Not thread-safe.
 */
public final class Emulation {
    /** What an instruction needs, or how it went. */
    public sealed interface Outcome {}

    /** A device is to answer, by filling the data if the guest reads; then {@link #advance()} goes on. */
    public record Needs(Access access) implements Outcome {}

    /**
     * It is complete, and memory is written.
     *
     * @param cpu the registers after it
     * @param repeats whether it is a string instruction with items left
     */
    public record Done(Cpu cpu, boolean repeats) implements Outcome {}

    /** It faults; nothing has changed. @param address of a page fault */
    public record Faults(int vector, boolean hasErrorCode, int errorCode, long address) implements Outcome {}

    /** It cannot be carried out here; nothing has changed. */
    public record Fails(String reason) implements Outcome {}

    /** Memory to be written when the instruction is complete. */
    private record Store(long gpa, byte[] data) {}

    private final Cpu before;
    private final Ram ram;
    private final @Nullable Instruction instruction;
    private final List<Access> answered = new ArrayList<>();
    private final List<Store> stores = new ArrayList<>();
    private int next;
    private @Nullable Access pending;

    /**
     * @param cpu the registers before it, which stay as they are
     * @param bytes those of the instruction that are known; others are read from memory
     */
    public Emulation(Cpu cpu, Ram ram, byte[] bytes) {
        this.before = cpu;
        this.ram = ram;
        this.instruction = decode(cpu, ram, bytes);
    }

    private Emulation(Cpu cpu, Ram ram, @Nullable Instruction instruction) {
        this.before = cpu;
        this.ram = ram;
        this.instruction = instruction;
    }

    /** The same instruction again, for the next item of a string. */
    public Emulation next(Cpu cpu) {
        return new Emulation(cpu, ram, instruction);
    }

    private static @Nullable Instruction decode(Cpu cpu, Ram ram, byte[] bytes) {
        Instruction known = Decoder.decode(bytes, bytes.length, cpu.codeBits());
        if (known != null || bytes.length >= Decoder.MOST_BYTES) {
            return known;
        }
        byte[] all = fetch(cpu, ram);
        return Decoder.decode(all, all.length, cpu.codeBits());
    }

    /** The bytes at the instruction pointer, as many as there are of 15. */
    public static byte[] fetch(Cpu cpu, Ram ram) {
        PageWalk walk = new PageWalk(cpu, ram);
        byte[] bytes = new byte[Decoder.MOST_BYTES];
        int count = 0;
        try {
            while (count < bytes.length) {
                long linear = cpu.linear(Cpu.CS, cpu.rip + count);
                int part = (int) Math.min(bytes.length - count, PageWalk.PAGE - (linear & PageWalk.PAGE - 1));
                if (!ram.read(walk.translate(linear, false), bytes, count, part)) {
                    break;
                }
                count += part;
            }
        } catch (Fault | NotCovered e) {
            // The rest is not there, and need not be.
        }
        return Arrays.copyOf(bytes, count);
    }

    /**
     * Where the instruction lies that the processor has just left behind, as one under a repeat prefix is not before its last item.
     *
     * @param cpu RIP as it is
     * @param bytes of the instruction
     * @return empty if they are not enough, or it is not covered
     */
    public static OptionalLong before(Cpu cpu, byte[] bytes) {
        Instruction known = Decoder.decode(bytes, bytes.length, cpu.codeBits());
        if (known == null) {
            return OptionalLong.empty();
        }
        boolean stays = known.isString() && known.repeat() != 0;
        long mask = cpu.codeBits() == 64 ? -1 : cpu.codeBits() == 32 ? 0xffffffffL : 0xffff;
        return OptionalLong.of(stays ? cpu.rip : cpu.rip - known.length() & mask);
    }

    /** Begins, or goes on with the answer to the access that was needed. */
    public Outcome advance() {
        Access answer = pending;
        if (answer != null) {
            answered.add(answer);
            pending = null;
        }
        if (instruction == null) {
            return new Fails("the instruction is not emulated");
        }
        next = 0;
        stores.clear();
        Cpu cpu = before.copy();
        try {
            boolean repeats = new Executor(cpu, instruction, new Bus(cpu)).run();
            for (Store store : stores) {
                ram.write(store.gpa(), store.data(), 0, store.data().length);
            }
            return new Done(cpu, repeats);
        } catch (Unanswered e) {
            Access needed = pending;
            if (needed == null) {
                throw new IllegalStateException("nothing is unanswered", e);
            }
            return new Needs(needed);
        } catch (Fault fault) {
            return new Faults(fault.vector, fault.hasErrorCode, fault.errorCode, fault.address);
        } catch (NotCovered e) {
            return new Fails(String.valueOf(e.getMessage()));
        }
    }

    /** Memory at once, where it is memory; devices by way of the list of answers. */
    private final class Bus implements Executor.Bus {
        private final PageWalk walk;

        private Bus(Cpu cpu) {
            this.walk = new PageWalk(cpu, ram);
        }

        @Override
        public long read(long linear, int size) {
            byte[] data = new byte[size];
            int inFirst = inPage(linear, size);
            readPart(linear, data, 0, inFirst);
            if (inFirst < size) {
                readPart(nextPage(linear), data, inFirst, size - inFirst);
            }
            return new Access(false, 0, true, data).value();
        }

        @Override
        public void write(long linear, int size, long value) {
            byte[] data = new byte[size];
            for (int i = 0; i < size; i++) {
                data[i] = (byte) (value >>> (8 * i));
            }
            int inFirst = inPage(linear, size);
            if (inFirst == size) {
                writePart(walk.translate(linear, true), data);
                return;
            }
            // Both pages first: an instruction that faults has written nothing.
            long first = walk.translate(linear, true);
            long second = walk.translate(nextPage(linear), true);
            writePart(first, Arrays.copyOf(data, inFirst));
            writePart(second, Arrays.copyOfRange(data, inFirst, size));
        }

        @Override
        public long readPort(int port, int size) {
            return ask(true, port, true, new byte[size]).value();
        }

        @Override
        public void writePort(int port, int size, long value) {
            byte[] data = new byte[size];
            for (int i = 0; i < size; i++) {
                data[i] = (byte) (value >>> (8 * i));
            }
            ask(true, port, false, data);
        }

        private int inPage(long linear, int size) {
            return (int) Math.min(size, PageWalk.PAGE - (linear & PageWalk.PAGE - 1));
        }

        private long nextPage(long linear) {
            long following = (linear & -PageWalk.PAGE) + PageWalk.PAGE;
            return before.codeBits() == 64 ? following : following & 0xffffffffL;
        }

        private void readPart(long linear, byte[] data, int offset, int size) {
            long gpa = walk.translate(linear, false);
            byte[] part = new byte[size];
            Access answer;
            if (next < answered.size() && answered.get(next).isSamePlace(false, gpa, true, size)) {
                answer = answered.get(next++);
            } else if (ram.read(gpa, part, 0, size)) {
                forgetRest();
                answer = new Access(false, gpa, true, part);
                answered.add(answer);
                next++;
            } else {
                answer = ask(false, gpa, true, part);
            }
            System.arraycopy(answer.data(), 0, data, offset, size);
        }

        private void writePart(long gpa, byte[] data) {
            if (ram.isWritable(gpa)) {
                stores.add(new Store(gpa, data));
            } else {
                ask(false, gpa, false, data);
            }
        }

        private Access ask(boolean port, long address, boolean input, byte[] data) {
            if (next < answered.size() && answered.get(next).isSamePlace(port, address, input, data.length)) {
                return answered.get(next++);
            }
            forgetRest();
            pending = new Access(port, address, input, data);
            throw new Unanswered();
        }

        /** The instruction takes another way than before, because what it read a moment ago is elsewhere now. */
        private void forgetRest() {
            while (answered.size() > next) {
                answered.remove(answered.size() - 1);
            }
        }
    }
}

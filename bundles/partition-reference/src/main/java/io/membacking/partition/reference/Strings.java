package io.membacking.partition.reference;

/**
 * String instructions. With a repeat prefix a step is one iteration, and the instruction is begun again for the next, so that
 * interrupts, exits and traces come between iterations.
 */
final class Strings {
    private Strings() {}

    /** One iteration; it moves the pointers itself, after its last access. */
    private interface Iteration {
        void run(Core core, Instruction in);
    }

    static final Operation MOVE = repeated(Strings::move, false);
    static final Operation STORE = repeated(Strings::store, false);
    static final Operation LOAD = repeated(Strings::load, false);
    static final Operation COMPARE = repeated(Strings::compare, true);
    static final Operation SCAN = repeated(Strings::scan, true);
    static final Operation INPUT = repeated(Strings::input, false);
    static final Operation OUTPUT = repeated(Strings::output, false);

    private static Operation repeated(Iteration iteration, boolean compares) {
        return (core, in) -> {
            if (in.repeat == 0) {
                iteration.run(core, in);
                return;
            }
            Registers r = core.r;
            int size = in.addressSize;
            long count = r.get(Registers.RCX, size);
            if (count == 0) {
                return;
            }
            iteration.run(core, in);
            r.set(Registers.RCX, size, count - 1);
            boolean ends = count == 1 || (compares && r.has(Flags.ZF) != (in.repeat == Instruction.REPE));
            if (!ends) {
                core.nextRip = r.rip;
            }
        };
    }

    private static long source(Core core, Instruction in) {
        return core.linear(in.segment, core.r.get(Registers.RSI, in.addressSize), in.size, false);
    }

    private static long destination(Core core, Instruction in, boolean write) {
        return core.linear(Registers.ES, core.r.get(Registers.RDI, in.addressSize), in.size, write);
    }

    private static void advance(Core core, Instruction in, int register) {
        long step = core.r.has(Flags.DF) ? -in.size : in.size;
        core.r.set(register, in.addressSize, core.r.get(register, in.addressSize) + step);
    }

    private static void move(Core core, Instruction in) {
        long value = core.mmu.read(source(core, in), in.size);
        core.mmu.write(destination(core, in, true), in.size, value);
        advance(core, in, Registers.RSI);
        advance(core, in, Registers.RDI);
    }

    private static void store(Core core, Instruction in) {
        core.mmu.write(destination(core, in, true), in.size, core.r.get(Registers.RAX, in.size));
        advance(core, in, Registers.RDI);
    }

    private static void load(Core core, Instruction in) {
        core.r.set(Registers.RAX, in.size, core.mmu.read(source(core, in), in.size));
        advance(core, in, Registers.RSI);
    }

    private static void compare(Core core, Instruction in) {
        long first = core.mmu.read(source(core, in), in.size);
        long second = core.mmu.read(destination(core, in, false), in.size);
        Arithmetic.subtract(core, first, second, in.size);
        advance(core, in, Registers.RSI);
        advance(core, in, Registers.RDI);
    }

    private static void scan(Core core, Instruction in) {
        long value = core.mmu.read(destination(core, in, false), in.size);
        Arithmetic.subtract(core, core.r.get(Registers.RAX, in.size), value, in.size);
        advance(core, in, Registers.RDI);
    }

    private static void input(Core core, Instruction in) {
        int port = (int) core.r.get(Registers.RDX, 2);
        core.checkPort(port, in.size);
        // What comes from the port must not be lost for want of a place.
        long place = destination(core, in, true);
        core.mmu.checkWrite(place, in.size);
        core.mmu.write(place, in.size, core.readPort(port, in.size));
        advance(core, in, Registers.RDI);
    }

    private static void output(Core core, Instruction in) {
        int port = (int) core.r.get(Registers.RDX, 2);
        core.checkPort(port, in.size);
        core.writePort(port, in.size, core.mmu.read(source(core, in), in.size));
        advance(core, in, Registers.RSI);
    }
}

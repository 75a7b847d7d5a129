package io.membacking.partition.reference;

/** IN and OUT. */
final class Ports {
    private Ports() {}

    static void inImmediate(Core core, Instruction in) {
        input(core, in, (int) in.immediate & 0xff);
    }

    static void inDx(Core core, Instruction in) {
        input(core, in, (int) core.r.get(Registers.RDX, 2));
    }

    static void outImmediate(Core core, Instruction in) {
        output(core, in, (int) in.immediate & 0xff);
    }

    static void outDx(Core core, Instruction in) {
        output(core, in, (int) core.r.get(Registers.RDX, 2));
    }

    private static void input(Core core, Instruction in, int port) {
        core.r.set(Registers.RAX, in.size, core.readPort(port, in.size));
    }

    private static void output(Core core, Instruction in, int port) {
        core.writePort(port, in.size, core.r.get(Registers.RAX, in.size));
    }
}

package io.membacking.partition.reference;

/**
 * x87 and vector instructions, of which none is carried out. Those that the guest itself has turned off raise its exception, by
 * which operating systems switch such state lazily.
 */
final class Coprocessors {
    private Coprocessors() {}

    static void x87(Core core, Instruction in) {
        if ((core.r.cr0 & (Registers.CR0_EM | Registers.CR0_TS)) != 0) {
            throw new GuestFault(GuestFault.NO_COPROCESSOR, GuestFault.NO_CODE);
        }
        throw core.unsupported("x87 instructions are beyond the subset of the reference processor");
    }

    static void await(Core core, Instruction in) {
        long both = Registers.CR0_MP | Registers.CR0_TS;
        if ((core.r.cr0 & both) == both) {
            throw new GuestFault(GuestFault.NO_COPROCESSOR, GuestFault.NO_CODE);
        }
        throw core.unsupported("x87 instructions are beyond the subset of the reference processor");
    }

    static void vector(Core core, Instruction in) {
        if ((core.r.cr0 & Registers.CR0_EM) != 0) {
            throw core.undefined();
        }
        if ((core.r.cr0 & Registers.CR0_TS) != 0) {
            throw new GuestFault(GuestFault.NO_COPROCESSOR, GuestFault.NO_CODE);
        }
        throw core.unsupported("vector instructions are beyond the subset of the reference processor");
    }

    /** XABORT and XBEGIN are the one form of their opcode's group. */
    static void transaction(Core core, Instruction in) {
        if (in.memory || (in.rm & 7) != 0) {
            throw core.undefined();
        }
        throw core.unsupported("transactions are beyond the subset of the reference processor");
    }
}

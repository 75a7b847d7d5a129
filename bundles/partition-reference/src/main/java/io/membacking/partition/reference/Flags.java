package io.membacking.partition.reference;

/** The bits of RFLAGS. */
final class Flags {
    static final int CF = 1;
    static final int FIXED = 2;
    static final int PF = 4;
    static final int AF = 0x10;
    static final int ZF = 0x40;
    static final int SF = 0x80;
    static final int TF = 0x100;
    static final int IF = 0x200;
    static final int DF = 0x400;
    static final int OF = 0x800;
    static final int IOPL = 0x3000;
    static final int NT = 0x4000;
    static final int RF = 0x10000;
    static final int VM = 0x20000;
    static final int AC = 0x40000;
    static final int VIF = 0x80000;
    static final int VIP = 0x100000;
    static final int ID = 0x200000;

    /** What arithmetic sets. */
    static final int STATUS = CF | PF | AF | ZF | SF | OF;

    /** Every bit that can be set. */
    static final int ALL = STATUS | FIXED | TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;

    private Flags() {}
}

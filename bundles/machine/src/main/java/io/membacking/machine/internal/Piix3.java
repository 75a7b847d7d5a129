package io.membacking.machine.internal;

/** The ISA bridge of PIIX3, PCI 00:01.0: its identity, and interrupt routing registers that keep what firmware writes. */
final class Piix3 extends PciFunction {
    private static final int PIRQ_ROUTES = 0x60;

    Piix3() {
        super(0x8086, 0x7000, 0x060100);
        preset(COMMAND, 2, 0x0007);
        preset(STATUS, 2, 0x0200);
        preset(HEADER_TYPE, 1, 0x80);
        preset(PIRQ_ROUTES, 4, 0x80808080);
        allow(PIRQ_ROUTES, 4, 0x8f8f8f8f);
    }
}

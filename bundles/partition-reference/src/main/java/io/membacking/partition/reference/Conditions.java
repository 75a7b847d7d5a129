package io.membacking.partition.reference;

/** The sixteen conditions, by the lowest four bits of the opcodes that have them. */
final class Conditions {
    static final String[] NAMES = {
        "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"
    };

    private Conditions() {}

    static boolean holds(int flags, int condition) {
        boolean positive =
                switch (condition >> 1) {
                    case 0 -> (flags & Flags.OF) != 0;
                    case 1 -> (flags & Flags.CF) != 0;
                    case 2 -> (flags & Flags.ZF) != 0;
                    case 3 -> (flags & (Flags.CF | Flags.ZF)) != 0;
                    case 4 -> (flags & Flags.SF) != 0;
                    case 5 -> (flags & Flags.PF) != 0;
                    case 6 -> isLess(flags);
                    default -> isLess(flags) || (flags & Flags.ZF) != 0;
                };
        return positive == ((condition & 1) == 0);
    }

    private static boolean isLess(int flags) {
        return (flags & Flags.SF) != 0 != ((flags & Flags.OF) != 0);
    }
}

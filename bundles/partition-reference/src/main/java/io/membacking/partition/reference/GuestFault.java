package io.membacking.partition.reference;

/** An exception of the guest's, to be delivered to it. */
final class GuestFault extends RuntimeException {
    private static final long serialVersionUID = 1L;

    static final int DIVIDE_ERROR = 0;
    static final int DEBUG = 1;
    static final int NMI = 2;
    static final int BREAKPOINT = 3;
    static final int OVERFLOW = 4;
    static final int BOUND = 5;
    static final int INVALID_OPCODE = 6;
    static final int NO_COPROCESSOR = 7;
    static final int DOUBLE_FAULT = 8;
    static final int INVALID_TSS = 10;
    static final int NOT_PRESENT = 11;
    static final int STACK = 12;
    static final int PROTECTION = 13;
    static final int PAGE_FAULT = 14;

    static final int NO_CODE = -1;

    private final int vector;
    private final int errorCode;

    /** @param errorCode {@link #NO_CODE} if it has none */
    GuestFault(int vector, int errorCode) {
        super("exception " + vector, null, false, false);
        this.vector = vector;
        this.errorCode = errorCode;
    }

    int vector() {
        return vector;
    }

    int errorCode() {
        return errorCode;
    }
}

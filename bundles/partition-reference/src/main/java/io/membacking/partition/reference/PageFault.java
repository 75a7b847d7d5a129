package io.membacking.partition.reference;

/** The guest's page tables do not permit an access. */
final class PageFault extends RuntimeException {
    private static final long serialVersionUID = 1L;

    static final int PRESENT = 1;
    static final int WRITE = 2;
    static final int USER = 4;
    static final int RESERVED = 8;
    static final int FETCH = 16;

    private final long linear;
    private final int errorCode;

    PageFault(long linear, int errorCode) {
        super("page fault at 0x" + Long.toHexString(linear), null, false, false);
        this.linear = linear;
        this.errorCode = errorCode;
    }

    long linear() {
        return linear;
    }

    int errorCode() {
        return errorCode;
    }
}

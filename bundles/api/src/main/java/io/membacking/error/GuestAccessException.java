package io.membacking.error;

/** An access to guest memory that is not mapped, or a write to what is read-only. Nothing at or after {@link #firstBad()} was touched. */
public final class GuestAccessException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String operation;
    private final long gpa;
    private final long length;
    private final long firstBad;

    /**
     * @param operation {@code "read"}, {@code "write"}, {@code "fill"}, {@code "compare-and-set"}, {@code "copy"}
     * @param gpa where the access began
     * @param length its length in bytes
     * @param firstBad the first address that could not be accessed
     * @param problem {@code "is not mapped"} or {@code "is read-only"}
     */
    public GuestAccessException(String operation, long gpa, long length, long firstBad, String problem) {
        super(operation + " of 0x" + Long.toHexString(length) + " bytes at guest address 0x" + Long.toHexString(gpa)
                + ": 0x" + Long.toHexString(firstBad) + " " + problem);
        this.operation = operation;
        this.gpa = gpa;
        this.length = length;
        this.firstBad = firstBad;
    }

    public String operation() {
        return operation;
    }

    public long gpa() {
        return gpa;
    }

    public long length() {
        return length;
    }

    public long firstBad() {
        return firstBad;
    }
}

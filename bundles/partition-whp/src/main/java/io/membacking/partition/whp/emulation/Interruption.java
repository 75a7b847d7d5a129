package io.membacking.partition.whp.emulation;

/** Why the emulation of an instruction does not go on for now. Without a stack trace: it is no error. */
abstract sealed class Interruption extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private Interruption(String message) {
        super(message, null, false, false);
    }

    /** A device is to answer the last access first. */
    static final class Unanswered extends Interruption {
        private static final long serialVersionUID = 1L;

        Unanswered() {
            super("a device is to answer");
        }
    }

    /** The instruction faults. */
    static final class Fault extends Interruption {
        private static final long serialVersionUID = 1L;
        final int vector;
        final int errorCode;
        final boolean hasErrorCode;
        final long address;

        private Fault(int vector, boolean hasErrorCode, int errorCode, long address) {
            super("fault " + vector);
            this.vector = vector;
            this.hasErrorCode = hasErrorCode;
            this.errorCode = errorCode;
            this.address = address;
        }

        static Fault divideError() {
            return new Fault(0, false, 0, 0);
        }

        static Fault page(int errorCode, long address) {
            return new Fault(14, true, errorCode, address);
        }
    }

    /** It cannot be carried out here. */
    static final class NotCovered extends Interruption {
        private static final long serialVersionUID = 1L;

        NotCovered(String message) {
            super(message);
        }
    }
}

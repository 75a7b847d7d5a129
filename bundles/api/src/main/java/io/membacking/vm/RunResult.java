package io.membacking.vm;

/**
 * How a run ended.
 *
 * @param code what the handler or the caller of stop gave; 0 otherwise
 * @param reason one line for people
 * @param processor the processor whose exit ended it, or -1
 */
public record RunResult(Kind kind, int code, String reason, int processor) {
    public enum Kind {
        /** The handler or the caller ended it. */
        STOPPED,
        /** Every processor halted with nothing to wake it. */
        HALTED,
        /** A processor shut down: triple fault. */
        SHUTDOWN,
        /** Memory that the partition maps could not be had from the host. */
        MEMORY_FAULT,
        /** The hypervisor could not carry out an instruction. */
        EMULATION_FAILED,
        /** The backend's bundle went and the processors' state could not be had in time; memory and contents stay. */
        BACKEND_DEPARTED,
        /** The partition lost its memory in a commit that could not be undone. */
        DETACHED,
        /** The hypervisor or the exit handler threw. */
        FAILED,
        /** The virtual machine was closed. */
        CLOSED
    }
}

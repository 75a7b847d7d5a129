package io.membacking.partition.reference;

import java.util.HexFormat;

/**
 * What one processor has done in the instruction under way, as lines for the trace. They are written when it is done, so that one
 * that is begun again after an exit shows once.
 */
final class TraceLines {
    private final TraceFile file;
    private final int processor;
    private final StringBuilder lines = new StringBuilder();

    TraceLines(TraceFile file, int processor) {
        this.file = file;
        this.processor = processor;
    }

    TraceFile file() {
        return file;
    }

    void instruction(long rip, Instruction in) {
        lines.append(processor)
                .append(" i 0x")
                .append(Long.toHexString(rip))
                .append(" [")
                .append(HexFormat.ofDelimiter(" ").formatHex(in.bytes()))
                .append("] ")
                .append(in.opcode.name())
                .append('\n');
    }

    /** @param kind {@code r} or {@code w} for memory */
    void access(char kind, long linear, long gpa, int size, long value) {
        lines.append(processor)
                .append(' ')
                .append(kind)
                .append(" 0x")
                .append(Long.toHexString(linear))
                .append(" gpa 0x")
                .append(Long.toHexString(gpa))
                .append(' ')
                .append(size)
                .append(" 0x")
                .append(Long.toHexString(value))
                .append('\n');
    }

    void port(boolean input, int port, int size, long value) {
        lines.append(processor)
                .append(input ? " in 0x" : " out 0x")
                .append(Integer.toHexString(port))
                .append(' ')
                .append(size)
                .append(" 0x")
                .append(Long.toHexString(value))
                .append('\n');
    }

    /** An exception or interrupt is delivered to the guest. */
    void event(int vector, int errorCode, long rip) {
        lines.append(processor)
                .append(" e ")
                .append(vector)
                .append(errorCode == GuestFault.NO_CODE ? "" : " code 0x" + Integer.toHexString(errorCode))
                .append(" at 0x")
                .append(Long.toHexString(rip))
                .append('\n');
    }

    void discard() {
        lines.setLength(0);
    }

    void done() {
        if (lines.length() > 0) {
            file.write(lines);
            lines.setLength(0);
        }
    }
}

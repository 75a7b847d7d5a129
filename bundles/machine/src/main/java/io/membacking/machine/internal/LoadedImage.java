package io.membacking.machine.internal;

import io.membacking.access.GuestMemory;
import io.membacking.partition.ProcessorState;
import java.util.List;
import java.util.Optional;

/**
 * An image ready to be put into RAM: the bytes for each place, and where the processors start. A value, made without a guest.
 *
 * @param pieces disjoint, all within RAM that the guest sees when it starts
 */
record LoadedImage(List<Piece> pieces, Start start) {
    LoadedImage {
        pieces = List.copyOf(pieces);
    }

    /** A firmware image is device memory: nothing is put into RAM, and processors start in their reset state. */
    static final LoadedImage RESET_VECTOR = new LoadedImage(List.of(), (reset, processor) -> Optional.empty());

    void writeTo(GuestMemory memory) {
        for (Piece piece : pieces) {
            memory.write(piece.gpa(), piece.bytes(), piece.offset(), piece.length());
            if (piece.size() > piece.length()) {
                memory.fill(piece.gpa() + piece.length(), piece.size() - piece.length(), (byte) 0);
            }
        }
    }

    /**
     * Bytes for one place. The array is not copied.
     *
     * @param length how many bytes of the array, from {@code offset} on
     * @param size bytes in the guest; what is above {@code length} is zeroed
     */
    record Piece(long gpa, byte[] bytes, int offset, int length, long size) {
        static Piece of(long gpa, byte[] bytes) {
            return new Piece(gpa, bytes, 0, bytes.length, bytes.length);
        }

        boolean overlaps(long start, long length) {
            return Long.compareUnsigned(gpa, start + length) < 0 && Long.compareUnsigned(start, gpa + size) < 0;
        }
    }

    /** How a processor starts. */
    @FunctionalInterface
    interface Start {
        /**
         * @param reset the processor's reset state; what the image does not decide stays as it is there
         * @return empty if it starts in just that
         */
        Optional<ProcessorState> state(ProcessorState reset, int processor);
    }
}

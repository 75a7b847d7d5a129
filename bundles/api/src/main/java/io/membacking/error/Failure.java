package io.membacking.error;

import io.membacking.range.MemoryRange;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What went wrong, as values: the part that every exception of the family shares.
 *
 * @param operation what was tried, as a verb phrase: {@code "map device memory 'vga'"}
 * @param rangeOrNull the range it was tried on, where there is one
 * @param problem what is wrong with it
 * @param remedy what the reader can do about it; empty where there is nothing to say
 * @param nativeErrorOrNull what the operating system answered, where it was asked
 */
public record Failure(
        String operation,
        @Nullable MemoryRange rangeOrNull,
        String problem,
        String remedy,
        @Nullable NativeError nativeErrorOrNull) {

    public static Failure of(String operation, @Nullable MemoryRange range, String problem, String remedy) {
        return new Failure(operation, range, problem, remedy, null);
    }

    public Optional<MemoryRange> range() {
        return Optional.ofNullable(rangeOrNull);
    }

    public Optional<NativeError> nativeError() {
        return Optional.ofNullable(nativeErrorOrNull);
    }

    /** One line: operation, range, problem, system error, remedy. */
    @Override
    public String toString() {
        StringBuilder line = new StringBuilder(operation);
        if (rangeOrNull != null) {
            line.append(" at ").append(rangeOrNull);
        }
        line.append(": ").append(problem);
        if (nativeErrorOrNull != null) {
            line.append(": ").append(nativeErrorOrNull);
        }
        if (!remedy.isEmpty()) {
            line.append("; ").append(remedy);
        }
        return line.toString();
    }
}

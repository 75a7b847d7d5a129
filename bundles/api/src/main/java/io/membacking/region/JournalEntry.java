package io.membacking.region;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A commit as it went. A value, of text and numbers alone: it outlives whatever took part.
 *
 * @param sequence counts up from 1 for each guest; 0 for a change that changed nothing, which the journal does not keep
 * @param reason what the caller said the change was for
 * @param thread the name of the committing thread
 * @param operations what was asked; applying the operations of all successful entries in order to a new guest with the same
 *     backings gives the same regions
 * @param plan what was done or, on failure, was to be done
 * @param outcome how it ended
 * @param failureOrNull the cause as text, on failure
 * @param errorCode the system's code of the cause; 0 where there is none
 * @param warnings prefetches that failed, consumers that were detached
 */
public record JournalEntry(
        long sequence,
        Instant time,
        Duration took,
        String reason,
        String thread,
        List<RegionOperation> operations,
        Plan plan,
        Outcome outcome,
        @Nullable String failureOrNull,
        int errorCode,
        List<String> warnings) {
    public JournalEntry {
        operations = List.copyOf(operations);
        warnings = List.copyOf(warnings);
    }

    public Optional<String> failure() {
        return Optional.ofNullable(failureOrNull);
    }

    public enum Outcome {
        COMMITTED,
        /** Nothing outside changed: everything is as before. */
        UNDONE,
        /** Undone, but a consumer could not be put back: it alone is detached, see the warnings. */
        UNDONE_WITH_LOSS
    }
}

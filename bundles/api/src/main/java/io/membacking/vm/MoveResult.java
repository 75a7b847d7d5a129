package io.membacking.vm;

import java.time.Duration;

/**
 * How a move ended.
 *
 * @param from the backend it was on, with its bundle; empty if it was parked
 * @param to the backend it is on now, with its bundle; empty if it is parked
 * @param reason why it moved or, unless it did, why not
 * @param standStill how long its processors stood still; zero if they were not held
 * @param times the parts of the move
 */
public record MoveResult(Kind kind, String from, String to, String reason, Duration standStill, Times times) {
    public enum Kind {
        /** It goes on in the other backend. */
        MOVED,
        /** It goes on where it was. */
        STAYED,
        /** Its state and memory are kept; it goes on when a backend comes that will have it. */
        PARKED
    }

    /**
     * Nanoseconds.
     *
     * @param prepare making and filling the other partition, and rehearsing on one that is thrown away, while the guest runs on
     * @param hold until every processor is out of the guest, its last exit handled and complete
     * @param save taking the state
     * @param restore setting it in the other
     * @param verify the drift check, while the guest runs again
     * @param close closing the old partition, likewise
     */
    public record Times(long prepare, long hold, long save, long restore, long verify, long close) {
        public static final Times NONE = new Times(0, 0, 0, 0, 0, 0);
    }

    public boolean moved() {
        return kind == Kind.MOVED;
    }
}

package io.membacking.vm.internal;

import org.jspecify.annotations.Nullable;

/**
 * Tells Flight Recorder, where there is one that this bundle can reach: a framework may not delegate {@code jdk.jfr} to the JDK, and
 * what its instrumentation adds to an event's class then fails to link. The first such failure turns it off.
 */
final class FlightRecorder {
    private static volatile boolean off;

    private FlightRecorder() {}

    /** What is to be given to {@link #end}. */
    static @Nullable Object begin() {
        if (off) {
            return null;
        }
        try {
            MovePart event = new MovePart();
            event.begin();
            return event;
        } catch (LinkageError e) {
            off = true;
            return null;
        }
    }

    static void end(@Nullable Object begun, String machine, String part) {
        if (begun == null || off) {
            return;
        }
        try {
            MovePart event = (MovePart) begun;
            event.end();
            event.machine = machine;
            event.part = part;
        } catch (LinkageError e) {
            off = true;
        }
    }

    /** Tells of what has ended. */
    static void tell(Object ended) {
        if (off) {
            return;
        }
        try {
            ((MovePart) ended).commit();
        } catch (LinkageError e) {
            off = true;
        }
    }
}

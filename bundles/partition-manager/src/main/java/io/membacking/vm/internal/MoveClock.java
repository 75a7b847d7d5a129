package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.vm.MoveResult.Times;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Measures the parts of one move, for its result and as Flight Recorder events. For one thread at a time. */
final class MoveClock {
    private final String machine;
    private long prepare;
    private long hold;
    private long save;
    private long restore;
    private long verify;
    private long close;
    private long heldSince;
    private @Nullable Object holding;
    private boolean gathered;
    private long standStill;
    /** Parts that Flight Recorder has not been told of. */
    private final List<Object> ended = new ArrayList<>();

    MoveClock(String machine) {
        this.machine = machine;
    }

    /** A part that gives something. */
    interface Part<T, E extends Exception> {
        T run() throws E;
    }

    /** A part that does something. */
    interface Action {
        void run() throws BackendException;
    }

    <T, E extends Exception> T preparing(Part<T, E> part) throws E {
        long start = System.nanoTime();
        Object event = FlightRecorder.begin();
        try {
            return part.run();
        } finally {
            prepare += System.nanoTime() - start;
            end(event, "prepare");
        }
    }

    /** Processors are being held. */
    void hold() {
        heldSince = System.nanoTime();
        holding = FlightRecorder.begin();
        gathered = false;
    }

    /** All of them are, or that was given up; told again it does nothing. */
    void gathered() {
        if (!gathered) {
            gathered = true;
            hold += System.nanoTime() - heldSince;
            end(holding, "hold");
        }
    }

    <T> T saving(Part<T, BackendException> part) throws BackendException {
        long start = System.nanoTime();
        Object event = FlightRecorder.begin();
        try {
            return part.run();
        } finally {
            save += System.nanoTime() - start;
            end(event, "save");
        }
    }

    void restoring(Action part) throws BackendException {
        long start = System.nanoTime();
        Object event = FlightRecorder.begin();
        try {
            part.run();
        } finally {
            restore += System.nanoTime() - start;
            end(event, "restore");
        }
    }

    /** The processors may enter again. */
    void released() {
        standStill += System.nanoTime() - heldSince;
    }

    void verifying(Action part) throws BackendException {
        long start = System.nanoTime();
        Object event = FlightRecorder.begin();
        try {
            part.run();
        } finally {
            verify += System.nanoTime() - start;
            end(event, "verify");
        }
    }

    void closing(Engagement old) {
        long start = System.nanoTime();
        Object event = FlightRecorder.begin();
        old.close();
        close += System.nanoTime() - start;
        end(event, "close");
    }

    Duration standStill() {
        return Duration.ofNanos(standStill);
    }

    private void end(@Nullable Object event, String part) {
        if (event != null) {
            FlightRecorder.end(event, machine, part);
            ended.add(event);
        }
    }

    /** Tells Flight Recorder of the parts: nothing that processors should wait for. @return their times */
    Times finish() {
        ended.forEach(FlightRecorder::tell);
        ended.clear();
        return new Times(prepare, hold, save, restore, verify, close);
    }
}

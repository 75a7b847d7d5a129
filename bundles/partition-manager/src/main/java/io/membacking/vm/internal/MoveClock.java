package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.vm.MoveResult.Times;
import java.time.Duration;
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
            FlightRecorder.end(event, machine, "prepare");
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
            FlightRecorder.end(holding, machine, "hold");
        }
    }

    <T> T saving(Part<T, BackendException> part) throws BackendException {
        long start = System.nanoTime();
        Object event = FlightRecorder.begin();
        try {
            return part.run();
        } finally {
            save += System.nanoTime() - start;
            FlightRecorder.end(event, machine, "save");
        }
    }

    void restoring(Action part) throws BackendException {
        long start = System.nanoTime();
        Object event = FlightRecorder.begin();
        try {
            part.run();
        } finally {
            restore += System.nanoTime() - start;
            FlightRecorder.end(event, machine, "restore");
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
            FlightRecorder.end(event, machine, "verify");
        }
    }

    void closing(Engagement old) {
        long start = System.nanoTime();
        Object event = FlightRecorder.begin();
        old.close();
        close += System.nanoTime() - start;
        FlightRecorder.end(event, machine, "close");
    }

    Duration standStill() {
        return Duration.ofNanos(standStill);
    }

    Times times() {
        return new Times(prepare, hold, save, restore, verify, close);
    }
}

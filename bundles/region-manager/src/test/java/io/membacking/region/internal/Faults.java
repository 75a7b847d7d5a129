package io.membacking.region.internal;

import io.membacking.error.Failure;
import io.membacking.error.NativeError;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Counts the calls that reach the doubles of one world, and makes chosen ones fail. */
final class Faults {
    /** How a call fails. */
    enum Kind {
        CHECKED,
        RUNTIME,
        LINKAGE
    }

    private final List<String> calls = new ArrayList<>();
    private final List<String> violations = new ArrayList<>();
    private int failAt = Integer.MAX_VALUE;
    private Predicate<String> failing = call -> false;
    private Kind kind = Kind.CHECKED;
    private Runnable observer = () -> {};
    private Runnable interloper = () -> {};

    /** The call with this number, from 0, counted from now, fails, once. */
    void failAt(int number, Kind how) {
        calls.clear();
        failAt = number;
        kind = how;
    }

    /** Every call fails whose name the predicate accepts. */
    void failAll(Predicate<String> which) {
        failing = which;
    }

    /** The call with this number fails, and after it every one whose name the predicate accepts. */
    void failFrom(int number, Predicate<String> which) {
        calls.clear();
        kind = Kind.CHECKED;
        failing = call -> calls.size() > number && which.test(call);
        failAt = number;
    }

    void none() {
        failAt = Integer.MAX_VALUE;
        kind = Kind.CHECKED;
        failing = call -> false;
        calls.clear();
    }

    /** What broke a contract: kept, because the caller takes what a double throws for a failure. */
    AssertionError violated(String text) {
        violations.add(text);
        return new AssertionError(text);
    }

    List<String> violations() {
        return List.copyOf(violations);
    }

    /** A call that cannot fail. */
    void called(String call) {
        interloper.run();
        calls.add(call);
    }

    List<String> calls() {
        return List.copyOf(calls);
    }

    /** Runs after each call that changed something. */
    void observe(Runnable newObserver) {
        observer = newObserver;
    }

    /** Runs within each call. */
    void interlope(Runnable newInterloper) {
        interloper = newInterloper;
    }

    void changed() {
        observer.run();
    }

    /** Whether the call, which begins now, is to throw its checked exception; the others it throws itself. */
    boolean fails(String call) {
        interloper.run();
        int number = calls.size();
        calls.add(call);
        if (number != failAt && !failing.test(call)) {
            return false;
        }
        switch (kind) {
            case RUNTIME -> throw new IllegalStateException("injected into " + call);
            case LINKAGE -> throw new NoClassDefFoundError("injected into " + call);
            case CHECKED -> {}
        }
        return true;
    }

    static Failure failure(String call) {
        return new Failure(call, null, "injected", "", new NativeError(5, "EIO"));
    }
}

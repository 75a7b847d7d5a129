package io.membacking.machine.internal;

import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** An alarm on a thread of its machine's own, so that no other machine holds it up; it begins with the first use. Thread-safe. */
final class TimerAlarm implements Pit.Alarm, AutoCloseable {
    private final ScheduledThreadPoolExecutor executor;
    private @Nullable Future<?> pending;

    /** @param name of the machine */
    TimerAlarm(String name) {
        executor = new ScheduledThreadPoolExecutor(1, task -> {
            Thread thread = new Thread(task, "membacking-timer-" + name);
            thread.setDaemon(true);
            // Not this bundle's loader, which a thread that is slow to end would keep.
            thread.setContextClassLoader(null);
            return thread;
        });
        executor.setRemoveOnCancelPolicy(true);
        executor.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
    }

    @Override
    public synchronized void set(long nanos, Runnable ring) {
        cancel();
        try {
            pending = executor.schedule(ring, nanos, TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException e) {
            // The machine is being closed.
        }
    }

    @Override
    public synchronized void cancel() {
        Future<?> previous = pending;
        pending = null;
        if (previous != null) {
            previous.cancel(false);
        }
    }

    /** Waits for an interrupt that is being given. */
    @Override
    public void close() {
        executor.shutdown();
        try {
            var unused = executor.awaitTermination(1, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}

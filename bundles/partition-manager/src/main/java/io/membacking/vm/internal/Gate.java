package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Processor;
import io.membacking.region.ProcessorGate;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * The way into the guest for the processors of one engagement. A processor's thread passes it on each entry; a commit closes it.
 * Closing cancels those inside and waits for them alone, never for exit handlers.
 */
final class Gate implements ProcessorGate {
    private final String machine;
    private final Consumer<String> onDetached;
    private final BitSet inside = new BitSet();
    private List<Processor> processors = List.of();
    private boolean held;

    /** @param onDetached told once the partition has lost its memory; called under the region manager's lock, so it must only note it */
    Gate(String machine, Consumer<String> onDetached) {
        this.machine = machine;
        this.onDetached = onDetached;
    }

    synchronized void processors(List<Processor> all) {
        processors = List.copyOf(all);
    }

    /**
     * Waits until the gate is open, then marks the processor as inside.
     *
     * @return false, without having entered, once the run has ended
     */
    synchronized boolean enter(int processor, BooleanSupplier ended) throws InterruptedException {
        while (held && !ended.getAsBoolean()) {
            wait();
        }
        if (ended.getAsBoolean()) {
            return false;
        }
        inside.set(processor);
        return true;
    }

    synchronized void leave(int processor) {
        inside.clear(processor);
        notifyAll();
    }

    /** Makes waiting threads look again at whether their run has ended. */
    synchronized void wake() {
        notifyAll();
    }

    @Override
    public synchronized void hold(Duration deadline) throws BackendException {
        held = true;
        // A processor that is inside, or about to enter, returns: cancelling counts for the run under way or else the
        // next.
        inside.stream().forEach(i -> processors.get(i).cancel());
        long end = System.nanoTime() + deadline.toNanos();
        try {
            while (!inside.isEmpty()) {
                long left = end - System.nanoTime();
                if (left <= 0) {
                    throw notHeld("processor " + inside + " did not leave the guest within " + deadline);
                }
                // Rounded up: a wait of 0 would be one without end.
                wait((left + 999_999) / 1_000_000);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw notHeld("interrupted while waiting for processors to leave the guest");
        }
    }

    private BackendException notHeld(String problem) {
        release();
        return new BackendException(Failure.of(
                "hold the processors of '" + machine + "'", null, problem, "repeat the change with a longer deadline"));
    }

    @Override
    public synchronized void release() {
        held = false;
        notifyAll();
    }

    @Override
    public void detached(String reason) {
        synchronized (this) {
            held = true;
        }
        onDetached.accept(reason);
    }
}

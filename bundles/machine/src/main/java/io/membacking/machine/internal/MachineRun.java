package io.membacking.machine.internal;

import io.membacking.vm.Run;
import io.membacking.vm.RunResult;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A run whose result is not out before the last output is. */
final class MachineRun implements Run {
    private final Run run;
    private final CompletableFuture<RunResult> done;

    MachineRun(Run run, Runnable atEnd) {
        this.run = run;
        this.done = run.completion()
                .thenApply(result -> {
                    atEnd.run();
                    return result;
                })
                .toCompletableFuture();
    }

    @Override
    public Optional<RunResult> result() {
        return Optional.ofNullable(done.getNow(null));
    }

    @Override
    public Optional<RunResult> await(Duration deadline) throws InterruptedException {
        try {
            return Optional.of(done.get(deadline.toNanos(), TimeUnit.NANOSECONDS));
        } catch (TimeoutException e) {
            return Optional.empty();
        } catch (ExecutionException e) {
            throw new IllegalStateException("the run has no result", e.getCause());
        }
    }

    @Override
    public CompletionStage<RunResult> completion() {
        return done.copy();
    }

    @Override
    public void stop(int code, String reason) {
        run.stop(code, reason);
    }
}

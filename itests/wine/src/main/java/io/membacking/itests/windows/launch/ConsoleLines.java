package io.membacking.itests.windows.launch;

import java.io.PrintStream;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;

/** One line for each test as it ends: {@code ok}, {@code SKIPPED} or {@code FAILED}, the last two with why. Thread-safe. */
final class ConsoleLines implements TestExecutionListener {
    private final PrintStream out;
    private final AtomicInteger ended = new AtomicInteger();
    private final AtomicInteger failed = new AtomicInteger();
    private volatile long begun;

    ConsoleLines(PrintStream out) {
        this.out = out;
    }

    int exitStatus() {
        return failed.get() > 0 ? 1 : ended.get() == 0 ? 2 : 0;
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        begun = System.nanoTime();
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        ended.incrementAndGet();
        out.println("SKIPPED " + name(test) + ": " + reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        String why = result.getThrowable().map(Throwable::toString).orElse("");
        switch (result.getStatus()) {
            case SUCCESSFUL -> {
                if (test.isTest()) {
                    ended.incrementAndGet();
                    out.println("ok " + name(test) + " (" + (System.nanoTime() - begun) / 1_000_000 + " ms)");
                }
            }
            case ABORTED -> {
                ended.incrementAndGet();
                out.println("SKIPPED " + name(test) + ": " + why);
            }
            case FAILED -> {
                failed.incrementAndGet();
                out.println("FAILED " + name(test) + ": " + why);
                result.getThrowable().ifPresent(thrown -> thrown.printStackTrace(out));
            }
        }
    }

    private static String name(TestIdentifier test) {
        return test.getSource()
                .map(source -> source instanceof MethodSource method
                        ? simple(method.getClassName()) + "." + method.getMethodName()
                        : source instanceof ClassSource type ? simple(type.getClassName()) : test.getDisplayName())
                .orElse(test.getDisplayName());
    }

    private static String simple(String className) {
        return className.substring(className.lastIndexOf('.') + 1);
    }
}

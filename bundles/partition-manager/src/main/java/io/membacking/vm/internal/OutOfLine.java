package io.membacking.vm.internal;

import io.membacking.partition.Exit;
import io.membacking.partition.Processor;
import io.membacking.vm.ExitHandler;
import io.membacking.vm.Outcome;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Optional;
import java.util.concurrent.FutureTask;

/**
 * Calls a backend, an exit handler and a move in such a way that their code is never compiled into the caller's.
 *
 * <p>A processor's thread stays in one loop for as long as its guest runs. Were the loop compiled together with the code of a backend,
 * and HotSpot does that once it is hot, its frame would keep the classes of that backend alive after the guest has moved to another
 * and the bundle is gone; a handler leads there too, when it raises an interrupt line. A method handle that is no constant to the
 * compiler is called, not inlined. It costs some ten nanoseconds.
 *
 * <p>For the same reason that loop casts no object of a backend, nor takes one out of a collection, which is a cast too: since Java 22
 * C2 compares the object's class with those that the cast has met, and its code holds them.
 */
final class OutOfLine {
    // Not final: a compiler may take a final field for a constant.
    private MethodHandle run;
    private MethodHandle completeExit;
    private MethodHandle handle;
    private MethodHandle move;

    OutOfLine() {
        MethodHandles.Lookup lookup = MethodHandles.lookup();
        try {
            run = lookup.findVirtual(Processor.class, "run", MethodType.methodType(Exit.class));
            completeExit = lookup.findVirtual(Processor.class, "completeExit", MethodType.methodType(Optional.class));
            handle = lookup.findVirtual(
                    ExitHandler.class, "handle", MethodType.methodType(Outcome.class, int.class, Exit.class));
            move = lookup.findVirtual(FutureTask.class, "run", MethodType.methodType(void.class));
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("the API has changed", e);
        }
    }

    /** {@link Processor#run}. */
    Exit run(Processor processor) throws Throwable {
        return (Exit) run.invokeExact(processor);
    }

    /** {@link Processor#completeExit}. */
    @SuppressWarnings("unchecked") // that is its type
    Optional<Exit> completeExit(Processor processor) throws Throwable {
        return (Optional<Exit>) (Optional) completeExit.invokeExact(processor);
    }

    /** {@link FutureTask#run} of what is done with gathered processors. */
    void move(FutureTask<?> task) {
        try {
            move.invokeExact(task);
        } catch (Throwable e) {
            throw new IllegalStateException("a FutureTask throws nothing", e);
        }
    }

    /** {@link ExitHandler#handle}. */
    Outcome handle(ExitHandler handler, int index, Exit exit) throws Throwable {
        return (Outcome) handle.invokeExact(handler, index, exit);
    }
}

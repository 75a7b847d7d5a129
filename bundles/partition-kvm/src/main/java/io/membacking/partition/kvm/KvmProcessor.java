package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Exit;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A KVM processor.
 *
 * <p>Two locks in one: {@code lock} is held for moments only, and guards who has the processor ({@code busy}), whom to kick
 * ({@code runner}) and what is asked of it ({@code cancelled}, {@code closing}). Who is busy has all else to itself.
 *
 * <p>A cancel is never lost: asked for before KVM_RUN is entered, it is seen in the flag, or {@code immediate_exit} makes the kernel
 * return at once; asked for later, the signal does. It never counts twice: the flag is taken back when it is reported, and a signal
 * that comes late is an interruption for which there is no reason, after which the guest is entered again. The thread is known and
 * kicked only between the start and the end of its call of run, so that it cannot have ended.
 */
final class KvmProcessor implements Processor {
    /** Exits after another of one instruction: a string instruction of the longest has so many, one for each byte. */
    private static final int MOST_EXITS = 1 << 16;

    /** Milliseconds. The kick is reliable; should a foreign handler ever eat the signal, closing must not wait for ever. */
    private static final long KICK_AGAIN = 100;

    // Why nothing was prefetched.
    static final int INSIDE = 1;
    static final int CLOSED = 2;

    private static final Exit HALT = new Exit.Halt();
    private static final Exit CANCELLED = new Exit.Cancelled(true);
    private static final Exit CANCELLED_IN_THE_MIDDLE = new Exit.Cancelled(false);
    private static final @Nullable MethodHandle IS_VIRTUAL = isVirtual();

    private final Syscalls calls;
    private final String label;

    // What is said when something fails. Made once: putting strings together takes milliseconds the first time.
    private final String toRun;
    private final String toComplete;
    private final String toRead;
    private final String toSet;

    private final int index;
    private final int fd;
    private final RunArea area;
    private final long areaSize;
    private final boolean kernelApic;

    /** The state as it was read last; what a state that is refused is undone with. */
    private final RawState before;

    private final RawState after;

    private final Object lock = new Object();
    private boolean busy;
    private boolean prefetching;
    /** Threads that wait for a prefetch to let go of it: they come before the next. */
    private int claimants;

    private long runner;
    private boolean cancelled;
    private boolean closing;
    private boolean closed;

    // Of who is busy:
    private @Nullable Thread lastThread;
    private long lastThreadId;
    /** Whether the instruction of the last exit waits for the next KVM_RUN. */
    private boolean unfinished;
    /** The answer to the last exit, if it is for input, and where it goes. */
    private byte @Nullable [] input;

    private long inputOffset;

    /** Whether {@link #before} is the present state: the guest has not been entered, and nothing set, since. */
    private boolean known;

    /** Takes over the descriptor and the run area. */
    KvmProcessor(Syscalls calls, String partition, int index, int fd, RunArea area, long areaSize, StateShape shape) {
        this.calls = calls;
        this.label = "processor " + index + " of partition '" + partition + "'";
        this.toRun = "run " + label;
        this.toComplete = "complete an exit of " + label;
        this.toRead = "read the state of " + label;
        this.toSet = "set the state of " + label;
        this.index = index;
        this.fd = fd;
        this.area = area;
        this.areaSize = areaSize;
        this.kernelApic = shape.kernelApic();
        this.before = new RawState(shape);
        this.after = new RawState(shape);
    }

    /**
     * Reads its reset state, so that the first state set need not, and sets it again: a guest stands still while its state is read
     * and set for the first time, and that is no time for loading classes.
     */
    void prepare(String operation) throws BackendException {
        before.read(calls, fd, operation);
        after.fill(before.state(), before, operation);
        write(after, operation);
        known = true;
    }

    @Override
    public int index() {
        return index;
    }

    @Override
    public Exit run() throws BackendException {
        boolean virtual = isVirtual(Thread.currentThread());
        claim(!virtual);
        try {
            return enter(virtual);
        } finally {
            letGo();
        }
    }

    private Exit enter(boolean virtual) throws BackendException {
        while (!takeCancel()) {
            if (virtual) {
                throw virtualThread();
            }
            Exit exit = enterOnce(toRun);
            if (exit != null) {
                return exit;
            }
        }
        return unfinished ? CANCELLED_IN_THE_MIDDLE : CANCELLED;
    }

    private IllegalStateException virtualThread() {
        return new IllegalStateException(
                label + " can only run on a platform thread: the guest holds the thread it runs on");
    }

    /** One KVM_RUN: finishes the last exit, and returns the next, or null if there is none to report. */
    private @Nullable Exit enterOnce(String operation) throws BackendException {
        byte[] answer = input;
        if (answer != null) {
            area.supply(inputOffset, answer);
        }
        area.clearExitReason();
        known = false;
        int result = calls.run(fd);
        unfinished = false;
        input = null;
        return result < 0 ? failure(operation, result) : exit(operation);
    }

    private @Nullable Exit failure(String operation, int result) throws BackendException {
        switch (-result) {
            case Errno.EINTR, Errno.EAGAIN -> {
                return null; // kicked, or a processor that waits for its start-up was woken without one
            }
            case Errno.EFAULT, Errno.EHWPOISON -> {
                boolean told = area.exitReason() == KvmAbi.KVM_EXIT_MEMORY_FAULT;
                return new Exit.MemoryFault(
                        told ? area.memoryFaultGpa() : -1,
                        "the host could not give memory that is mapped in the partition: " + Errno.named(-result));
            }
            case Errno.ENOSPC ->
                // Shadow paging sizes its tables by the slots that there are, and has none before the first.
                throw new BackendException(new Failure(
                        operation,
                        null,
                        "KVM has no room for page tables",
                        "map memory into the partition before its processors run",
                        Errno.named(-result)));
            default -> throw KvmErrors.failed(operation, null, "KVM could not run it", result);
        }
    }

    private @Nullable Exit exit(String operation) throws BackendException {
        int reason = area.exitReason();
        switch (reason) {
            case KvmAbi.KVM_EXIT_IO -> {
                Exit.PortIo exit = area.portIo();
                expect(exit.input(), exit.data(), area.portDataOffset());
                return exit;
            }
            case KvmAbi.KVM_EXIT_MMIO -> {
                Exit.Mmio exit = area.mmio();
                expect(exit.input(), exit.data(), KvmAbi.RUN_MMIO_DATA);
                return exit;
            }
            case KvmAbi.KVM_EXIT_HLT -> {
                return HALT;
            }
            case KvmAbi.KVM_EXIT_INTR, KvmAbi.KVM_EXIT_SET_TPR -> {
                return null; // nothing to do for it
            }
            case KvmAbi.KVM_EXIT_SHUTDOWN -> {
                return new Exit.Shutdown("triple fault");
            }
            case KvmAbi.KVM_EXIT_SYSTEM_EVENT -> {
                return new Exit.Shutdown(area.systemEvent());
            }
            case KvmAbi.KVM_EXIT_MEMORY_FAULT -> {
                return new Exit.MemoryFault(
                        area.memoryFaultGpa(), "the host could not give memory that is mapped in the partition");
            }
            case KvmAbi.KVM_EXIT_INTERNAL_ERROR -> {
                return new Exit.EmulationFailure(
                        before.readRip(calls, fd, operation), area.failedInstruction(), area.suberrorName());
            }
            case KvmAbi.KVM_EXIT_FAIL_ENTRY ->
                throw KvmErrors.refused(
                        operation,
                        null,
                        "the hardware refuses to enter the guest, reason 0x" + Long.toHexString(area.failEntryReason()),
                        "look for a combination of registers that no processor can have");
            default ->
                throw KvmErrors.refused(
                        operation,
                        null,
                        "KVM exited for the unknown reason " + reason,
                        "use a newer version of the KVM backend, or an older kernel");
        }
    }

    private void expect(boolean isInput, byte[] data, long offset) {
        unfinished = true;
        input = isInput ? data : null;
        inputOffset = offset;
    }

    @Override
    public Optional<Exit> completeExit() throws BackendException {
        claim(false);
        try {
            return Optional.ofNullable(unfinished ? finish(toComplete) : null);
        } finally {
            letGo();
        }
    }

    /** Finishes the last exit. @return what it exits with again, if it does */
    private @Nullable Exit finish(String operation) throws BackendException {
        area.setImmediateExit(true);
        try {
            return enterOnce(operation);
        } finally {
            area.setImmediateExit(false);
        }
    }

    @Override
    public void cancel() {
        synchronized (lock) {
            cancelled = true;
            kick();
        }
    }

    /** Asks it to end, and waits for nobody. */
    void stop() {
        synchronized (lock) {
            closing = true;
            kick();
        }
    }

    @Override
    public void close() {
        boolean interrupted = false;
        synchronized (lock) {
            closing = true;
            while (busy) {
                kick();
                try {
                    lock.wait(KICK_AGAIN);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (!closed) {
                discard();
                calls.close(fd);
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Ends one that was never given to anybody, or is closing, but leaves its descriptor open. */
    void discard() {
        synchronized (lock) {
            closing = true;
            closed = true;
            lastThread = null;
            before.close();
            after.close();
            calls.unmap(area.address(), areaSize);
        }
    }

    @Override
    public ProcessorState state() throws BackendException {
        claim(false);
        try {
            if (unfinished) {
                throw new IllegalStateException(
                        label + " is in the middle of an instruction: handle its exit and complete it");
            }
            known = false;
            before.read(calls, fd, toRead);
            known = true;
            return before.state();
        } finally {
            letGo();
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>A state that does not say whether the processor is halted leaves it halted, should it be: it wakes when the next interrupt
     * comes, and goes on at the instruction that was set.
     *
     * <p>In the middle of an instruction, a state that this backend refuses leaves it there, and its exit to be answered. One that
     * only the kernel refuses leaves the processor behind it, finished with what its exit had been answered until then: the kernel
     * would finish it over the new registers.
     */
    @Override
    public void setState(ProcessorState state) throws BackendException {
        Registers.check(state.system());
        claim(false);
        try {
            if (unfinished) {
                after.fill(state, before, toSet); // for its checks alone; what before has is of an earlier moment
                abandonExit(toSet);
            }
            if (known) {
                before.readLapic(calls, fd, toSet);
            } else {
                before.read(calls, fd, toSet);
                known = true;
            }
            after.fill(state, before, toSet);
            known = false;
            try {
                write(after, toSet);
            } catch (BackendException e) {
                try {
                    write(before, toSet);
                } catch (BackendException undo) {
                    e.addSuppressed(undo);
                }
                throw e;
            }
        } finally {
            letGo();
        }
    }

    private void write(RawState state, String operation) throws BackendException {
        state.write(calls, fd, operation);
        if (!kernelApic) {
            area.setCr8(state.cr8());
        }
    }

    /** KVM would finish the last instruction over the new registers: it is finished before, whatever its answer. */
    private void abandonExit(String operation) throws BackendException {
        for (int i = 0; unfinished; i++) {
            if (i == MOST_EXITS) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        "it is in the middle of an instruction that has had " + MOST_EXITS + " exits more",
                        "complete its exits first");
            }
            finish(operation);
        }
    }

    /**
     * Populates the partition's tables through this processor, unless it is inside the guest: the kernel would wait until it leaves.
     * Whoever else has it, or waits for it, is waited for.
     *
     * @return the ioctl's result, or {@link #INSIDE} or {@link #CLOSED}
     */
    int prefetch(Memory request) {
        synchronized (lock) {
            boolean interrupted = false;
            while (!closing && (claimants > 0 || (busy && runner == 0))) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
            if (closing) {
                return CLOSED;
            }
            if (busy) {
                return INSIDE;
            }
            busy = true;
            prefetching = true;
        }
        try {
            int result;
            do {
                result = calls.ioctl(fd, KvmAbi.KVM_PRE_FAULT_MEMORY, request);
                // KVM moves the start and shortens the rest as it goes.
            } while (result == -Errno.EAGAIN || (result == 0 && request.getLong(KvmAbi.PRE_FAULT_BYTES) != 0));
            return result;
        } finally {
            letGo();
        }
    }

    private void claim(boolean toRun) {
        synchronized (lock) {
            awaitPrefetch();
            if (closing) {
                throw new IllegalStateException(label + " is closed");
            }
            if (busy) {
                throw new IllegalStateException(label + " is in use by another thread");
            }
            busy = true;
            if (toRun) {
                Thread thread = Thread.currentThread();
                if (thread != lastThread) {
                    lastThreadId = calls.currentThread();
                    lastThread = thread;
                }
                runner = lastThreadId;
            }
        }
    }

    /** A commit that populates tables through this processor is no user of it, and soon over. Holds the lock. */
    private void awaitPrefetch() {
        if (!prefetching) {
            return;
        }
        boolean interrupted = false;
        claimants++;
        while (prefetching) {
            try {
                lock.wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        claimants--;
        lock.notifyAll();
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void letGo() {
        synchronized (lock) {
            busy = false;
            prefetching = false;
            runner = 0;
            lock.notifyAll();
        }
    }

    /** Makes the call of run under way, if any, look at what is asked of it. Holds the lock. */
    private void kick() {
        if (runner != 0) {
            area.setImmediateExit(true);
            calls.kick(runner);
        }
    }

    private boolean takeCancel() {
        synchronized (lock) {
            boolean taken = cancelled || closing;
            cancelled = false;
            area.setImmediateExit(false);
            return taken;
        }
    }

    private static boolean isVirtual(Thread thread) {
        try {
            return IS_VIRTUAL != null && (boolean) IS_VIRTUAL.invokeExact(thread);
        } catch (Throwable e) {
            throw new IllegalStateException("Thread.isVirtual cannot be called", e);
        }
    }

    /** Null before Java 21, where every thread is a platform thread. */
    private static @Nullable MethodHandle isVirtual() {
        try {
            return MethodHandles.publicLookup()
                    .findVirtual(Thread.class, "isVirtual", MethodType.methodType(boolean.class));
        } catch (NoSuchMethodException | IllegalAccessException e) {
            return null;
        }
    }

    @Override
    public String toString() {
        return label;
    }
}

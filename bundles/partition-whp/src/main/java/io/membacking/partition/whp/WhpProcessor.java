package io.membacking.partition.whp;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Exit;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.whp.emulation.Access;
import io.membacking.partition.whp.emulation.Cpu;
import io.membacking.partition.whp.emulation.Emulation;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A processor of the platform.
 *
 * <p>Two locks in one: {@code lock} is held for moments only, and guards who has the processor ({@code busy}), whether it is in the
 * platform's call ({@code inside}) and what is asked of it ({@code cancelled}, {@code closing}). Who is
 * busy has all else to itself.
 *
 * <p>A cancel is never lost: asked for before the platform's call, it is seen in the flag; during it, the platform's own cancel is
 * repeated until the call has returned, for one that came a moment too early may be forgotten. It never counts twice: the flag is
 * taken back when it is reported, and an exit for a cancel that nobody asked for, because the platform remembered one, is not
 * seen.
 */
final class WhpProcessor implements Processor {
    /** Milliseconds between one cancel and the next. */
    private static final long CANCEL_AGAIN = 1;

    /**
     * How often an access to memory that should be there is tried, with nothing changed in between, before it counts as a fault.
     * Memory that another thread takes out and puts back all the time can look like that for a while.
     */
    private static final int MOST_TRIES = 1000;

    private static final Exit HALT = new Exit.Halt();
    private static final @Nullable MethodHandle IS_VIRTUAL = isVirtual();

    private final WhpCalls calls;
    private final WhpPartition partition;
    private final String label;
    private final long handle;
    private final int index;
    private final PartitionRam ram;
    private final ProcessorFacts facts;
    private final Memory context = new Memory(WhpAbi.EXIT_CONTEXT_SIZE);
    private final CpuRegisters cpuRegisters = new CpuRegisters();
    private final StateRegisters stateRegisters;

    private final Object lock = new Object();
    private boolean busy;
    private long entries;

    /** The number of the entry that is in the platform's call, or 0. */
    private long inside;

    private boolean cancelled;
    private boolean closing;
    private boolean closed;

    // Of who is busy:
    /** The instruction that waits for the answer to the last exit. */
    private @Nullable Emulation emulation;

    /** An exit that finishing the last one gave, and that run has not returned yet. */
    private @Nullable Exit waiting;

    private long triedGpa;
    private long[] triedRegisters = {};
    private int tries;

    /** Takes over the processor and the view of memory. */
    WhpProcessor(
            WhpCalls calls,
            WhpPartition partition,
            long handle,
            int index,
            Msrs msrs,
            boolean xsave,
            ProcessorFacts facts,
            PartitionRam ram) {
        this.calls = calls;
        this.partition = partition;
        this.label = "processor " + index + " of " + partition;
        this.handle = handle;
        this.index = index;
        this.ram = ram;
        this.stateRegisters = new StateRegisters(calls, handle, index, msrs, xsave, facts.forms());
        this.facts = facts;
    }

    @Override
    public int index() {
        return index;
    }

    @Override
    public Exit run() throws BackendException {
        boolean virtual = isVirtual(Thread.currentThread());
        claim();
        try {
            return enter(virtual);
        } finally {
            letGo();
        }
    }

    private Exit enter(boolean virtual) throws BackendException {
        String operation = "run " + label;
        while (!takeCancel()) {
            if (virtual) {
                throw virtualThread();
            }
            Exit exit = waiting;
            waiting = null;
            if (exit == null) {
                exit = emulation != null ? emulate(operation, false) : enterOnce(operation);
            }
            if (exit != null) {
                return exit;
            }
        }
        return new Exit.Cancelled(!isUnfinished());
    }

    private IllegalStateException virtualThread() {
        return new IllegalStateException(
                label + " can only run on a platform thread: the guest holds the thread it runs on");
    }

    /** One call of the platform. @return the exit to report, or null if there is none */
    private @Nullable Exit enterOnce(String operation) throws BackendException {
        if (!beginEntry()) {
            return null;
        }
        int result;
        try {
            result = calls.runVirtualProcessor(handle, index, context, WhpAbi.EXIT_CONTEXT_SIZE);
        } finally {
            endEntry();
        }
        if (result < 0) {
            throw WhpErrors.failed(operation, null, "the platform could not run it", result);
        }
        return exit(operation);
    }

    private @Nullable Exit exit(String operation) throws BackendException {
        int reason = context.getInt(WhpAbi.EXIT_REASON);
        switch (reason) {
            case WhpAbi.EXIT_MEMORY_ACCESS -> {
                return memoryAccess(operation);
            }
            case WhpAbi.EXIT_IO_PORT_ACCESS -> {
                byte[] bytes = instructionBytes(WhpAbi.PORT_BYTE_COUNT, WhpAbi.PORT_BYTES);
                return facts.behindPort() && !stepBack(operation, bytes) ? lost() : carryOut(operation, bytes);
            }
            case WhpAbi.EXIT_HALT -> {
                return HALT;
            }
            case WhpAbi.EXIT_CANCELED, WhpAbi.EXIT_INTERRUPT_WINDOW, WhpAbi.EXIT_NONE -> {
                return null; // nothing to do for it
            }
            case WhpAbi.EXIT_UNRECOVERABLE_EXCEPTION -> {
                return new Exit.Shutdown("triple fault");
            }
            case WhpAbi.EXIT_UNSUPPORTED_FEATURE -> {
                Cpu cpu = cpuRegisters.read(calls, handle, index, operation);
                return new Exit.EmulationFailure(
                        cpu.rip,
                        Emulation.fetch(cpu, ram),
                        "the platform does not support it: code " + context.getInt(WhpAbi.UNSUPPORTED_CODE)
                                + ", parameter 0x"
                                + Long.toHexString(context.getLong(WhpAbi.UNSUPPORTED_PARAMETER)));
            }
            case WhpAbi.EXIT_INVALID_REGISTER_VALUE ->
                throw WhpErrors.refused(
                        operation,
                        null,
                        "the platform refuses to enter the guest",
                        "look for a combination of registers that no processor can have");
            default ->
                throw WhpErrors.refused(
                        operation,
                        null,
                        "the platform exited for the unknown reason 0x" + Integer.toHexString(reason),
                        "");
        }
    }

    private @Nullable Exit memoryAccess(String operation) throws BackendException {
        int info = context.getInt(WhpAbi.MEMORY_ACCESS_INFO);
        long gpa = context.getLong(WhpAbi.MEMORY_GPA);
        int type = info & WhpAbi.INFO_TYPE_MASK;
        boolean write = type == WhpAbi.ACCESS_WRITE;
        byte[] bytes = instructionBytes(WhpAbi.MEMORY_BYTE_COUNT, WhpAbi.MEMORY_BYTES);
        if (facts.behindMemory() && type != WhpAbi.ACCESS_EXECUTE && !stepBack(operation, bytes)) {
            return lost();
        }
        if ((info & WhpAbi.INFO_GPA_UNMAPPED) == 0 && partition.permits(gpa, write)) {
            return populate(gpa, write, operation);
        }
        tries = 0;
        if (type == WhpAbi.ACCESS_EXECUTE && !partition.permits(gpa, false)) {
            return new Exit.EmulationFailure(
                    context.getLong(WhpAbi.EXIT_RIP),
                    new byte[0],
                    "the guest executes at 0x" + Long.toHexString(gpa) + ", where no memory is mapped");
        }
        return carryOut(operation, bytes);
    }

    /** Puts RIP on the instruction that the platform left it behind. @return whether that could be found */
    private boolean stepBack(String operation, byte[] bytes) throws BackendException {
        Cpu cpu = cpuRegisters.read(calls, handle, index, operation);
        OptionalLong instruction = Emulation.before(cpu, bytes);
        if (instruction.isPresent() && instruction.getAsLong() != cpu.rip) {
            cpu.rip = instruction.getAsLong();
            cpuRegisters.write(calls, handle, index, cpu, false, operation);
        }
        return instruction.isPresent();
    }

    private Exit lost() {
        return new Exit.EmulationFailure(
                context.getLong(WhpAbi.EXIT_RIP),
                new byte[0],
                "the platform leaves RIP behind the instruction, and does not tell which instruction it was");
    }

    /** The memory is there, but not for the guest yet. */
    private @Nullable Exit populate(long gpa, boolean write, String operation) throws BackendException {
        Cpu cpu = cpuRegisters.read(calls, handle, index, operation);
        long[] registers = Arrays.copyOf(cpu.general, cpu.general.length + 1);
        registers[cpu.general.length] = cpu.rip;
        if (gpa != triedGpa || !Arrays.equals(registers, triedRegisters)) {
            triedGpa = gpa;
            triedRegisters = registers;
            tries = 0;
        }
        int result = partition.populate(gpa, write);
        if (result >= 0 && ++tries < MOST_TRIES) {
            return null;
        }
        tries = 0;
        return new Exit.MemoryFault(
                gpa,
                "the host could not give memory that is mapped in the partition: "
                        + (result < 0 ? Hresult.named(result) : "the access was tried " + MOST_TRIES + " times"));
    }

    private byte[] instructionBytes(long countAt, long bytesAt) {
        int count = Math.min(context.getByte(countAt) & 0xff, WhpAbi.MOST_INSTRUCTION_BYTES);
        return context.getByteArray(bytesAt, count);
    }

    private @Nullable Exit carryOut(String operation, byte[] bytes) throws BackendException {
        emulation = new Emulation(cpuRegisters.read(calls, handle, index, operation), ram, bytes);
        return emulate(operation, false);
    }

    /**
     * Goes on with the instruction under way.
     *
     * @param once whether to stop at the end of an item of a string instruction
     * @return the next exit that it needs, or null when it is complete
     */
    private @Nullable Exit emulate(String operation, boolean once) throws BackendException {
        while (true) {
            Emulation current = emulation;
            if (current == null) {
                return null;
            }
            Emulation.Outcome outcome = current.advance();
            if (outcome instanceof Emulation.Needs needs) {
                return exit(needs.access());
            }
            emulation = null;
            if (outcome instanceof Emulation.Done done) {
                boolean shadow = (context.getShort(WhpAbi.EXIT_EXECUTION_STATE) & WhpAbi.STATE_INTERRUPT_SHADOW) != 0;
                cpuRegisters.write(calls, handle, index, done.cpu(), shadow, operation);
                if (!done.repeats() || once || isAskedToLeave()) {
                    return null;
                }
                // The next item, without going through the guest to find that it exits again.
                emulation = current.next(done.cpu());
            } else if (outcome instanceof Emulation.Faults faults) {
                cpuRegisters.raise(calls, handle, index, faults, operation);
                return null;
            } else if (outcome instanceof Emulation.Fails fails) {
                Cpu cpu = cpuRegisters.read(calls, handle, index, operation);
                return new Exit.EmulationFailure(cpu.rip, Emulation.fetch(cpu, ram), fails.reason());
            }
        }
    }

    private static Exit exit(Access access) {
        int size = access.data().length;
        return access.port()
                ? new Exit.PortIo((int) access.address(), size, 1, access.input(), access.data())
                : new Exit.Mmio(access.address(), size, access.input(), access.data());
    }

    private boolean isUnfinished() {
        return waiting != null || emulation != null;
    }

    @Override
    public Optional<Exit> completeExit() throws BackendException {
        claim();
        try {
            Exit next = waiting;
            waiting = null;
            if (next == null && emulation != null) {
                next = emulate("complete an exit of " + label, true);
            }
            return Optional.ofNullable(next);
        } finally {
            letGo();
        }
    }

    @Override
    public void cancel() {
        boolean interrupted = false;
        synchronized (lock) {
            cancelled = true;
            long entry = inside;
            while (entry != 0 && inside == entry) {
                cancelEntry();
                try {
                    lock.wait(CANCEL_AGAIN);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Asks it to end, and waits for nobody. */
    void stop() {
        synchronized (lock) {
            closing = true;
            cancelEntry();
        }
    }

    /** Holds the lock, so that the processor is not deleted meanwhile. */
    private void cancelEntry() {
        if (inside != 0) {
            calls.cancelRunVirtualProcessor(handle, index);
        }
    }

    @Override
    public void close() {
        boolean interrupted = false;
        synchronized (lock) {
            closing = true;
            while (busy) {
                cancelEntry();
                try {
                    lock.wait(CANCEL_AGAIN);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (!closed) {
                closed = true;
                calls.deleteVirtualProcessor(handle, index);
                ram.close();
                cpuRegisters.close();
                stateRegisters.close();
                context.close();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public ProcessorState state() throws BackendException {
        claim();
        try {
            if (isUnfinished()) {
                throw new IllegalStateException(label + " is in the middle of an instruction: complete its exit first");
            }
            return stateRegisters.read("read the state of " + label);
        } finally {
            letGo();
        }
    }

    @Override
    public void setState(ProcessorState state) throws BackendException {
        Registers.check(state.system());
        String operation = "set the state of " + label;
        claim();
        try {
            String contradiction = Registers.contradiction(state.general(), state.system());
            if (!contradiction.isEmpty()) {
                throw new BackendException(Failure.of(
                        operation, null, contradiction, "give registers that a processor can have together"));
            }
            ProcessorState before = stateRegisters.read(operation);
            try {
                stateRegisters.write(state, operation);
                // The instruction of the last exit is no longer the one to be completed.
                emulation = null;
                waiting = null;
            } catch (BackendException e) {
                try {
                    stateRegisters.write(before, operation);
                } catch (BackendException undo) {
                    e.addSuppressed(undo);
                }
                throw e;
            }
        } finally {
            letGo();
        }
    }

    private void claim() {
        synchronized (lock) {
            if (closing) {
                throw new IllegalStateException(label + " is closed");
            }
            if (busy) {
                throw new IllegalStateException(label + " is in use by another thread");
            }
            busy = true;
        }
    }

    private void letGo() {
        synchronized (lock) {
            busy = false;
            lock.notifyAll();
        }
    }

    /** @return false if the processor is to leave at once */
    private boolean beginEntry() {
        synchronized (lock) {
            if (cancelled || closing) {
                return false;
            }
            inside = ++entries;
            return true;
        }
    }

    private void endEntry() {
        synchronized (lock) {
            inside = 0;
            lock.notifyAll();
        }
    }

    private boolean isAskedToLeave() {
        synchronized (lock) {
            return cancelled || closing;
        }
    }

    private boolean takeCancel() {
        synchronized (lock) {
            boolean taken = cancelled || closing;
            cancelled = false;
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

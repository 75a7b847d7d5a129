package io.membacking.partition.reference;

import io.membacking.error.BackendException;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.contract.GuestStates;
import io.membacking.partition.contract.TestRam;
import java.util.Arrays;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/**
 * The same code on two backends, from the same registers and the same memory, to its end: a store to where nothing is mapped or,
 * in real mode, a halt; or a shutdown. Around the code, every 32 bytes, there is another such end, so that jumps end too.
 */
final class Oracle implements AutoCloseable {
    static final long RAM_SIZE = 4L << 20;
    static final long CODE_PAGE = 0x8000;
    static final long CODE = 0x8800;
    static final int DATA_SIZE = 0x4000;
    private static final long END = 0x30000000L;
    private static final long PAGE_TABLES = 0x1000;
    private static final long ACCESSED_AND_DIRTY = 0x60;
    private static final int MOST_EXITS = 64;
    private static final long PATIENCE = 50;

    /** In which mode the code runs. User code in long mode can be the host's processor itself. */
    enum Mode {
        LONG_USER(8, 0x200000),
        PROTECTED(4, 0x200000),
        REAL(2, 0xa000);

        final int codeSize;
        /** What instructions read and write; compared after each. */
        final long data;

        Mode(int codeSize, long data) {
            this.codeSize = codeSize;
            this.data = data;
        }
    }

    /** Every vector of real mode leads to a halt there. */
    private static final int HALT = 0x7000;

    /** How a backend ended. @param exit in words; empty if it did not end */
    record Outcome(String exit, ProcessorState state, byte[] data) {
        GeneralRegisters general() {
            return state.general();
        }
    }

    private static final class Side implements AutoCloseable {
        final TestRam ram = new TestRam(RAM_SIZE);
        final Partition partition;
        final Processor processor;
        final ProcessorState reset;

        Side(PartitionBackend backend) throws BackendException {
            partition = backend.createPartition(new PartitionRequest("oracle", false, 1));
            partition.map(ram.at(0));
            processor = partition.createProcessor(0);
            reset = processor.state();
            writePageTables();
        }

        /** With what was accessed and written told beforehand: when a processor tells it is its own affair. */
        void writePageTables() {
            GuestStates.writePageTables(ram);
            for (long at = PAGE_TABLES; at < GuestStates.PAGE_TABLES_END; at += 8) {
                long entry = ram.getLong(at);
                if (entry != 0) {
                    ram.setLong(at, entry | ACCESSED_AND_DIRTY);
                }
            }
        }

        @Override
        public void close() {
            partition.close();
            ram.close();
        }
    }

    private final Side first;
    private final Side second;
    private final ScheduledExecutorService watch = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "oracle watch");
        thread.setDaemon(true);
        return thread;
    });

    private final Mode mode;

    Oracle(Mode mode, PartitionBackend first, PartitionBackend second) throws BackendException {
        this.mode = mode;
        this.first = new Side(first);
        this.second = new Side(second);
    }

    /** The page of code: ends everywhere but where {@code code} lies, and one right behind it. */
    private byte[] page(byte[] code) {
        byte[] page = new byte[0x1000];
        Arrays.fill(page, (byte) 0x90);
        for (int at = 23; at + 9 < page.length; at += 32) {
            if (CODE_PAGE + at + 9 < CODE - 32
                    || CODE_PAGE + at >= CODE) { // what jumps to before the code comes to its start
                putEnd(page, at);
            }
        }
        int at = (int) (CODE - CODE_PAGE);
        System.arraycopy(code, 0, page, at, code.length);
        putEnd(page, at + code.length);
        return page;
    }

    /** {@code mov [END], al}, which changes nothing, or {@code hlt}. */
    private void putEnd(byte[] page, int at) {
        if (mode == Mode.REAL) {
            page[at] = (byte) 0xf4;
            return;
        }
        page[at] = (byte) 0xa2;
        for (int i = 0; i < mode.codeSize; i++) {
            page[at + 1 + i] = (byte) (END >>> (8 * i));
        }
    }

    void setData(byte[] data) {
        first.ram.write(mode.data, data);
        second.ram.write(mode.data, data);
    }

    Outcome onFirst(byte[] code, GeneralRegisters registers) throws BackendException {
        return run(first, code, registers);
    }

    Outcome onSecond(byte[] code, GeneralRegisters registers) throws BackendException {
        return run(second, code, registers);
    }

    /** Both memories are alike again, with the page tables that the code needs. */
    void align() {
        byte[] all = new byte[(int) RAM_SIZE];
        first.ram.memory().read(0, all, 0, all.length);
        second.ram.write(0, all);
        if (mode == Mode.LONG_USER) { // the code may have written over them
            first.writePageTables();
            second.writePageTables();
        }
    }

    private Outcome run(Side side, byte[] code, GeneralRegisters registers) throws BackendException {
        side.ram.write(CODE_PAGE, page(code));
        side.processor.setState(
                switch (mode) {
                    case LONG_USER -> GuestStates.longUser(side.reset, registers);
                    case PROTECTED -> GuestStates.protectedMode(side.reset, registers);
                    case REAL -> GuestStates.real(side.reset, registers);
                });
        if (mode == Mode.REAL) {
            for (int vector = 0; vector < 256; vector++) {
                side.ram.memory().writeInt(4L * vector, HALT);
            }
            side.ram.setByte(HALT, 0xf4);
        }
        String exit = "";
        ScheduledFuture<?> cancel = watch.schedule(side.processor::cancel, PATIENCE, TimeUnit.MILLISECONDS);
        try {
            for (int i = 0; i < MOST_EXITS && exit.isEmpty(); i++) {
                Exit next = side.processor.run();
                if (next instanceof Exit.Mmio mmio && (mmio.gpa() != END || mmio.input())) {
                    if (mmio.input()) {
                        mmio.setValue(mmio.gpa() * 0x9e3779b97f4a7c15L);
                    }
                } else if (next instanceof Exit.Cancelled) {
                    break;
                } else {
                    exit = next instanceof Exit.EmulationFailure ? "failure" : next.toString();
                }
            }
        } finally {
            cancel.cancel(false);
        }
        while (side.processor.completeExit().isPresent()) {
            // To the end of the instruction.
        }
        if (exit.isEmpty()) {
            clearCancel(side.processor);
        }
        byte[] data = new byte[DATA_SIZE];
        side.ram.memory().read(mode.data, data, 0, data.length);
        return new Outcome(exit, side.processor.state(), data);
    }

    private static void clearCancel(Processor processor) throws BackendException {
        processor.cancel();
        processor.run();
        while (processor.completeExit().isPresent()) {
            // A cancel in the middle of an instruction.
        }
    }

    @Override
    public void close() {
        watch.shutdownNow();
        first.close();
        second.close();
    }
}

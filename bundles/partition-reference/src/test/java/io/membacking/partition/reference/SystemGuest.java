package io.membacking.partition.reference;

import io.membacking.partition.CpuModel;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import io.membacking.partition.contract.TestRam;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/**
 * A guest with tables of descriptors, interrupts and pages, on one backend. It runs a few bytes of code, and every exception or
 * interrupt leads to a halt of its own: where it halts, and what lies on the stack, tell what was delivered.
 *
 * <p>Memory: page tables from 0x1000, GDT at 0x5000, IDT at 0x6000, task state at 0x7000, LDT at 0x7400, code at 0x8000, stacks in
 * the page at 0x9000, handlers at 0xa000.
 */
final class SystemGuest implements AutoCloseable {
    static final long RAM_SIZE = 64L << 20;
    static final long TABLES = 0x1000;
    static final long GDT = 0x5000;
    static final int GDT_LIMIT = 0xff;
    static final long IDT = 0x6000;
    static final long TASK = 0x7000;
    static final long LDT = 0x7400;
    static final int LDT_LIMIT = 0x3f;
    static final long CODE = 0x8000;
    static final long STACKS = 0x9000;
    static final long STACK = 0x9400;
    static final long STACK_OF_USER = 0x9800;
    static final long STACK_OF_TASK = 0x9c00;
    static final long INTERRUPT_STACK = 0x9ff0;
    static final long HANDLERS = 0xa000;
    static final long HANDLERS_16 = 0xb000;
    static final long DATA = 0xc000;

    static final int CODE_32 = 0x08;
    static final int DATA_32 = 0x10;
    static final int CODE_64 = 0x18;
    static final int TASK_SELECTOR = 0x20;
    static final int LDT_SELECTOR = 0x30;
    static final int CODE_32_USER = 0x43;
    static final int DATA_USER = 0x4b;
    static final int CODE_64_USER = 0x53;
    /** Entries from here on are the test's own. */
    static final int FREE = 0x58;

    /** What is compared, and where page tables of the test's own begin, which are, too. */
    private static final int MEMORY = 0x10000;

    static final long OWN_TABLES = 0x1000000;
    static final int OWN_TABLES_SIZE = 0x4000;
    static final int MOST_OWN_TABLES = (int) ((RAM_SIZE - OWN_TABLES) / OWN_TABLES_SIZE);

    private static final int MOST_EXITS = 16;
    private static final long PATIENCE = 200;

    enum Mode {
        REAL,
        PROTECTED,
        LONG,
        LONG_USER
    }

    /** How it ended. @param memory from 0 to the end of the stacks and the data */
    record Outcome(String exit, ProcessorState state, byte[] memory) {
        /** Not by an exit that belongs to the test, but by what the backend cannot do. */
        boolean isFailure() {
            return exit.startsWith("emulation failure") || exit.isEmpty();
        }
    }

    final TestRam ram = new TestRam(RAM_SIZE);
    private final Partition partition;
    private final Processor processor;
    private final ProcessorState reset;
    private final ScheduledExecutorService watch = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "watch");
        thread.setDaemon(true);
        return thread;
    });

    /** @param model of its processor; empty for the backend's own */
    SystemGuest(PartitionBackend backend, Optional<CpuModel> model) throws Exception {
        partition = backend.createPartition(new PartitionRequest("system", false, false, 1, model, false));
        partition.map(ram.at(0));
        processor = partition.createProcessor(0);
        reset = processor.state();
    }

    CpuModel model() {
        return partition.cpuModel();
    }

    /** Fills the tables anew: those that every test has. */
    void prepare(Mode mode) {
        byte[] zeros = new byte[MEMORY];
        ram.write(0, zeros);
        ram.setLong(TABLES, 0x2067);
        ram.setLong(0x2000, 0x3067);
        for (int i = 0; i < 512; i++) {
            ram.setLong(0x3000 + 8L * i, (long) i << 21 | 0xe7); // accessed and dirty, as it will be
        }
        ram.setLong(GDT + CODE_32, 0x00cf9b000000ffffL);
        ram.setLong(GDT + DATA_32, 0x00cf93000000ffffL);
        ram.setLong(GDT + CODE_64, 0x00af9b000000ffffL);
        ram.setLong(GDT + TASK_SELECTOR, 0x00008b000067L | TASK << 16);
        ram.setLong(GDT + LDT_SELECTOR, 0x000082000000L | LDT << 16 | LDT_LIMIT);
        ram.setLong(GDT + (CODE_32_USER & ~3), 0x00cffb000000ffffL);
        ram.setLong(GDT + (DATA_USER & ~3), 0x00cff3000000ffffL);
        ram.setLong(GDT + (CODE_64_USER & ~3), 0x00affb000000ffffL);
        for (int vector = 0; vector < 256; vector++) {
            long handler = HANDLERS + 16L * vector;
            ram.setByte(handler, 0xf4);
            switch (mode) {
                case REAL -> {
                    ram.setByte(HANDLERS_16 + vector, 0xf4);
                    ram.memory().writeInt(4L * vector, (int) (HANDLERS_16 + vector));
                }
                case PROTECTED -> setGate(vector, handler, CODE_32, 0x8e00, false);
                case LONG, LONG_USER -> setGate(vector, handler, CODE_64, 0x8e00, true);
            }
        }
        if (mode == Mode.PROTECTED) {
            ram.memory().writeInt(TASK + 4, (int) STACK_OF_TASK);
            ram.memory().writeInt(TASK + 8, DATA_32);
        } else {
            ram.setLong(TASK + 4, STACK_OF_TASK);
            ram.setLong(TASK + 0x24, INTERRUPT_STACK);
        }
    }

    /** @param attributes P, DPL and type from bit 15 down to 8; the number of the interrupt stack from 2 to 0 */
    void setGate(int vector, long handler, int selector, int attributes, boolean wide) {
        long low = (handler & 0xffff) | (long) selector << 16 | (long) attributes << 32 | (handler & 0xffff0000L) << 32;
        if (wide) {
            ram.setLong(IDT + 16L * vector, low);
            ram.setLong(IDT + 16L * vector + 8, handler >>> 32);
        } else {
            ram.setLong(IDT + 8L * vector, low);
        }
    }

    ProcessorState state(Mode mode, GeneralRegisters registers) {
        SystemRegisters s = reset.system();
        Segment code;
        Segment data;
        Segment task = new Segment(TASK, 0x67, TASK_SELECTOR, 0x8b);
        Segment local = new Segment(LDT, LDT_LIMIT, LDT_SELECTOR, 0x82);
        Table idt = new Table(IDT, mode == Mode.PROTECTED ? 0x7ff : 0xfff);
        long cr0 = 0x80010033L;
        long cr3 = TABLES;
        long cr4 = 0x620;
        long efer = 0x500;
        switch (mode) {
            case REAL -> {
                code = new Segment(0, 0xffff, 0, 0x9b);
                data = new Segment(0, 0xffff, 0, 0x93);
                idt = new Table(0, 0x3ff);
                cr0 = s.cr0();
                cr3 = 0;
                cr4 = 0;
                efer = 0;
            }
            case PROTECTED -> {
                code = new Segment(0, -1, CODE_32, 0xc09b);
                data = new Segment(0, -1, DATA_32, 0xc093);
                cr0 = 0x31;
                cr3 = 0;
                cr4 = 0;
                efer = 0;
            }
            case LONG -> {
                code = new Segment(0, -1, CODE_64, 0xa09b);
                data = new Segment(0, -1, DATA_32, 0xc093);
            }
            default -> {
                code = new Segment(0, -1, CODE_64_USER, 0xa0fb);
                data = new Segment(0, -1, DATA_USER, 0xc0f3);
            }
        }
        Table gdt = new Table(GDT, GDT_LIMIT);
        return reset.with(registers)
                .with(new SystemRegisters(
                        code,
                        data,
                        data,
                        data,
                        data,
                        data,
                        task,
                        local,
                        gdt,
                        idt,
                        cr0,
                        0,
                        cr3,
                        cr4,
                        s.cr8(),
                        efer,
                        s.apicBase()));
    }

    static ProcessorState withEvents(ProcessorState state, PendingEvents events) {
        return new ProcessorState(
                state.general(),
                state.system(),
                state.msrs(),
                state.vectors(),
                state.debug(),
                Optional.of(events),
                state.activity(),
                state.platform());
    }

    /** Runs until it halts, shuts down, cannot go on, or writes to where nothing is mapped. */
    Outcome run(ProcessorState state) throws Exception {
        processor.setState(state);
        String exit = "";
        ScheduledFuture<?> cancel = watch.schedule(processor::cancel, PATIENCE, TimeUnit.MILLISECONDS);
        try {
            for (int i = 0; i < MOST_EXITS && exit.isEmpty(); i++) {
                Exit next = processor.run();
                if (next instanceof Exit.Cancelled) {
                    break;
                }
                if (!(next instanceof Exit.Mmio mmio && mmio.input())) {
                    exit = next.toString();
                }
            }
        } finally {
            cancel.cancel(false);
        }
        while (processor.completeExit().isPresent()) {
            // To the end of the instruction.
        }
        byte[] memory = new byte[MEMORY + OWN_TABLES_SIZE];
        ram.memory().read(0, memory, 0, MEMORY);
        long tables = state.system().cr3();
        if (tables >= OWN_TABLES) {
            ram.memory().read(tables, memory, MEMORY, OWN_TABLES_SIZE);
        }
        ProcessorState end = processor.state();
        if (exit.isEmpty()) { // or the cancel may come later
            processor.cancel();
            processor.run();
            while (processor.completeExit().isPresent()) {
                // As above.
            }
        }
        return new Outcome(exit, end, memory);
    }

    /** What the two disagree in, in words; empty if in nothing. */
    static String difference(Outcome a, Outcome b) {
        if (!a.exit().equals(b.exit())) {
            return "exit " + a.exit() + " but " + b.exit();
        }
        if (a.exit().startsWith("Shutdown")) {
            return "";
        }
        StringBuilder text = new StringBuilder();
        if (!a.state().general().equals(b.state().general())) {
            text.append(a.state().general())
                    .append("\n  but ")
                    .append(b.state().general())
                    .append('\n');
        }
        SystemRegisters s = a.state().system();
        SystemRegisters t = b.state().system();
        differ(text, "cs", s.cs(), t.cs());
        differ(text, "ds", s.ds(), t.ds());
        differ(text, "es", s.es(), t.es());
        differ(text, "fs", s.fs(), t.fs());
        differ(text, "gs", s.gs(), t.gs());
        differ(text, "ss", s.ss(), t.ss());
        differ(text, "tr", s.tr(), t.tr());
        differ(text, "ldt", s.ldt(), t.ldt());
        if (s.cr2() != t.cr2()) {
            text.append(String.format("  cr2 0x%x but 0x%x%n", s.cr2(), t.cr2()));
        }
        if (s.cr0() != t.cr0() || s.cr4() != t.cr4() || s.efer() != t.efer()) {
            text.append("  control registers\n");
        }
        int at = Arrays.mismatch(a.memory(), b.memory());
        if (at >= 0) {
            int from = at & ~7;
            text.append(String.format("  memory at 0x%x: ", from));
            text.append(HexFormat.of().formatHex(a.memory(), from, from + 16)).append(" but ");
            text.append(HexFormat.of().formatHex(b.memory(), from, from + 16)).append('\n');
        }
        return text.toString();
    }

    private static void differ(StringBuilder text, String name, Segment a, Segment b) {
        // Of a stack segment that is null KVM fills the rest as if it were not.
        boolean bothUnusable = a.selector() == b.selector()
                && ((isUnusable(a) && isUnusable(b)) || (name.equals("ss") && SegmentLoads.isNull(a.selector())));
        if (!a.equals(b) && !bothUnusable) {
            text.append(String.format(
                    "  %s 0x%x base 0x%x limit 0x%x attributes 0x%x but 0x%x base 0x%x limit 0x%x attributes 0x%x%n",
                    name,
                    a.selector(),
                    a.base(),
                    a.limit(),
                    a.attributes(),
                    b.selector(),
                    b.base(),
                    b.limit(),
                    b.attributes()));
        }
    }

    private static boolean isUnusable(Segment segment) {
        return (segment.attributes() & 1 << 16) != 0 || (segment.attributes() & 0x80) == 0;
    }

    @Override
    public void close() {
        watch.shutdownNow();
        partition.close();
        ram.close();
    }
}

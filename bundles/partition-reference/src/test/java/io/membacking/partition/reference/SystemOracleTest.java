package io.membacking.partition.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.PendingException;
import io.membacking.partition.ProcessorState.PendingInterrupt;
import io.membacking.partition.ProcessorState.Shadow;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.GuestStates;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.partition.reference.SystemGuest.Mode;
import io.membacking.partition.reference.SystemGuest.Outcome;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Descriptors, exceptions, interrupts and pages against KVM: from the same random tables and state, both must come to the same end
 * with the same registers, the same stack, and the same bits set in the tables. {@code -Dmembacking.oracle.cases} says how many
 * cases (of pages no more than there is room for), {@code -Dmembacking.oracle.seed} which round; otherwise one that is always the
 * same, and one that is always another. What KVM cannot do (where it emulates, it lacks much) is left out.
 */
class SystemOracleTest {
    private static final int CASES = Integer.getInteger("membacking.oracle.cases", 1000);
    private static final long PAGED = 1L << 39;
    private static final long PAGES = 0xd000;
    private static final long LARGE_PAGE = 0x800000;

    private Random random;
    private KvmBackend kvm;
    private ReferenceBackend reference;
    private SystemGuest theirs;
    private SystemGuest mine;
    private int compared;
    private final List<String> wrong = new ArrayList<>();

    @BeforeEach
    void make(TestInfo test) throws Exception {
        kvm = new KvmBackend();
        BackendRequirement.require(kvm, test);
        reference = new ReferenceBackend();
        theirs = new SystemGuest(kvm, Optional.empty());
        mine = new SystemGuest(reference, Optional.of(theirs.model()));
    }

    @AfterEach
    void close() {
        if (mine != null) {
            theirs.close();
            mine.close();
            reference.close();
        }
        kvm.close();
    }

    static LongStream seeds() {
        return InstructionOracleTest.seeds();
    }

    private static byte[] bytes(String hex) {
        return HexFormat.of().parseHex(hex.replace(" ", ""));
    }

    private <T> T pick(List<T> from) {
        return from.get(random.nextInt(from.size()));
    }

    // Descriptors.

    private static final String LOAD_TASK = "0f00d8";

    private static final String LOAD_LOCAL = "0f00d0";

    /** For AX, or for what RDI points to. */
    private static final List<String> LOADS = List.of(
            "8ed8",
            "8ec0",
            "8ee0",
            "8ee8",
            "8ed0",
            LOAD_LOCAL,
            LOAD_TASK,
            "0fb237",
            "0fb437",
            "0fb537",
            "66 0fb437",
            "0fa1",
            "0fa9",
            "ff2f",
            "ff1f",
            "cb",
            "ca0800",
            "48cb",
            "8e1f",
            "8e17");

    /** Only outside of 64-bit code. */
    private static final List<String> OLD_LOADS = List.of("c537", "c437", "07", "1f", "17", "66 1f");

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void descriptorsAreLoadedOrRefusedAlikeInProtectedMode(long seed) throws Exception {
        random = new Random(seed);
        for (int i = 0; i < CASES && wrong.size() < 10; i++) {
            loadDescriptor(Mode.PROTECTED, random.nextInt(3) == 0 ? pick(OLD_LOADS) : pick(LOADS));
        }
        check(seed);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void descriptorsAreLoadedOrRefusedAlikeInLongMode(long seed) throws Exception {
        random = new Random(seed);
        for (int i = 0; i < CASES && wrong.size() < 10; i++) {
            loadDescriptor(Mode.LONG, pick(LOADS));
        }
        check(seed);
    }

    private void loadDescriptor(Mode mode, String instruction) throws Exception {
        int selector = random.nextInt(8) == 0 ? random.nextInt(0x10000) : random.nextInt(0x20) << 3 | random.nextInt(8);
        long[] global = new long[(SystemGuest.GDT_LIMIT + 1 - SystemGuest.FREE) / 8];
        long[] local = new long[8];
        for (int i = 0; i < global.length; i++) {
            global[i] = descriptor();
        }
        for (int i = 0; i < local.length; i++) {
            local[i] = descriptor();
        }
        long offset = SystemGuest.HANDLERS + 16 * 0x60;
        long chosen = (selector & 4) != 0
                ? local[selector >> 3 & 7]
                : global[Math.max(0, (selector >> 3) - 11) % global.length];
        boolean task = instruction.equals(LOAD_TASK);
        if ((task || instruction.equals(LOAD_LOCAL)) && deviates(selector, chosen, task ? 9 : 2)) {
            return;
        }
        compare(
                mode,
                instruction + " f4",
                guest -> {
                    for (int i = 0; i < global.length; i++) {
                        guest.ram.setLong(SystemGuest.GDT + SystemGuest.FREE + 8L * i, global[i]);
                    }
                    for (int i = 0; i < local.length; i++) {
                        guest.ram.setLong(SystemGuest.LDT + 8L * i, local[i]);
                    }
                    // A far pointer for those that load one, on the stack for those that pop it.
                    guest.ram.setLong(SystemGuest.DATA, offset | (long) selector << 32);
                    if (instruction.startsWith("cb") || instruction.startsWith("ca")) {
                        guest.ram.setLong(SystemGuest.STACK, offset | (long) selector << 32);
                    } else if (instruction.startsWith("48cb")) {
                        guest.ram.setLong(SystemGuest.STACK, offset);
                        guest.ram.setLong(SystemGuest.STACK + 8, selector);
                    } else {
                        guest.ram.setLong(SystemGuest.STACK, selector);
                    }
                    if (instruction.startsWith("8e17") || instruction.startsWith("8e1f")) {
                        guest.ram.setLong(SystemGuest.DATA, selector);
                    }
                },
                registers -> registers.rax(selector),
                state -> state,
                () -> String.format(
                        "selector 0x%x, descriptor 0x%x",
                        selector,
                        mine.ram.getLong(
                                ((selector & 4) != 0 ? SystemGuest.LDT : SystemGuest.GDT) + (selector & 0xf8))));
    }

    /**
     * Of LTR and LLDT KVM's emulation takes those of the local table, and those half beyond the end of theirs; it looks whether a
     * descriptor is there before it looks what it is, and takes 16-bit tasks in long mode.
     */
    private static boolean deviates(int selector, long descriptor, int rightType) {
        long type = descriptor >>> 40 & 0x1f;
        boolean present = (descriptor & 1L << 47) != 0;
        boolean last = (selector | 7) == SystemGuest.GDT_LIMIT;
        return (selector & 4) != 0 || last || (!present && type != rightType) || type == 1;
    }

    /** Mostly one that can be loaded somehow. */
    private long descriptor() {
        int type = random.nextInt(16);
        int attributes = random.nextInt(4) == 0 ? 0 : 0x10; // system or segment
        attributes |= random.nextInt(3) == 0 ? random.nextInt(4) << 5 : 0;
        attributes |= random.nextInt(6) == 0 ? 0 : 0x80;
        long base = random.nextInt(4) == 0 ? random.nextInt() & 0xffffffffL : 0;
        long limit = random.nextInt(4) == 0 ? random.nextInt(0x100000) : 0xfffff;
        long upper = random.nextInt(3) == 0 ? random.nextInt(16) : 0xc;
        return (limit & 0xffff)
                | (base & 0xffffff) << 16
                | (long) (type | attributes) << 40
                | (limit >>> 16) << 48
                | upper << 52
                | (base >>> 24) << 56;
    }

    // Exceptions and interrupts.

    /** Invalid opcode, division by zero, protection with and without a selector, missing page, a privileged instruction, a missing segment. */
    private static final List<String> FAULTS =
            List.of("0f0b", "f7f1", "8ed8", "8ec0", "0f22c8", "48a10000ff7f00000000");

    private static final List<String> FAULTS_OF_USER =
            List.of("0f0b", "f7f1", "f4", "48a10000ff7f00000000", "0f06", "fa", "ee");

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void exceptionsAreDeliveredAlikeThroughAnyGates(long seed) throws Exception {
        random = new Random(seed);
        for (int i = 0; i < CASES && wrong.size() < 10; i++) {
            Mode mode = pick(List.of(Mode.PROTECTED, Mode.LONG, Mode.LONG_USER));
            int vector = pick(List.of(0, 6, 8, 11, 12, 13, 14));
            long[] gates = {gate(mode), gate(mode)};
            boolean both = random.nextInt(3) == 0;
            long stack = SystemGuest.STACK_OF_TASK + random.nextInt(32);
            String fault = mode == Mode.LONG_USER ? pick(FAULTS_OF_USER) : pick(FAULTS);
            int selector = pick(List.of(0, 3, 0x58, 0x5b, 0x64, SystemGuest.CODE_32_USER, 0x1f8));
            long missing = descriptor() & ~(1L << 47);
            compare(
                    mode,
                    fault + " f4",
                    guest -> {
                        guest.ram.setLong(SystemGuest.GDT + SystemGuest.FREE, missing);
                        write(guest, mode, vector, gates[0]);
                        if (both) {
                            write(guest, mode, 8, gates[1]);
                        }
                        if (mode != Mode.PROTECTED) {
                            guest.ram.setLong(SystemGuest.TASK + 4, stack);
                            guest.ram.setLong(SystemGuest.TASK + 0x24, stack);
                        }
                    },
                    registers -> registers.rax(selector),
                    state -> state,
                    () -> String.format("vector %d by gate 0x%x, stack 0x%x", vector, gates[0], stack));
        }
        check(seed);
    }

    private static void write(SystemGuest guest, Mode mode, int vector, long low) {
        guest.ram.setLong(SystemGuest.IDT + (mode == Mode.PROTECTED ? 8L : 16L) * vector, low);
    }

    /** Its lower half. KVM here takes what it finds in it without a check, so all but the level and the stack is right. */
    private long gate(Mode mode) {
        long handler = SystemGuest.HANDLERS + 16L * (0x20 + random.nextInt(32));
        int selector = mode == Mode.PROTECTED ? SystemGuest.CODE_32 : SystemGuest.CODE_64;
        int type = 0xe + random.nextInt(2);
        int attributes = type | random.nextInt(4) << 5 | 0x80;
        int interruptStack = mode != Mode.PROTECTED && random.nextInt(3) == 0 ? 1 : 0;
        return handler | (long) selector << 16 | (long) interruptStack << 32 | (long) attributes << 40;
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void pendingEventsAreDeliveredAlike(long seed) throws Exception {
        random = new Random(seed);
        for (int i = 0; i < CASES / 2 && wrong.size() < 10; i++) {
            Mode mode = pick(List.of(Mode.values()));
            PendingEvents events = events(mode);
            // Nothing that a processor could hold back in its own way: interrupts are on.
            compare(
                    mode,
                    pick(List.of("90 f4", "f4", "0f0b f4", "40 c0c001 f4")),
                    guest -> {},
                    registers -> registers,
                    state -> SystemGuest.withEvents(withFlags(state, 0x202), events),
                    events::toString);
        }
        check(seed);
    }

    private static ProcessorState withFlags(ProcessorState state, long flags) {
        ProcessorState.GeneralRegisters g = state.general();
        return state.with(new ProcessorState.GeneralRegisters(
                g.rax(), g.rbx(), g.rcx(), g.rdx(), g.rsi(), g.rdi(), g.rsp(), g.rbp(), g.r8(), g.r9(), g.r10(),
                g.r11(), g.r12(), g.r13(), g.r14(), g.r15(), g.rip(), flags));
    }

    private PendingEvents events(Mode mode) {
        Optional<PendingException> exception = Optional.empty();
        Optional<PendingInterrupt> interrupt = Optional.empty();
        boolean nmi = false;
        switch (random.nextInt(3)) {
            case 0 -> {
                int vector = pick(List.of(0, 6, 8, 10, 11, 12, 13, 14));
                boolean coded = mode != Mode.REAL && (vector == 8 || vector >= 10);
                exception = Optional.of(new PendingException(
                        vector,
                        coded ? Optional.of(vector == 8 ? 0 : random.nextInt(0x100)) : Optional.empty(),
                        true,
                        Optional.empty()));
            }
            case 1 -> interrupt = Optional.of(new PendingInterrupt(32 + random.nextInt(224), false));
            default -> nmi = true;
        }
        return new PendingEvents(exception, interrupt, Shadow.NONE, nmi, 0, false);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void interruptReturnsGoOnAlike(long seed) throws Exception {
        random = new Random(seed);
        for (int i = 0; i < CASES / 2 && wrong.size() < 10; i++) {
            boolean real = random.nextInt(4) == 0;
            Mode mode = real ? Mode.REAL : Mode.LONG;
            // KVM here goes there without a check, so it is right.
            long target = SystemGuest.HANDLERS + 16 * 0x60;
            int code = pick(List.of(SystemGuest.CODE_64, SystemGuest.CODE_64_USER));
            int stackSelector = (code & 3) == 3 ? SystemGuest.DATA_USER : SystemGuest.DATA_32;
            long flags = random.nextInt() & 0xed5;
            long stack = random.nextInt(8) == 0 ? random.nextLong() : SystemGuest.STACK_OF_USER;
            compare(
                    mode,
                    real ? "cf" : "48cf",
                    guest -> {
                        if (real) {
                            guest.ram.setLong(SystemGuest.STACK, SystemGuest.HANDLERS_16 + 0x60 | flags << 32);
                        } else {
                            long[] frame = {target, code, flags | 2, stack, stackSelector};
                            for (int j = 0; j < frame.length; j++) {
                                guest.ram.setLong(SystemGuest.STACK + 8L * j, frame[j]);
                            }
                        }
                    },
                    registers -> registers,
                    SystemOracleTest::withUserData,
                    () -> String.format(
                            "to 0x%x:0x%x, stack 0x%x:0x%x, flags 0x%x", code, target, stackSelector, stack, flags));
        }
        check(seed);
    }

    /** Data segments that user code keeps: KVM's emulation takes none away. */
    private static ProcessorState withUserData(ProcessorState state) {
        SystemRegisters s = state.system();
        if ((s.efer() & 0x400) == 0) {
            return state;
        }
        ProcessorState.Segment data = new ProcessorState.Segment(0, -1, SystemGuest.DATA_USER, 0xc0f3);
        return state.with(s.withData(data, data, data, data));
    }

    // Pages.

    /** Processors fetch ahead of it: not where the next page is near. */
    private static final String JUMP = "ffe7";

    private static final List<String> ACCESSES =
            List.of("8a07", "8807", "488b07", "488907", JUMP, "ff37", "8f07", "48a7", "a4");

    /** One that reads and writes, which KVM emulates as two accesses. */
    private static final String BOTH = "48830701";

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void pagesAreFoundOrFaultAlike(long seed) throws Exception {
        random = new Random(seed);
        for (int i = 0; i < Math.min(CASES, SystemGuest.MOST_OWN_TABLES) && wrong.size() < 10; i++) {
            Mode mode = random.nextBoolean() ? Mode.LONG : Mode.LONG_USER;
            String access = mode == Mode.LONG_USER && random.nextInt(8) == 0 ? BOTH : pick(ACCESSES);
            boolean noExecute = random.nextBoolean();
            boolean writeProtect = random.nextBoolean();
            // Each time others: where KVM keeps translations it does not see what is written over the old ones from
            // outside.
            long tables = SystemGuest.OWN_TABLES + (long) i * SystemGuest.OWN_TABLES_SIZE;
            // Which of two pages faults first is the processor's affair; where KVM emulates it writes the first all the
            // same.
            boolean crosses = mode == Mode.LONG_USER && !access.equals(JUMP) && random.nextInt(4) == 0;
            long[] entries = new long[4];
            for (int level = 0; level < 4; level++) {
                long to = level == 3 ? PAGES : tables + 0x1000L * (level + 1);
                entries[level] = crosses ? to | 7 : entry(to, noExecute);
            }
            if (!crosses && random.nextInt(5) == 0) {
                entries[2] = largeEntry(noExecute);
            }
            long other = entry(PAGES + 0x1000, noExecute);
            long address = PAGED + (crosses ? 0xff9 + random.nextInt(7) : random.nextInt(0xf00));
            compare(
                    mode,
                    access + " f4",
                    guest -> {
                        guest.ram.setLong(tables, 0x2067);
                        guest.ram.setLong(tables + 8, entries[0]);
                        guest.ram.setLong(tables + 0x1000, entries[1]);
                        guest.ram.setLong(tables + 0x2000, entries[2]);
                        guest.ram.setLong(tables + 0x3000, entries[3]);
                        guest.ram.setLong(tables + 0x3008, other);
                        for (int j = 0; j < 0x1010; j += 8) {
                            guest.ram.setLong(PAGES + j, 0xf4f4f4f4f4f4f4f4L);
                            guest.ram.setLong(LARGE_PAGE + j, 0xf4f4f4f4f4f4f4f4L);
                        }
                    },
                    registers -> registers.rdi(address).rsi(address),
                    state -> withPaging(state, tables, noExecute, writeProtect),
                    () -> String.format(
                            "address 0x%x, entries 0x%x 0x%x 0x%x 0x%x 0x%x, no-execute %s, write protection %s",
                            address, entries[0], entries[1], entries[2], entries[3], other, noExecute, writeProtect));
        }
        check(seed);
    }

    /** Present, writable and of the user mostly; sometimes with a reserved bit. */
    private long entry(long address, boolean noExecute) {
        long entry = address;
        entry |= random.nextInt(12) == 0 ? 0 : 1;
        entry |= random.nextInt(5) == 0 ? 0 : 2;
        entry |= random.nextInt(5) == 0 ? 0 : 4;
        entry |= random.nextInt(2) == 0 ? 0x20 : 0;
        entry |= random.nextInt(2) == 0 ? 0x40 : 0;
        entry |= random.nextInt(4) == 0 ? 0x800 : 0; // for the operating system
        entry |= random.nextInt(noExecute ? 6 : 20) == 0 ? 1L << 63 : 0;
        return entry | (random.nextInt(16) == 0 ? 1L << 51 : 0);
    }

    private long largeEntry(boolean noExecute) {
        return entry(LARGE_PAGE, noExecute) | 0x80 | (random.nextInt(8) == 0 ? 0x4000 : 0);
    }

    private static ProcessorState withPaging(
            ProcessorState state, long tables, boolean noExecute, boolean writeProtect) {
        SystemRegisters s = state.system();
        long cr0 = writeProtect ? s.cr0() : s.cr0() & ~0x10000L;
        return state.with(s.withControl(cr0, tables, s.cr4(), noExecute ? s.efer() | 0x800 : s.efer()));
    }

    // Comparing.

    private interface Description {
        String text();
    }

    private void compare(
            Mode mode,
            String code,
            Consumer<SystemGuest> tables,
            UnaryOperator<GuestStates.Registers> registers,
            UnaryOperator<ProcessorState> change,
            Description description)
            throws Exception {
        long stack = mode == Mode.LONG_USER ? SystemGuest.STACK_OF_USER : SystemGuest.STACK;
        ProcessorState.GeneralRegisters general = registers
                .apply(GuestStates.at(SystemGuest.CODE).rsp(stack).rdi(SystemGuest.DATA))
                .done();
        Outcome[] outcomes = new Outcome[2];
        SystemGuest[] guests = {theirs, mine};
        for (int i = 0; i < guests.length; i++) {
            guests[i].prepare(mode);
            tables.accept(guests[i]);
            guests[i].ram.write(SystemGuest.CODE, bytes(code));
            outcomes[i] = guests[i].run(change.apply(guests[i].state(mode, general)));
        }
        if (outcomes[0].isFailure() || outcomes[1].isFailure()) {
            return;
        }
        compared++;
        String difference = SystemGuest.difference(outcomes[0], outcomes[1]);
        if (!difference.isEmpty()) {
            wrong.add(mode + " " + code + ", " + description.text() + ": " + difference);
        }
    }

    private void check(long seed) {
        assertEquals(List.of(), wrong, () -> "seed " + seed + "\n" + String.join("\n", wrong) + "\n");
        assertTrue(compared > CASES / 4, () -> "only " + compared + " of " + CASES + " could be compared");
    }
}

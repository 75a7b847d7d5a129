package io.membacking.partition.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.PendingInterrupt;
import io.membacking.partition.ProcessorState.Shadow;
import io.membacking.partition.contract.GuestStates;
import io.membacking.partition.reference.SystemGuest.Mode;
import io.membacking.partition.reference.SystemGuest.Outcome;
import java.util.HexFormat;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What {@link SystemOracleTest} cannot ask KVM everywhere, against the manual: gates that are wrong, returns that are refused, paging
 * of 32 bits, what is kept of translations, and what is beyond the subset.
 *
 * @see <a href="https://www.intel.com/sdm">Intel SDM, volume 3, chapters 4 to 6</a>
 */
class SystemBehaviourTest {
    private static final int INVALID_OPCODE = 6;
    private static final int DOUBLE_FAULT = 8;
    private static final int NOT_PRESENT = 11;
    private static final int STACK = 12;
    private static final int PROTECTION = 13;
    private static final int PAGE_FAULT = 14;
    private static final int NO_CODE = -1;

    private static final int PRESENT_GATE = 0x8e00;
    private static final int GATE_OF_USER = 0xee00;

    private ReferenceBackend backend;
    private SystemGuest guest;

    @BeforeEach
    void make() throws Exception {
        backend = new ReferenceBackend();
        guest = new SystemGuest(backend, Optional.empty());
    }

    @AfterEach
    void close() {
        guest.close();
        backend.close();
    }

    private static long stackOf(Mode mode) {
        return mode == Mode.LONG_USER ? SystemGuest.STACK_OF_USER : SystemGuest.STACK;
    }

    private ProcessorState start(Mode mode, String code) {
        guest.prepare(mode);
        guest.ram.write(SystemGuest.CODE, HexFormat.of().parseHex(code.replace(" ", "")));
        return guest.state(
                mode,
                GuestStates.at(SystemGuest.CODE)
                        .rsp(stackOf(mode))
                        .rdi(SystemGuest.DATA)
                        .done());
    }

    private void gate(Mode mode, int vector, int selector, int attributes) {
        guest.setGate(vector, SystemGuest.HANDLERS + 16L * vector, selector, attributes, mode != Mode.PROTECTED);
    }

    private static int codeSelector(Mode mode) {
        return mode == Mode.PROTECTED ? SystemGuest.CODE_32 : SystemGuest.CODE_64;
    }

    /** It halted in the handler of the vector, which finds the error code and where it came from on its stack. */
    private void assertDelivered(Outcome outcome, int vector, int errorCode, long returnRip) {
        assertEquals("Halt[]", outcome.exit());
        GeneralRegisters g = outcome.state().general();
        assertEquals(
                SystemGuest.HANDLERS + 16L * vector + 1,
                g.rip(),
                () -> "vector " + (g.rip() - SystemGuest.HANDLERS) / 16);
        int size = (outcome.state().system().efer() & Registers.EFER_LMA) == 0 ? 4 : 8;
        long at = g.rsp();
        if (errorCode != NO_CODE) {
            assertEquals(errorCode, guest.ram.memory().readInt(at));
            at += size;
        }
        assertEquals(returnRip, size == 4 ? guest.ram.memory().readInt(at) : guest.ram.getLong(at));
    }

    // Gates.

    @Test
    void aGateThatIsNotPresentIsAFaultOfItsOwnAfterABenignOne() throws Exception {
        for (Mode mode : new Mode[] {Mode.PROTECTED, Mode.LONG, Mode.LONG_USER}) {
            ProcessorState state = start(mode, "0f0b");
            gate(mode, INVALID_OPCODE, codeSelector(mode), 0x0e00);
            assertDelivered(guest.run(state), NOT_PRESENT, INVALID_OPCODE * 8 + 3, SystemGuest.CODE);
        }
    }

    @Test
    void aGateThatIsNotPresentIsADoubleFaultAfterAPageFault() throws Exception {
        ProcessorState state = start(Mode.LONG, "48a10000ff7f00000000");
        gate(Mode.LONG, PAGE_FAULT, SystemGuest.CODE_64, 0x0e00);
        assertDelivered(guest.run(state), DOUBLE_FAULT, 0, SystemGuest.CODE);
    }

    @Test
    void aDoubleFaultThatCannotBeDeliveredShutsDown() throws Exception {
        for (Mode mode : new Mode[] {Mode.PROTECTED, Mode.LONG, Mode.LONG_USER}) {
            ProcessorState state = start(mode, "f7f1");
            gate(mode, 0, codeSelector(mode), 0x0e00);
            gate(mode, DOUBLE_FAULT, codeSelector(mode), 0x0e00);
            assertEquals("Shutdown[detail=triple fault]", guest.run(state).exit());
        }
    }

    @Test
    void aGateOfAWrongTypeOrToAWrongSegmentIsRefusedByItsName() throws Exception {
        for (Mode mode : new Mode[] {Mode.PROTECTED, Mode.LONG}) {
            ProcessorState state = start(mode, "0f0b");
            gate(mode, INVALID_OPCODE, codeSelector(mode), 0x8c00);
            assertDelivered(guest.run(state), PROTECTION, INVALID_OPCODE * 8 + 3, SystemGuest.CODE);
            state = start(mode, "0f0b");
            gate(mode, INVALID_OPCODE, SystemGuest.DATA_32, PRESENT_GATE);
            assertDelivered(guest.run(state), PROTECTION, SystemGuest.DATA_32 | 1, SystemGuest.CODE);
            state = start(mode, "0f0b");
            gate(mode, INVALID_OPCODE, 0, PRESENT_GATE);
            assertDelivered(guest.run(state), PROTECTION, 1, SystemGuest.CODE);
        }
    }

    @Test
    void aSoftwareInterruptNeedsAGateForItsLevelAndReturnsBehindItself() throws Exception {
        ProcessorState state = start(Mode.LONG_USER, "cd40");
        assertDelivered(guest.run(state), PROTECTION, 0x40 * 8 + 2, SystemGuest.CODE);
        state = start(Mode.LONG_USER, "cd40");
        gate(Mode.LONG_USER, 0x40, SystemGuest.CODE_64, GATE_OF_USER);
        Outcome outcome = guest.run(state);
        assertDelivered(outcome, 0x40, NO_CODE, SystemGuest.CODE + 2);
        assertEquals(SystemGuest.STACK_OF_TASK - 40, outcome.state().general().rsp(), "the stack of the task");
        assertEquals(SystemGuest.STACK_OF_USER, guest.ram.getLong(SystemGuest.STACK_OF_TASK - 16));
        for (Mode mode : new Mode[] {Mode.PROTECTED, Mode.LONG}) {
            assertDelivered(guest.run(start(mode, "cd40")), 0x40, NO_CODE, SystemGuest.CODE + 2);
            assertDelivered(guest.run(start(mode, "cc")), 3, NO_CODE, SystemGuest.CODE + 1);
        }
    }

    @Test
    void aStackThatIsNotCanonicalMakesADoubleFaultOfAContributoryOne() throws Exception {
        ProcessorState state = start(Mode.LONG_USER, "f7f1");
        guest.ram.setLong(SystemGuest.TASK + 4, 1L << 47);
        gate(Mode.LONG_USER, DOUBLE_FAULT, SystemGuest.CODE_64, PRESENT_GATE | 1);
        assertDelivered(guest.run(state), DOUBLE_FAULT, 0, SystemGuest.CODE);
        state = start(Mode.LONG_USER, "0f0b"); // a benign one
        guest.ram.setLong(SystemGuest.TASK + 4, 1L << 47);
        gate(Mode.LONG_USER, STACK, SystemGuest.CODE_64, PRESENT_GATE | 1);
        assertDelivered(guest.run(state), STACK, 1, SystemGuest.CODE);
    }

    // Returns.

    private ProcessorState returning(long rip, int code, long flags, long stack, int stackSelector) {
        ProcessorState state = start(Mode.LONG, "48cf");
        long[] frame = {rip, code, flags, stack, stackSelector};
        for (int i = 0; i < frame.length; i++) {
            guest.ram.setLong(SystemGuest.STACK + 8L * i, frame[i]);
        }
        return state;
    }

    @Test
    void aReturnToUserCodeTakesInnerDataSegmentsAway() throws Exception {
        long target = SystemGuest.CODE + 0x100;
        ProcessorState state =
                returning(target, SystemGuest.CODE_64_USER, 0x2, SystemGuest.STACK_OF_USER, SystemGuest.DATA_USER);
        guest.ram.setByte(target, 0x0f);
        guest.ram.setByte(target + 1, 0x0b);
        Outcome outcome = guest.run(state);
        assertDelivered(outcome, INVALID_OPCODE, NO_CODE, target);
        assertEquals(0, outcome.state().system().ds().selector());
        assertEquals(
                SystemGuest.CODE_64_USER,
                guest.ram.getLong(outcome.state().general().rsp() + 8));
    }

    @Test
    void aReturnThatCannotBeIsRefusedWithTheSelectorAndNothingChanges() throws Exception {
        Object[][] cases = {
            {SystemGuest.HANDLERS, SystemGuest.DATA_32, SystemGuest.DATA_32, PROTECTION, SystemGuest.DATA_32},
            {SystemGuest.HANDLERS, 0, SystemGuest.DATA_32, PROTECTION, 0},
            {SystemGuest.HANDLERS, SystemGuest.CODE_64 | 3, SystemGuest.DATA_USER, PROTECTION, SystemGuest.CODE_64},
            {SystemGuest.HANDLERS, SystemGuest.CODE_64_USER, SystemGuest.DATA_32 | 3, PROTECTION, SystemGuest.DATA_32},
            {SystemGuest.HANDLERS, 0x1f8, SystemGuest.DATA_32, PROTECTION, 0x1f8},
            {1L << 47, SystemGuest.CODE_64, SystemGuest.DATA_32, PROTECTION, 0}
        };
        for (Object[] c : cases) {
            ProcessorState state = returning((Long) c[0], (Integer) c[1], 2, SystemGuest.STACK_OF_USER, (Integer) c[2]);
            assertDelivered(guest.run(state), (Integer) c[3], (Integer) c[4], SystemGuest.CODE);
        }
    }

    // Interrupts.

    @Test
    void theShadowOfALoadedStackSegmentOrOfStiLastsForOneInstruction() throws Exception {
        PendingEvents shadowed = new PendingEvents(Optional.empty(), Optional.empty(), Shadow.STI, false, 1, false);
        Outcome outcome = guest.run(SystemGuest.withEvents(start(Mode.LONG, "90 90 90"), shadowed));
        assertDelivered(outcome, GuestFault.NMI, NO_CODE, SystemGuest.CODE + 1);
        assertTrue(outcome.state().events().orElseThrow().nmiMasked());
        PendingEvents open = new PendingEvents(Optional.empty(), Optional.empty(), Shadow.NONE, false, 1, false);
        assertDelivered(
                guest.run(SystemGuest.withEvents(start(Mode.LONG, "90 90"), open)),
                GuestFault.NMI,
                NO_CODE,
                SystemGuest.CODE);
    }

    @Test
    void aPendingInterruptIsDeliveredOnceAndItsReturnGoesOn() throws Exception {
        ProcessorState state = start(Mode.LONG, "b001 f4"); // mov al, 1
        guest.ram.setByte(SystemGuest.HANDLERS + 16 * 0x40, 0x48);
        guest.ram.setByte(SystemGuest.HANDLERS + 16 * 0x40 + 1, 0xcf); // iretq
        PendingEvents events = new PendingEvents(
                Optional.empty(), Optional.of(new PendingInterrupt(0x40, false)), Shadow.NONE, false, 0, false);
        Outcome outcome = guest.run(SystemGuest.withEvents(state, events));
        assertEquals("Halt[]", outcome.exit());
        assertEquals(SystemGuest.CODE + 3, outcome.state().general().rip());
        assertEquals(1, outcome.state().general().rax());
        assertEquals(SystemGuest.STACK, outcome.state().general().rsp());
        assertEquals(PendingEvents.NONE, outcome.state().events().orElseThrow());
    }

    // Pages of 32-bit code.

    private ProcessorState paged(ProcessorState state, long cr3, long cr4, long efer) {
        return state.with(state.system().withControl(0x80010031L, cr3, cr4, efer));
    }

    private static final long LEGACY = 0x100000;
    private static final long LEGACY_TABLE = 0x101000;
    private static final long LINEAR = 0x40000000L;

    @Test
    void pagesOf32BitsHaveTheirRightsAndBits() throws Exception {
        String store = "a300000040 f4"; // mov [LINEAR], eax
        for (int entry : new int[] {0xd007, 0xd005, 0xd003, 0xd006}) {
            ProcessorState state = paged(start(Mode.PROTECTED, store), LEGACY, 0x10, 0);
            writeLegacy(entry);
            Outcome outcome = guest.run(state);
            boolean allowed = (entry & 3) == 3;
            if (allowed) {
                assertEquals(SystemGuest.CODE + 6, outcome.state().general().rip());
                assertEquals(entry | 0x60, guest.ram.memory().readInt(LEGACY_TABLE));
                assertEquals(0x27, guest.ram.memory().readInt(LEGACY + 4 * (LINEAR >>> 22)) & 0xff);
            } else {
                assertDelivered(outcome, PAGE_FAULT, (entry & 1) == 0 ? 2 : 3, SystemGuest.CODE);
                assertEquals(LINEAR, outcome.state().system().cr2());
            }
        }
    }

    private void writeLegacy(int entry) {
        for (int i = 0; i < 1024; i++) {
            guest.ram.memory().writeInt(LEGACY + 4L * i, 0);
            guest.ram.memory().writeInt(LEGACY_TABLE + 4L * i, 0);
        }
        guest.ram.memory().writeInt(LEGACY, 0xe7); // the first 4 MiB are one page
        guest.ram.memory().writeInt(LEGACY + 4 * (LINEAR >>> 22), (int) LEGACY_TABLE | 7);
        guest.ram.memory().writeInt(LEGACY_TABLE, entry);
    }

    @Test
    void pagesOfPhysicalAddressExtensionHaveTheirRightsAndReservedBits() throws Exception {
        String load = "a100000040 f4"; // mov eax, [LINEAR]
        long[][] cases = {
            {0xd001, -1}, {0xd000, 0}, {0xd001 | 1L << 62, 9}, {0xd001 | 1L << 45, 9}, {0xd001 | 1L << 63, -1}
        };
        for (long[] c : cases) {
            ProcessorState state = paged(start(Mode.PROTECTED, load), LEGACY, 0x20, 0x800);
            guest.ram.setLong(LEGACY, 0x102001);
            guest.ram.setLong(LEGACY + 8, 0x103001);
            guest.ram.setLong(0x102000, 0xe3);
            guest.ram.setLong(0x103000, 0x104003);
            guest.ram.setLong(0x104000, c[0]);
            guest.ram.setLong(0xd000, 0x12345678);
            Outcome outcome = guest.run(state);
            if (c[1] < 0) {
                assertEquals(0x12345678, outcome.state().general().rax());
                assertEquals(c[0] | 0x20, guest.ram.getLong(0x104000));
            } else {
                assertDelivered(outcome, PAGE_FAULT, (int) c[1], SystemGuest.CODE);
            }
        }
    }

    @Test
    void aTranslationThatWasChangedCountsAfterInvlpg() throws Exception {
        // mov eax, [LINEAR]; mov dword [table], other page; invlpg [LINEAR]; mov ebx, [LINEAR]
        String code = "a100000040 c70500101000 07e00000 0f013d00000040 8b1d00000040 f4";
        ProcessorState state = paged(start(Mode.PROTECTED, code), LEGACY, 0x10, 0);
        writeLegacy(0xd007);
        guest.ram.setLong(0xd000, 0x11111111);
        guest.ram.setLong(0xe000, 0x22222222);
        Outcome outcome = guest.run(state);
        assertEquals("Halt[]", outcome.exit());
        assertEquals(0x11111111, outcome.state().general().rax());
        assertEquals(0x22222222, outcome.state().general().rbx());
    }

    // Beyond the subset.

    @Test
    void whatIsBeyondTheSubsetIsNamedAndLeavesTheRegistersAsTheyWere() throws Exception {
        ProcessorState state = start(Mode.PROTECTED, "0f0b");
        gate(Mode.PROTECTED, INVALID_OPCODE, 0x58, 0x8500);
        assertFailure(guest.run(state), "task gate");
        state = start(Mode.PROTECTED, "ff2f"); // jmp far [edi]
        guest.ram.setLong(SystemGuest.DATA, 0x58L << 32);
        guest.ram.setLong(SystemGuest.GDT + 0x58, 0x8c00L << 32 | SystemGuest.CODE_32 << 16); // a call gate
        assertFailure(guest.run(state), "a gate or a task");
        state = start(Mode.PROTECTED, "cf"); // iret to virtual-8086 mode
        guest.ram.memory().writeInt(SystemGuest.STACK + 8, 0x20002);
        assertFailure(guest.run(state), "virtual-8086");
        assertFailure(guest.run(start(Mode.LONG, "0f34")), "beyond the subset");
        assertFailure(guest.run(start(Mode.LONG, "0f01d1")), ""); // xsetbv
        assertFailure(guest.run(start(Mode.LONG, "0f58c1")), "vector");
        assertFailure(guest.run(start(Mode.LONG, "d9e8")), "x87");
    }

    private static void assertFailure(Outcome outcome, String words) {
        assertTrue(outcome.exit().startsWith("emulation failure at rip 0x8000"), outcome::exit);
        assertTrue(outcome.exit().contains(words), outcome::exit);
        GeneralRegisters g = outcome.state().general();
        assertEquals(SystemGuest.CODE, g.rip());
        assertEquals(SystemGuest.STACK, g.rsp());
    }

    @Test
    void bitsOfControlRegistersThatTheModelHasNotAreRefused() throws Exception {
        for (long bit : new long[] {1L << 11, 1L << 16, 1L << 18, 1L << 20, 1L << 21}) {
            ProcessorState state = start(Mode.LONG, "0f22e0"); // mov cr4, rax
            GeneralRegisters g = GuestStates.at(SystemGuest.CODE)
                    .rsp(SystemGuest.STACK)
                    .rax(0x620 | bit)
                    .done();
            assertDelivered(guest.run(state.with(g)), PROTECTION, 0, SystemGuest.CODE);
        }
    }
}

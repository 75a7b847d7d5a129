package io.membacking.partition.whp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.Availability;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionMapping;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.contract.BackendFixture;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** What a platform that refuses is answered with, and that nothing is left behind. */
class WhpFailureTest extends BackendFixture {
    private static final List<String> COUNTED = List.of("partitions", "processors", "mappings", "views");
    private static final PartitionRequest REQUEST =
            new PartitionRequest("failing", false, false, 2, Optional.empty(), true);

    private final Map<String, Integer> switched = new HashMap<>();
    private int failAt = -1;
    private int counted;
    private String failCall = "";
    private int failure = Hresult.E_OUTOFMEMORY;
    private final List<String> failed = new ArrayList<>();

    /** The real calls, of which some fail. */
    private final class Failing extends ForwardingCalls {
        private Failing() {
            super(new SurrogateCalls());
        }

        @Override
        int before(String call) {
            if (counted++ != failAt && !call.equals(failCall)) {
                return 0;
            }
            failed.add(call);
            return failure;
        }
    }

    @Override
    protected PartitionBackend createBackend() {
        Shim.find();
        return new WhpBackend(new Failing());
    }

    @BeforeEach
    void requireShim(TestInfo test) {
        BackendRequirement.require(Shim.isThere(), test, "WinHvPlatform is not the library for tests");
    }

    @AfterEach
    void switchBack() {
        failNothing();
        switched.forEach(Shim::set);
    }

    private void set(String name, int value) {
        switched.putIfAbsent(name, (int) Shim.count(name));
        Shim.set(name, value);
    }

    private void failNothing() {
        failAt = -1;
        failCall = "";
        failed.clear();
    }

    private static Map<String, Long> counts() {
        Map<String, Long> counts = new HashMap<>();
        COUNTED.forEach(name -> counts.put(name, Shim.count(name)));
        return counts;
    }

    @Test
    void withoutAHypervisorTheRemedyNamesFeatureAndFirmware() {
        set("hypervisor.present", 0);
        try (WhpBackend fresh = new WhpBackend()) {
            Availability availability = fresh.availability();
            assertFalse(availability.usable());
            assertTrue(availability.reason().contains("hypervisor"), availability::reason);
            assertTrue(availability.remedy().contains("HypervisorPlatform"), availability::remedy);
            assertTrue(availability.remedy().contains("firmware"), availability::remedy);
            BackendException refused = assertThrows(BackendException.class, () -> fresh.createPartition(REQUEST));
            assertTrue(refused.getMessage().contains("HypervisorPlatform"), refused::getMessage);
            assertFalse(fresh.capabilities().dirtyLog(), "the least is told all the same");
        }
    }

    @Test
    void theRuleOfOnePartitionAProcessIsNamedWhereNothingGoesRoundIt() throws Exception {
        set("one.mapped.partition", 1);
        partitionWithRam();
        PartitionMapping whole = ram.at(0);
        PartitionMapping unsourced =
                new PartitionMapping(whole.range(), whole.hva(), whole.memory(), whole.memoryGpa(), true, true);
        Partition second = partition();
        BackendException refused = assertThrows(BackendException.class, () -> second.map(unsourced));
        assertEquals(
                Hresult.PARTITION_ALREADY_EXISTS,
                refused.failure().nativeError().orElseThrow().code());
        assertTrue(refused.getMessage().contains("another partition of this process"), refused::getMessage);
        for (String call : List.of("startSurrogate", "mapSection", "mapGpaRange2")) {
            failCall = call;
            assertThrows(BackendException.class, () -> second.map(whole));
            assertEquals(List.of(), second.mappings());
            assertEquals(0, SurrogateCalls.running(), call);
            failNothing();
        }
        second.map(whole);
        assertEquals(1, SurrogateCalls.running());
        MemoryRange part = MemoryRange.ofLength(MIB, MIB);
        second.unmap(part);
        assertEquals(1, SurrogateCalls.running(), "two pieces are left");
        for (PartitionMapping left : second.mappings()) {
            second.unmap(left.range());
        }
        assertEquals(0, SurrogateCalls.running());
        second.map(whole);
        second.close();
        assertEquals(0, SurrogateCalls.running());
    }

    @Test
    void addressesThatThePlatformRefusesAreAnErrorWithTheirRange() throws Exception {
        set("large.address.bits", 32);
        Partition partition = partition();
        PartitionMapping high = ram.at(MemoryRange.ofLength(1L << 33, 0x1000), 0, true);
        BackendException refused = assertThrows(BackendException.class, () -> partition.map(high));
        assertEquals(high.range(), refused.failure().range().orElseThrow());
        assertEquals(
                Hresult.E_INVALIDARG,
                refused.failure().nativeError().orElseThrow().code());
        assertEquals(List.of(), partition.mappings());
    }

    @Test
    void memoryThatTheHostTakesAwayIsAFaultAndNoCrash() throws Exception {
        Processor processor = ready(
                GuestProgram.USER_PEEKPOKE,
                registers().rdi(0x100000).rsi(0x101000).rdx(1).rbx(UNMAPPED));
        ram.setAccessible(0x100000, 0x2000, false);
        Exit.MemoryFault fault = runTo(processor, Exit.MemoryFault.class);
        assertEquals(0x100000, fault.gpa() & ~0xfff);
        ram.setAccessible(0x100000, 0x2000, true);
        runTo(processor, Exit.Mmio.class);
        assertEquals(1, ram.getLong(0x101000));
    }

    @Test
    void writtenPagesAreNotLostWhereTheRestCannotBeTold() throws Exception {
        Partition partition = autoClose(backend().createPartition(REQUEST));
        MemoryRange low = MemoryRange.ofLength(0, MIB);
        MemoryRange high = MemoryRange.ofLength(MIB, MIB);
        partition.map(ram.at(low, 0, true));
        partition.map(ram.at(high, MIB, true));
        MemoryRange all = MemoryRange.ofLength(0, 2 * MIB);
        Processor processor = ready(
                partition,
                GuestProgram.PROTECTED_PEEKPOKE,
                registers().rbx(0x20000).rcx(0x30000).rax(1));
        partition.takeDirty(all);
        runTo(processor, Exit.Halt.class);
        counted = 0;
        failAt = 1; // the second range
        assertThrows(BackendException.class, () -> partition.takeDirty(all));
        assertEquals(List.of("queryGpaRangeDirtyBitmap"), failed);
        failNothing();
        assertTrue(partition.takeDirty(all).get(0x30));
        assertFalse(partition.takeDirty(all).get(0x30), "told once");
    }

    @Test
    void aVectorRegisterThatCannotBeReadIsNoZeroForADevice() throws Exception {
        byte[] code = {0x0f, 0x11, 0x03, (byte) 0xf4}; // movups [rbx], xmm0; hlt
        ram.write(0x8000, code);
        Partition partition = autoClose(backend().createPartition(REQUEST));
        partition.map(ram.at(0));
        Processor processor = partition.createProcessor(0);
        start(processor, GuestProgram.Mode.LONG, registers().rbx(UNMAPPED).done());
        counted = 0;
        failAt = 2; // after the run and the registers of its exit
        Exit.EmulationFailure exit = assertInstanceOf(Exit.EmulationFailure.class, processor.run());
        assertEquals(List.of("getRegisters"), failed);
        assertTrue(exit.detail().contains("XMM0"), exit::detail);
    }

    @Test
    void everyCallFailedInTurnLeavesNothingBehindAndIsReported() throws Exception {
        ram.write(0x8000, GuestProgram.PROTECTED_PEEKPOKE.bytes());
        partition().close(); // so that what the platform can do is known
        Map<String, Long> held = counts();
        int failures = 0;
        int n = 0;
        boolean reached = true;
        while (reached) {
            failed.clear();
            counted = 0;
            failAt = n++;
            try (Partition partition = backend().createPartition(REQUEST)) {
                partition.map(ram.at(0));
                partition.prefetch(MemoryRange.ofLength(0, MIB));
                Processor processor = partition.createProcessor(0);
                ProcessorState state = processor.state();
                start(
                        processor,
                        GuestProgram.Mode.PROTECTED,
                        registers().rbx(UNMAPPED).rcx(0x20000).done());
                assertInstanceOf(Exit.Mmio.class, processor.run());
                processor.completeExit();
                processor.setState(state);
                partition.takeDirty(MemoryRange.ofLength(0, MIB));
                partition.unmap(ram.at(0).range());
            } catch (BackendException e) {
                failures++;
                assertFalse(e.failure().operation().isEmpty());
                assertFalse(e.failure().problem().isEmpty());
                assertFalse(failed.isEmpty(), () -> "it failed by itself: " + e);
            }
            reached = !failed.isEmpty();
            assertEquals(held, counts(), failed::toString);
        }
        assertTrue(failures > 20, "only " + failures + " calls were failed");
    }
}

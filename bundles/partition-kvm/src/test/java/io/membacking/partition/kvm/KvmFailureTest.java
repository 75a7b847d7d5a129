package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Pointer;
import io.membacking.error.BackendException;
import io.membacking.partition.Availability;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.GuestStates;
import io.membacking.partition.contract.TestRam;
import io.membacking.range.MemoryRange;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** What a KVM that refuses is answered with, and that nothing is left behind. */
class KvmFailureTest {
    private static final PartitionRequest REQUEST = new PartitionRequest("failing", true, 2);

    private int failAt = -1;
    private int counted;
    private long failRequest = -1;
    private String failCall = "";
    private int errno = Errno.ENOMEM;
    private FailingSyscalls calls;
    private KvmBackend backend;
    private TestRam ram;

    @BeforeEach
    void open() {
        calls = new FailingSyscalls((call, request) -> {
            boolean now = counted++ == failAt || call.equals(failCall) || request == failRequest;
            return now ? errno : 0;
        });
        backend = new KvmBackend(calls);
        ram = new TestRam(0x10000);
    }

    @AfterEach
    void closeAndCount() {
        failNothing();
        backend.close();
        assertEquals(Set.of(), calls.open);
        assertEquals(Set.of(), calls.mapped);
        assertTrue(calls.closed);
        ram.close();
    }

    private void failNothing() {
        failAt = -1;
        failRequest = -1;
        failCall = "";
    }

    @Test
    void aMissingDeviceSaysWhatToLoad() {
        failCall = "open";
        errno = Errno.ENOENT;
        Availability availability = backend.availability();
        assertFalse(availability.usable());
        assertTrue(availability.reason().contains("/dev/kvm"), availability::reason);
        assertTrue(availability.reason().contains("ENOENT"), availability::reason);
        assertTrue(availability.remedy().contains("modprobe"), availability::remedy);
        BackendException refused = assertThrows(BackendException.class, () -> backend.createPartition(REQUEST));
        assertEquals(Errno.ENOENT, refused.failure().nativeError().orElseThrow().code());
        assertTrue(backend.capabilities().physicalAddressWidth() >= 36, "capabilities are told all the same");
        assertFalse(backend.capabilities().prefetch());
    }

    @Test
    void aClosedDeviceSaysWhichGroup() {
        failCall = "open";
        errno = Errno.EACCES;
        Availability availability = backend.availability();
        assertFalse(availability.usable());
        assertTrue(availability.reason().contains("EACCES"), availability::reason);
        assertTrue(availability.remedy().contains("group kvm"), availability::remedy);
        assertTrue(availability.remedy().contains(System.getProperty("user.name")), availability::remedy);
    }

    @Test
    void aDeviceThatIsNotKvmIsRefused(TestInfo test) {
        BackendRequirement.require(backend, test);
        failRequest = KvmAbi.KVM_GET_API_VERSION;
        errno = Errno.ENOTTY;
        assertFalse(backend.availability().usable());
        assertTrue(backend.availability().remedy().contains("/dev/kvm"));
    }

    @Test
    void capabilitiesAreAskedAgainOnceTheDeviceIsThere(TestInfo test) {
        try (KvmBackend present = new KvmBackend()) {
            BackendRequirement.require(present, test);
        }
        failCall = "open";
        assertEquals(32, backend.capabilities().maxMappings());
        failNothing();
        assertTrue(backend.capabilities().maxMappings() > 32);
    }

    @Test
    void tooManyOpenFilesNamesTheLimit(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        errno = Errno.EMFILE;
        for (long request : List.of(KvmAbi.KVM_CREATE_VM, KvmAbi.KVM_CREATE_VCPU)) {
            failNothing();
            try (Partition other = backend.createPartition(REQUEST)) {
                failRequest = request;
                BackendException refused = assertThrows(BackendException.class, () -> {
                    try (Partition partition = backend.createPartition(REQUEST)) {
                        partition.createProcessor(0);
                    }
                });
                assertTrue(refused.getMessage().contains("EMFILE"), refused::getMessage);
                assertTrue(refused.failure().remedy().contains("ulimit -n"), refused::getMessage);
                failNothing();
                other.createProcessor(1);
            }
            assertEquals(Set.of(), calls.open);
        }
    }

    @Test
    void aRefusedSlotLeavesTheBookAsItWasAndTheSecondTryWorks(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        MemoryRange range = MemoryRange.ofLength(0x100000, 0x1000);
        for (int each : new int[] {Errno.ENOSPC, Errno.EINVAL, Errno.ENOMEM, Errno.EEXIST}) {
            failNothing();
            try (Partition partition = backend.createPartition(REQUEST)) {
                errno = each;
                failRequest = KvmAbi.KVM_SET_USER_MEMORY_REGION;
                BackendException refused =
                        assertThrows(BackendException.class, () -> partition.map(ram.at(range, 0, true)));
                assertEquals(range, refused.failure().range().orElseThrow());
                assertEquals(each, refused.failure().nativeError().orElseThrow().code());
                assertEquals(List.of(), partition.mappings());
                failNothing();
                partition.map(ram.at(range, 0, true));
                failRequest = KvmAbi.KVM_SET_USER_MEMORY_REGION;
                assertThrows(BackendException.class, () -> partition.unmap(range));
                assertEquals(1, partition.mappings().size());
                failNothing();
                partition.unmap(range);
            }
        }
    }

    @Test
    void whateverTheKernelSaysThereIsSomethingToDo() {
        for (int each = 1; each <= Errno.EHWPOISON; each++) {
            BackendException failed = KvmErrors.failed("do this", null, "KVM does not", -each);
            assertFalse(failed.failure().remedy().isEmpty(), failed::getMessage);
            failed = KvmErrors.noDevice("do this", "/dev/kvm", -each);
            assertFalse(failed.failure().remedy().isEmpty(), failed::getMessage);
        }
    }

    @Test
    void unmappingNothingSaysWhatCanBeUnmapped(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        try (Partition partition = backend.createPartition(REQUEST)) {
            MemoryRange range = MemoryRange.ofLength(0x100000, 0x1000);
            BackendException refused = assertThrows(BackendException.class, () -> partition.unmap(range));
            assertEquals(range, refused.failure().range().orElseThrow());
            assertFalse(refused.failure().remedy().isEmpty());
        }
    }

    @Test
    void everyCallFailedInTurnLeavesNothingBehindAndIsReported(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        int failures = 0;
        int n = 0;
        boolean reached = true;
        while (reached) {
            calls.failed.clear();
            counted = 0;
            failAt = n++;
            try (Partition partition = backend.createPartition(REQUEST)) {
                partition.map(ram.at(0));
                Processor processor = partition.createProcessor(0);
                ProcessorState state = processor.state();
                processor.setState(state);
                partition.setInterruptLine(1, true);
                partition.unmap(MemoryRange.ofLength(0, 0x10000));
            } catch (BackendException e) {
                failures++;
                assertFalse(e.failure().operation().isEmpty());
                assertFalse(e.failure().problem().isEmpty());
                assertFalse(e.failure().remedy().isEmpty());
                assertFalse(calls.failed.isEmpty(), () -> "it failed by itself: " + e);
            }
            reached = !calls.failed.isEmpty();
            String step = calls.failed.toString();
            assertEquals(Set.of(), calls.open, step);
            assertEquals(Set.of(), calls.mapped, step);
        }
        assertTrue(failures > 20, "only " + failures + " calls were failed");
    }

    /** KVM keeps what it has made of a processor until the partition ends, and makes none with the same index again. */
    @Test
    void aProcessorThatCouldNotBeFinishedIsFinishedAtTheNextTry(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        int tries = 0;
        boolean failed = true;
        while (failed) {
            try (Partition partition = backend.createPartition(REQUEST)) {
                partition.map(ram.at(0));
                calls.failed.clear();
                counted = 0;
                failAt = tries++;
                Processor processor;
                try {
                    processor = partition.createProcessor(1); // not all failures matter
                } catch (BackendException e) {
                    assertFalse(calls.failed.isEmpty(), () -> "it failed by itself: " + e);
                    failNothing();
                    processor = partition.createProcessor(1);
                }
                failed = !calls.failed.isEmpty();
                failNothing();
                processor.setState(GuestStates.real(processor.state(), GeneralRegisters.at(0)));
                ram.write(0, new byte[] {(byte) 0xe6, 0x77}); // out 0x77, al
                assertInstanceOf(Exit.PortIo.class, processor.run(), calls.failed.toString());
            }
            assertEquals(Set.of(), calls.open);
        }
        assertTrue(tries > 20, "only " + tries + " calls were failed");
    }

    @Test
    void aPrefetchThatCannotMakeProcessor0LeavesItToBeMade(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        boolean[] failing = {true};
        FailingSyscalls own = new PrefetchingSyscalls() {
            @Override
            public long map(int fd, long length) {
                return failing[0] ? -Errno.ENOMEM : super.map(fd, length);
            }
        };
        try (KvmBackend kvm = new KvmBackend(own);
                Partition partition = kvm.createPartition(new PartitionRequest("prefetch", false, 1))) {
            partition.map(ram.at(0));
            MemoryRange range = MemoryRange.ofLength(0x1000, 0x2000);
            assertThrows(BackendException.class, () -> partition.prefetch(range));
            failing[0] = false;
            partition.prefetch(range);
            assertEquals(0, partition.createProcessor(0).index());
        }
    }

    @Test
    void prefetchGoesThroughAProcessorThatIsFreeAndMakesOneIfThereIsNone(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        try (KvmBackend own = new KvmBackend(new PrefetchingSyscalls());
                Partition partition = own.createPartition(new PartitionRequest("prefetch", false, 1))) {
            assertTrue(partition.capabilities().prefetch());
            partition.map(ram.at(0));
            MemoryRange range = MemoryRange.ofLength(0x1000, 0x8000);
            MemoryRange more = MemoryRange.ofLength(0x1000, 0x10000);
            assertThrows(BackendException.class, () -> partition.prefetch(more));
            assertEquals(List.of(), prefetched);
            partition.prefetch(range);
            assertEquals(List.of(0x1000L, 0x3000L, 0x5000L, 0x7000L), prefetched);
            Processor processor = partition.createProcessor(0);
            assertThrows(BackendException.class, () -> partition.createProcessor(0));
            partition.prefetch(range);
            prefetchErrno = Errno.ENOMEM;
            BackendException refused = assertThrows(BackendException.class, () -> partition.prefetch(range));
            assertEquals(range, refused.failure().range().orElseThrow());
            assertEquals(
                    Errno.ENOMEM, refused.failure().nativeError().orElseThrow().code());
            prefetchErrno = 0;
            ram.write(0, new byte[] {(byte) 0xfe, 0x06, 0x00, 0x20, (byte) 0xeb, (byte) 0xfa}); // incb [0x2000]; jmp
            processor.setState(GuestStates.real(processor.state(), GeneralRegisters.at(0)));
            FutureTask<Exit> run = new FutureTask<>(processor::run);
            new Thread(run, "spinner").start();
            while (ram.getByte(0x2000) == 0 && !run.isDone()) {
                Thread.onSpinWait();
            }
            refused = assertThrows(BackendException.class, () -> partition.prefetch(range));
            assertTrue(refused.getMessage().contains("inside the guest"), refused::getMessage);
            processor.cancel();
            assertInstanceOf(Exit.Cancelled.class, run.get());
        }
    }

    /** What reading clears, a whole slot at a time, is not lost if a part of it was asked for; nor is what was taken before a failure. */
    @Test
    void theDirtyLogLosesNothingWhereReadingClearsItAndWhereAReadFails(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        for (boolean manual : new boolean[] {false, true}) {
            boolean[] failing = {false};
            FailingSyscalls own =
                    new FailingSyscalls((call, request) ->
                            failing[0] && request == KvmAbi.KVM_GET_DIRTY_LOG && counted++ == 1 ? Errno.ENOMEM : 0) {
                        @Override
                        public int ioctl(int fd, long request, long argument) {
                            return request == KvmAbi.KVM_CHECK_EXTENSION
                                            && argument == KvmAbi.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2
                                            && !manual
                                    ? 0
                                    : super.ioctl(fd, request, argument);
                        }
                    };
            PartitionRequest request = new PartitionRequest("log", false, false, 1, Optional.empty(), true);
            try (KvmBackend kvm = new KvmBackend(own);
                    Partition partition = kvm.createPartition(request)) {
                MemoryRange low = new MemoryRange(0, 0x8000);
                MemoryRange high = new MemoryRange(0x8000, 0x10000);
                partition.map(ram.at(low, 0, true));
                partition.map(ram.at(high, 0x8000, true));
                Processor processor = partition.createProcessor(0);
                // incb [0x2000]; incb [0x5000]; incb [0x9000]; hlt
                byte[] code = {
                    (byte) 0xfe,
                    0x06,
                    0x00,
                    0x20,
                    (byte) 0xfe,
                    0x06,
                    0x00,
                    0x50,
                    (byte) 0xfe,
                    0x06,
                    0x00,
                    (byte) 0x90,
                    (byte) 0xf4
                };
                ram.write(0, code);
                processor.setState(GuestStates.real(processor.state(), GeneralRegisters.at(0)));
                assertInstanceOf(Exit.Halt.class, processor.run());
                MemoryRange all = new MemoryRange(0, 0x10000);
                MemoryRange part = new MemoryRange(0x3000, 0x6000);
                assertEquals(BitSet.valueOf(new long[] {1 << 2}), partition.takeDirty(part)); // the page at 0x5000
                counted = 0;
                failing[0] = true;
                assertThrows(BackendException.class, () -> partition.takeDirty(all));
                failing[0] = false;
                assertEquals(BitSet.valueOf(new long[] {1 << 2 | 1 << 9}), partition.takeDirty(all));
                assertEquals(new BitSet(), partition.takeDirty(all));
                // The log of a mapping ends with it.
                processor.setState(GuestStates.real(processor.state(), GeneralRegisters.at(0)));
                assertInstanceOf(Exit.Halt.class, processor.run());
                assertEquals(BitSet.valueOf(new long[] {1 << 2}), partition.takeDirty(part));
                partition.unmap(low);
                partition.map(ram.at(low, 0, true));
                assertEquals(new BitSet(), partition.takeDirty(low));
            }
        }
    }

    @Test
    void aProcessorThatAPrefetchGoesThroughIsNotBusyButSoonFree(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        try (KvmBackend own = new KvmBackend(new PrefetchingSyscalls());
                Partition partition = own.createPartition(new PartitionRequest("prefetch", false, 1))) {
            partition.map(ram.at(0));
            Processor processor = partition.createProcessor(0);
            FutureTask<ProcessorState> state = new FutureTask<>(processor::state);
            Thread user = new Thread(state, "user");
            onPrefetch = () -> {
                onPrefetch = () -> {};
                user.start();
                while (user.getState() != Thread.State.WAITING && !state.isDone()) {
                    Thread.onSpinWait();
                }
            };
            partition.prefetch(MemoryRange.ofLength(0x1000, 0x4000));
            assertEquals(0xfff0, state.get().general().rip());
        }
    }

    private final List<Long> prefetched = new ArrayList<>();
    private Runnable onPrefetch = () -> {};
    private int prefetchErrno;
    private long prefetchStep = 0x2000;
    private static final long MIB = 1L << 20;

    private static void awaitWaiting(Thread thread) {
        while (thread.getState() != Thread.State.WAITING && thread.isAlive()) {
            Thread.onSpinWait();
        }
    }

    @Test
    void closingAPartitionWaitsForAPieceOfAPrefetchAndNotForAll(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        prefetchStep = Long.MAX_VALUE;
        try (TestRam large = new TestRam(40 * MIB);
                KvmBackend own = new KvmBackend(new PrefetchingSyscalls());
                Partition partition = own.createPartition(new PartitionRequest("prefetch", false, 1))) {
            partition.map(large.at(0));
            Thread closer = new Thread(partition::close, "closer");
            onPrefetch = () -> {
                closer.start();
                awaitWaiting(closer);
            };
            IllegalStateException closed = assertThrows(
                    IllegalStateException.class, () -> partition.prefetch(MemoryRange.ofLength(0, 40 * MIB)));
            assertTrue(closed.getMessage().contains("closed"), closed::getMessage);
            closer.join();
            assertEquals(List.of(0L), prefetched);
        }
    }

    @Test
    void whoWantsAProcessorGetsItBetweenTwoPiecesOfAPrefetch(TestInfo test) throws Exception {
        BackendRequirement.require(backend, test);
        prefetchStep = Long.MAX_VALUE;
        List<String> order = new ArrayList<>();
        FailingSyscalls calls = new PrefetchingSyscalls() {
            @Override
            public int ioctl(int fd, long request, Pointer argument) {
                if (request == KvmAbi.KVM_GET_REGS) {
                    order.add("state");
                } else if (request == KvmAbi.KVM_PRE_FAULT_MEMORY) {
                    order.add("piece");
                }
                return super.ioctl(fd, request, argument);
            }
        };
        try (TestRam large = new TestRam(40 * MIB);
                KvmBackend own = new KvmBackend(calls);
                Partition partition = own.createPartition(new PartitionRequest("prefetch", false, 1))) {
            partition.map(large.at(0));
            Processor processor = partition.createProcessor(0);
            FutureTask<ProcessorState> state = new FutureTask<>(processor::state);
            Thread user = new Thread(state, "user");
            onPrefetch = () -> {
                onPrefetch = () -> {};
                user.start();
                awaitWaiting(user);
            };
            order.clear();
            partition.prefetch(MemoryRange.ofLength(0, 40 * MIB));
            state.get();
            assertEquals(List.of("piece", "state", "piece", "piece"), order);
            assertEquals(List.of(0L, 16 * MIB, 32 * MIB), prefetched);
            // The guest itself does not give it back.
            large.write(0, new byte[] {(byte) 0xeb, (byte) 0xfe}); // jmp .
            processor.setState(GuestStates.real(processor.state(), GeneralRegisters.at(0)));
            FutureTask<Exit> run = new FutureTask<>(processor::run);
            Thread spinner = new Thread(run, "spinner");
            onPrefetch = () -> {
                spinner.start();
                awaitWaiting(spinner);
            };
            BackendException refused =
                    assertThrows(BackendException.class, () -> partition.prefetch(MemoryRange.ofLength(0, 40 * MIB)));
            assertTrue(refused.getMessage().contains("inside the guest"), refused::getMessage);
            assertEquals(
                    new MemoryRange(16 * MIB, 40 * MIB),
                    refused.failure().range().orElseThrow());
            processor.cancel();
            assertInstanceOf(Exit.Cancelled.class, run.get());
            processor.close();
            refused = assertThrows(BackendException.class, () -> partition.prefetch(MemoryRange.ofLength(0, MIB)));
            assertTrue(refused.getMessage().contains("closed"), refused::getMessage);
        }
    }

    /** Has the call that this KVM may lack, and does it two pages at a time, or as many as is said. */
    private class PrefetchingSyscalls extends FailingSyscalls {
        PrefetchingSyscalls() {
            super((call, request) -> 0);
        }

        @Override
        public int ioctl(int fd, long request, long argument) {
            return request == KvmAbi.KVM_CHECK_EXTENSION && argument == KvmAbi.KVM_CAP_PRE_FAULT_MEMORY
                    ? 1
                    : super.ioctl(fd, request, argument);
        }

        @Override
        public int ioctl(int fd, long request, Pointer argument) {
            if (request != KvmAbi.KVM_PRE_FAULT_MEMORY || prefetchErrno != 0) {
                return request != KvmAbi.KVM_PRE_FAULT_MEMORY ? super.ioctl(fd, request, argument) : -prefetchErrno;
            }
            long gpa = argument.getLong(KvmAbi.PRE_FAULT_GPA);
            prefetched.add(gpa);
            onPrefetch.run();
            long bytes = argument.getLong(KvmAbi.PRE_FAULT_BYTES);
            long step = Math.min(prefetchStep, bytes);
            argument.setLong(KvmAbi.PRE_FAULT_GPA, gpa + step);
            argument.setLong(KvmAbi.PRE_FAULT_BYTES, bytes - step);
            return 0;
        }
    }
}

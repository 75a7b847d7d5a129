package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.BackendException;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.PlatformState;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.PendingEvents;
import io.membacking.partition.ProcessorState.PendingException;
import io.membacking.partition.ProcessorState.Shadow;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.TestRam;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** The calls by which states are read and set, where what comes of them cannot be seen on every KVM. */
class KvmStateCallsTest {
    private static final PartitionRequest REQUEST = new PartitionRequest("calls", true, 1);
    private static final String OFFSET = "offset";

    /** Numbers of registers that no processor has. */
    private static final int INVENTED = 0x12340000;

    private static final String STOPPED = "stopped";

    /** What was set: {@link #OFFSET}, {@link #STOPPED}, and the numbers of model-specific registers of one call. */
    private final List<String> set = new ArrayList<>();

    @BeforeEach
    void require(TestInfo test) {
        try (KvmBackend backend = new KvmBackend()) {
            BackendRequirement.require(backend, test);
        }
    }

    /** Records, and has the attribute of the TSC's offset whether KVM has it or not. */
    private class RecordingSyscalls extends FailingSyscalls {
        RecordingSyscalls() {
            super((call, request) -> 0);
        }

        @Override
        public int ioctl(int fd, long request, long argument) {
            if (request == KvmAbi.KVM_KVMCLOCK_CTRL) {
                set.add(STOPPED);
            }
            return super.ioctl(fd, request, argument);
        }

        @Override
        public int ioctl(int fd, long request, Pointer argument) {
            if (request == KvmAbi.KVM_SET_MSRS) {
                List<String> numbers = new ArrayList<>();
                for (int i = 0; i < argument.getInt(KvmAbi.MSRS_COUNT); i++) {
                    numbers.add(Integer.toHexString(argument.getInt(MsrList.entry(i) + KvmAbi.MSR_INDEX)));
                }
                set.add(String.join(" ", numbers));
            } else if (request == KvmAbi.KVM_SET_DEVICE_ATTR) {
                set.add(OFFSET);
            }
            boolean attribute = request == KvmAbi.KVM_HAS_DEVICE_ATTR
                    || request == KvmAbi.KVM_GET_DEVICE_ATTR
                    || request == KvmAbi.KVM_SET_DEVICE_ATTR;
            return attribute ? 0 : super.ioctl(fd, request, argument);
        }
    }

    /** A Linux guest takes the time that it was away for a lockup otherwise. */
    @Test
    void aGuestWithKvmsClockIsToldThatItWasStopped() throws Exception {
        try (TestRam ram = new TestRam(0x10000);
                KvmBackend backend = new KvmBackend(new RecordingSyscalls());
                Partition partition = backend.createPartition(REQUEST)) {
            partition.map(ram.at(0));
            Processor processor = partition.createProcessor(0);
            ProcessorState state = processor.state();
            set.clear();
            processor.setState(state);
            assertEquals(List.of(OFFSET), set);
            String both = "12 4b564d01"; // two numbers of one register
            set.clear();
            processor.setState(withMsr(withMsr(state, 0x12, 0x5001), 0x4b564d01, 0x5001));
            assertEquals(List.of(both, OFFSET, STOPPED), set);
            set.clear();
            processor.setState(withMsr(withMsr(state, 0x12, 0x5000), 0x4b564d01, 0x5000));
            assertEquals(List.of(both, OFFSET), set);
        }
    }

    private static ProcessorState withMsr(ProcessorState state, int number, long value) {
        PlatformState platform = state.platform().orElseThrow();
        byte[] entries = platform.part(StateParts.MSRS);
        ByteBuffer bytes = ByteBuffer.wrap(entries).order(ByteOrder.LITTLE_ENDIAN);
        boolean found = false;
        for (int at = 0; at < entries.length; at += KvmAbi.MSR_ENTRY_SIZE) {
            if (bytes.getInt(at + KvmAbi.MSR_INDEX) == number) {
                bytes.putLong(at + KvmAbi.MSR_DATA, value);
                found = true;
            }
        }
        assertTrue(found, () -> "no register 0x" + Integer.toHexString(number));
        SortedMap<String, byte[]> parts = new TreeMap<>();
        platform.names().forEach(each -> parts.put(each, platform.part(each)));
        parts.put(StateParts.MSRS, entries);
        return with(state, state.events(), Optional.of(new PlatformState(platform.format(), parts)));
    }

    private static ProcessorState with(
            ProcessorState state, Optional<PendingEvents> events, Optional<PlatformState> platform) {
        return new ProcessorState(
                state.general(),
                state.system(),
                state.msrs(),
                state.vectors(),
                state.debug(),
                events,
                state.activity(),
                platform);
    }

    /** A state with an event that does not exist, which KVM sees last. */
    private static ProcessorState refused(ProcessorState state) {
        PendingEvents impossible = new PendingEvents(
                Optional.of(new PendingException(2, Optional.empty(), true, Optional.empty())),
                Optional.empty(),
                Shadow.NONE,
                false,
                0,
                false);
        return with(state, Optional.of(impossible), state.platform());
    }

    /** KVM reckons by the offset of that moment when the timer is to expire. */
    @Test
    void theDeadlineOfTheTimerIsSetAfterTheTscsOffsetAndAlone() throws Exception {
        try (KvmBackend backend = new KvmBackend(new RecordingSyscalls());
                Partition partition = backend.createPartition(REQUEST)) {
            Processor processor = partition.createProcessor(0);
            ProcessorState state = withMsr(withMsr(processor.state(), 0x6e0, 0x1234567890L), 0x3b, 5);
            set.clear();
            processor.setState(state);
            assertEquals(List.of("3b", OFFSET, "6e0"), set);
            set.clear();
            assertThrows(BackendException.class, () -> processor.setState(refused(withMsr(state, 0x3b, 6))));
            assertEquals(List.of("3b", OFFSET, "6e0"), set.subList(0, 3));
            List<String> undone = set.subList(3, 6);
            assertTrue(undone.get(0).contains("3b") && !undone.get(0).contains("6e0"), undone::toString);
            assertEquals(List.of(OFFSET, "6e0"), undone.subList(1, 3));
            assertEquals(6, set.size());
        }
    }

    private static ProcessorState withPart(ProcessorState state, String name, byte[] bytes) {
        PlatformState platform = state.platform().orElseThrow();
        SortedMap<String, byte[]> parts = new TreeMap<>();
        platform.names().forEach(each -> parts.put(each, platform.part(each)));
        parts.put(name, bytes);
        return with(state, state.events(), Optional.of(new PlatformState(platform.format(), parts)));
    }

    private static ProcessorState withControl(ProcessorState state, long cr0, long cr4, long cr8, long efer) {
        SystemRegisters s = state.system();
        return state.with(s.withControl(cr0, s.cr3(), cr4, efer).withCr8(cr8));
    }

    @Test
    void theTaskPriorityIsThatOfCr8AndNotThatOfAnOlderApic() throws Exception {
        try (KvmBackend backend = new KvmBackend();
                Partition partition = backend.createPartition(REQUEST)) {
            Processor processor = partition.createProcessor(0);
            ProcessorState state = processor.state();
            SystemRegisters s = state.system();
            ProcessorState raised = withControl(state, s.cr0(), s.cr4(), 5, s.efer());
            processor.setState(raised);
            ProcessorState back = processor.state();
            assertEquals(5, back.system().cr8());
            assertEquals(0x50, back.platform().orElseThrow().part(StateParts.LAPIC)[0x80]);
            // The lower half of the priority is the APIC's alone.
            byte[] lapic = back.platform().orElseThrow().part(StateParts.LAPIC);
            lapic[0x80] = 0x53;
            processor.setState(withPart(back, StateParts.LAPIC, lapic));
            assertEquals(0x53, processor.state().platform().orElseThrow().part(StateParts.LAPIC)[0x80]);
        }
    }

    /** Elsewhere KVM would take them for those of a guest that has none, or never loaded these. */
    @Test
    void pdptesAreGivenBackInPaePagingAlone() throws Exception {
        List<Long> flags = new ArrayList<>();
        FailingSyscalls calls = new FailingSyscalls((call, request) -> 0) {
            @Override
            public int ioctl(int fd, long request, Pointer argument) {
                if (request == KvmAbi.KVM_SET_SREGS2) {
                    flags.add(argument.getLong(KvmAbi.SREGS2_FLAGS));
                    return 0; // not every KVM can page so
                }
                return super.ioctl(fd, request, argument);
            }
        };
        try (KvmBackend backend = new KvmBackend(calls);
                Partition partition = backend.createPartition(REQUEST)) {
            Processor processor = partition.createProcessor(0);
            ProcessorState reset = processor.state();
            ByteBuffer pdptes = ByteBuffer.allocate(5 * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            pdptes.putLong(reset.system().cr3()).putLong(0x1001);
            ProcessorState state = withPart(reset, StateParts.PDPTES, pdptes.array());
            long paging = 0x80000011L;
            long pae = 0x20;
            long longMode = 0x500;
            flags.clear();
            processor.setState(withControl(state, paging, pae, 0, 0));
            processor.setState(withControl(state, 0x11, pae, 0, 0));
            processor.setState(withControl(state, paging, 0, 0, 0));
            processor.setState(withControl(state, paging, pae, 0, longMode));
            assertEquals(List.of((long) KvmAbi.KVM_SREGS2_FLAGS_PDPTRS_VALID, 0L, 0L, 0L), flags);
        }
    }

    /** Has 300 registers more, of which every seventh cannot be read and every eleventh not set. */
    private static final class ManyMsrsSyscalls extends FailingSyscalls {
        private final Map<Integer, Long> values = new HashMap<>();

        ManyMsrsSyscalls() {
            super((call, request) -> 0);
        }

        @Override
        public int ioctl(int fd, long request, Pointer argument) {
            if (request == KvmAbi.KVM_GET_MSR_INDEX_LIST) {
                return list(fd, argument);
            }
            if (request != KvmAbi.KVM_GET_MSRS && request != KvmAbi.KVM_SET_MSRS) {
                return super.ioctl(fd, request, argument);
            }
            int count = argument.getInt(KvmAbi.MSRS_COUNT);
            if (count > MsrList.MOST) {
                return -Errno.E2BIG;
            }
            for (int i = 0; i < count; i++) {
                if (!one(fd, request, argument, MsrList.entry(i))) {
                    return i;
                }
            }
            return count;
        }

        private int list(int fd, Pointer list) {
            int room = list.getInt(KvmAbi.MSR_LIST_COUNT);
            int result = super.ioctl(fd, KvmAbi.KVM_GET_MSR_INDEX_LIST, list);
            int count = list.getInt(KvmAbi.MSR_LIST_COUNT);
            if (result < 0 || room < count + 300) {
                return -Errno.E2BIG;
            }
            for (int i = 0; i < 300; i++) {
                list.setInt(KvmAbi.MSR_LIST_HEADER_SIZE + (count + i) * (long) Integer.BYTES, INVENTED + i);
            }
            list.setInt(KvmAbi.MSR_LIST_COUNT, count + 300);
            return result;
        }

        private boolean one(int fd, long request, Pointer entries, int at) {
            int number = entries.getInt(at + KvmAbi.MSR_INDEX);
            long value = entries.getLong(at + KvmAbi.MSR_DATA);
            int invented = number - INVENTED;
            if (invented >= 0 && invented < 300) {
                if (request == KvmAbi.KVM_GET_MSRS) {
                    entries.setLong(at + KvmAbi.MSR_DATA, values.getOrDefault(number, 3L * number));
                    return invented % 7 != 0;
                }
                values.put(number, value);
                return invented % 11 != 0;
            }
            try (Memory single = new Memory(MsrList.entry(1))) {
                single.clear();
                single.setInt(KvmAbi.MSRS_COUNT, 1);
                single.setInt(MsrList.entry(0) + KvmAbi.MSR_INDEX, number);
                single.setLong(MsrList.entry(0) + KvmAbi.MSR_DATA, value);
                int done = super.ioctl(fd, request, single);
                entries.setLong(at + KvmAbi.MSR_DATA, single.getLong(MsrList.entry(0) + KvmAbi.MSR_DATA));
                return done == 1;
            }
        }
    }

    @Test
    void moreModelSpecificRegistersThanOneCallTakesAreAllReadAndSet() throws Exception {
        try (KvmBackend backend = new KvmBackend(new ManyMsrsSyscalls());
                Partition partition = backend.createPartition(REQUEST)) {
            Processor processor = partition.createProcessor(0);
            ProcessorState state = processor.state();
            byte[] msrs = state.platform().orElseThrow().part(StateParts.MSRS);
            int count = msrs.length / KvmAbi.MSR_ENTRY_SIZE;
            assertTrue(count > MsrList.MOST, () -> "only " + count);
            for (int i = 0; i < 300; i++) {
                if (i % 7 != 0 && i % 11 != 0) {
                    state = withMsr(state, INVENTED + i, 1000L + i);
                }
            }
            processor.setState(state);
            byte[] back = processor.state().platform().orElseThrow().part(StateParts.MSRS);
            assertArrayEquals(state.platform().orElseThrow().part(StateParts.MSRS), back);
        }
    }
}

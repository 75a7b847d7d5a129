package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import io.membacking.partition.PartitionRequest;
import io.membacking.range.MemoryRange;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The processors of a partition. KVM makes one of an index once in a partition's life: what it has made is kept, be it used, begun
 * and not finished, or only made for KVM's own sake. Thread-safe; {@link #close} is not to meet a call of another.
 */
final class KvmProcessors {
    private final Syscalls calls;
    private final int vm;
    private final int runAreaSize;
    private final PartitionRequest request;
    private final KvmFeatures features;

    /** What they look like, but for their own APIC ids; null where the host is not x86-64. */
    private final @Nullable CpuidTable cpuid;

    /** By index. Guards all that is below. */
    private final Map<Integer, KvmProcessor> made = new TreeMap<>();

    /** Descriptors by index of those that KVM has made and that could not be finished here. */
    private final Map<Integer, Integer> begun = new TreeMap<>();

    /** One of those made that nobody has asked for yet. */
    private @Nullable KvmProcessor unasked;

    private @Nullable StateShape shape;

    KvmProcessors(
            Syscalls calls,
            int vm,
            int runAreaSize,
            PartitionRequest request,
            KvmFeatures features,
            @Nullable CpuidTable cpuid) {
        this.calls = calls;
        this.vm = vm;
        this.runAreaSize = runAreaSize;
        this.request = request;
        this.features = features;
        this.cpuid = cpuid;
    }

    /** @param index within those that the partition was asked for */
    KvmProcessor create(int index, String operation) throws BackendException {
        synchronized (made) {
            KvmProcessor ready = unasked;
            if (ready != null && ready.index() == index) {
                unasked = null;
                return ready;
            }
            if (made.containsKey(index)) {
                throw KvmErrors.refused(
                        operation,
                        null,
                        "it was created before, and KVM keeps it as long as the partition",
                        "use it, or make another partition");
            }
            return make(index, operation);
        }
    }

    /** Holds the lock. */
    private KvmProcessor make(int index, String operation) throws BackendException {
        CpuidTable model = cpuid;
        if (model == null) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "processors are x86-64, and this host is " + System.getProperty("os.arch", "?"),
                    "use an x86-64 host");
        }
        Integer fd = begun.get(index);
        if (fd == null) {
            fd = calls.ioctl(vm, KvmAbi.KVM_CREATE_VCPU, index);
            if (fd < 0) {
                throw KvmErrors.failed(operation, null, "KVM refuses another processor", fd);
            }
            begun.put(index, fd);
        }
        KvmProcessor processor = finish(index, fd, model, operation);
        begun.remove(index);
        made.put(index, processor);
        return processor;
    }

    /** What can be done again, should it fail: the descriptor stays open then. */
    private KvmProcessor finish(int index, int fd, CpuidTable model, String operation) throws BackendException {
        try (Memory own = model.forProcessor(index).toMemory()) {
            int result = calls.ioctl(fd, KvmAbi.KVM_SET_CPUID2, own);
            if (result < 0) {
                throw KvmErrors.failed(operation, null, "KVM refuses its CPUID", result);
            }
        }
        StateShape known = shape;
        if (known == null) {
            known = StateShape.find(calls, fd, features, request.interruptControllers(), model.vectorSize(), operation);
            shape = known;
        }
        long address = calls.map(fd, runAreaSize);
        if (address < 0) {
            throw KvmErrors.failed(operation, null, "its run area cannot be mapped", (int) address);
        }
        KvmProcessor processor =
                new KvmProcessor(calls, request.name(), index, fd, new RunArea(address), runAreaSize, known);
        boolean ready = false;
        try {
            processor.prepare(operation);
            ready = true;
            return processor;
        } finally {
            if (!ready) {
                processor.discard();
            }
        }
    }

    /**
     * Populates the partition's tables through one that is out of the guest; if there is none yet, the first is made for it.
     *
     * @param piece a {@code struct kvm_pre_fault_memory}
     * @param rest for errors: what is still to be populated
     */
    void prefetch(Memory piece, MemoryRange rest, String operation) throws BackendException {
        List<KvmProcessor> candidates;
        synchronized (made) {
            if (made.isEmpty()) {
                unasked = make(0, operation);
            }
            candidates = List.copyOf(made.values());
        }
        boolean inside = false;
        for (KvmProcessor processor : candidates) {
            int result = processor.prefetch(piece);
            if (result == 0) {
                return;
            }
            if (result < 0) {
                throw KvmErrors.failed(operation, rest, "KVM could not populate its tables", result);
            }
            inside |= result == KvmProcessor.INSIDE;
        }
        throw inside
                ? KvmErrors.refused(
                        operation, rest, "every processor is inside the guest", "prefetch while one is held or stopped")
                : KvmErrors.refused(
                        operation, rest, "its processors are closed", "prefetch while there is one, or do without");
    }

    /** Waits for those that are inside the guest. */
    void close() {
        synchronized (made) {
            made.values().forEach(KvmProcessor::stop); // all at once, so that they leave side by side
            made.values().forEach(KvmProcessor::close);
            made.clear();
            unasked = null;
            begun.values().forEach(calls::close);
            begun.clear();
        }
    }
}

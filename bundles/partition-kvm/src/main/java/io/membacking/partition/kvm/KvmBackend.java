package io.membacking.partition.kvm;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * KVM as a backend. It is there even where KVM is not, and then says so. Thread-safe. Closing it closes its partitions; after that
 * it is no longer usable, and creating throws {@link IllegalStateException}.
 */
public final class KvmBackend implements PartitionBackend, AutoCloseable {
    static final String KVM = "kvm";

    private final Syscalls calls;

    /** Held for reading while a call of the kernel may be under way outside of any partition. */
    private final ReadWriteLock life = new ReentrantReadWriteLock();

    private final Set<KvmPartition> partitions = ConcurrentHashMap.newKeySet();
    private boolean closed;
    private volatile @Nullable Capabilities capabilities;

    /** What is to be done once capabilities are known. */
    private final AtomicReference<@Nullable Runnable> onAnswer = new AtomicReference<>();

    public KvmBackend() {
        this(new LinuxSyscalls());
    }

    /** Closes the calls with itself. */
    KvmBackend(Syscalls calls) {
        this.calls = calls;
    }

    @Override
    public String name() {
        return KVM;
    }

    /** While KVM cannot be asked, the least that every KVM of this architecture can do. */
    @Override
    public Capabilities capabilities() {
        Capabilities known = capabilities;
        if (known != null) {
            return known;
        }
        try {
            return ask("ask for KVM's capabilities");
        } catch (BackendException e) {
            return KvmDevice.leastCapabilities();
        } finally {
            tell();
        }
    }

    /** Whether KVM has been asked with success, so that capabilities stay as they are. */
    boolean hasAnswered() {
        return capabilities != null;
    }

    /** Has this done once KVM has been asked with success, on the thread that does so, or at once if it has been. */
    void whenAnswered(Runnable action) {
        onAnswer.set(action);
        tell();
    }

    /** Not under any lock: who hears of it may ask again, or end the backend. */
    private void tell() {
        Runnable action = hasAnswered() ? onAnswer.getAndSet(null) : null;
        if (action != null) {
            action.run();
        }
    }

    private Capabilities ask(String operation) throws BackendException {
        life.readLock().lock();
        try {
            if (closed) {
                return KvmDevice.leastCapabilities();
            }
            try (KvmDevice device = KvmDevice.open(calls, operation)) {
                Capabilities known = capabilities;
                if (known == null) {
                    known = device.capabilities(operation);
                    capabilities = known;
                }
                return known;
            }
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public Availability availability() {
        life.readLock().lock();
        try {
            if (closed) {
                return Availability.unusable("the backend is closed", "start its bundle");
            }
            ask("use KVM");
            return Availability.USABLE;
        } catch (BackendException e) {
            Failure failure = e.failure();
            String cause = failure.nativeError().map(error -> ": " + error).orElse("");
            return Availability.unusable(failure.problem() + cause, failure.remedy());
        } finally {
            life.readLock().unlock();
            tell();
        }
    }

    @Override
    public Partition createPartition(PartitionRequest request) throws BackendException {
        life.readLock().lock();
        try {
            if (closed) {
                throw new IllegalStateException("the KVM backend is closed");
            }
            KvmPartition partition = KvmPartition.create(calls, request, partitions::remove);
            partitions.add(partition);
            capabilities = partition.capabilities();
            return partition;
        } finally {
            life.readLock().unlock();
            tell();
        }
    }

    /** Ends every partition, waiting for its processors, then gives the native methods back. Closing twice does nothing. */
    @Override
    public void close() {
        life.writeLock().lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            // No call is under way but in partitions, and closing those waits for theirs.
            List.copyOf(partitions).forEach(KvmPartition::close);
            calls.close();
        } finally {
            life.writeLock().unlock();
        }
    }
}

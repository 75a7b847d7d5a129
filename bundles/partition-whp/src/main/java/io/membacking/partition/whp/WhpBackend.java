package io.membacking.partition.whp;

import io.membacking.error.BackendException;
import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * The Windows Hypervisor Platform as a backend. It is there even where the platform is not, and then says so. Thread-safe. Closing
 * it closes its partitions; after that it is no longer usable, and creating throws {@link IllegalStateException}.
 */
public final class WhpBackend implements PartitionBackend, AutoCloseable {
    static final String WHP = "whp";

    private final WhpCalls calls;

    /** Held for reading while a call of the platform may be under way outside of any partition. */
    private final ReadWriteLock life = new ReentrantReadWriteLock();

    private final Set<WhpPartition> partitions = ConcurrentHashMap.newKeySet();
    private boolean closed;
    private volatile @Nullable WhpPlatform platform;

    /** What the platform's processors are like; null while that could not be found out. */
    private volatile @Nullable ProcessorFacts processors;

    /** With Windows' own library or, elsewhere, the one for tests if it is asked for. */
    public WhpBackend() {
        this(new WinHvCalls());
    }

    /** Closes the calls with itself. */
    WhpBackend(WhpCalls calls) {
        this.calls = calls;
    }

    @Override
    public String name() {
        return WHP;
    }

    /** What it is, for people. */
    String description() {
        return calls.isShim() ? "WHP shim, for tests" : "Windows Hypervisor Platform";
    }

    /** While the platform cannot be asked, the least that every one can do. */
    @Override
    public Capabilities capabilities() {
        WhpPlatform known = platform;
        if (known != null) {
            return known.capabilities();
        }
        life.readLock().lock();
        try {
            if (closed) {
                return WhpPlatform.least().capabilities();
            }
            known = WhpPlatform.ask(calls);
            platform = known;
            return (known != null ? known : WhpPlatform.least()).capabilities();
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public Availability availability() {
        life.readLock().lock();
        try {
            return closed
                    ? Availability.unusable("the backend is closed", "start its bundle")
                    : WhpPlatform.availability(calls);
        } finally {
            life.readLock().unlock();
        }
    }

    @Override
    public Partition createPartition(PartitionRequest request) throws BackendException {
        life.readLock().lock();
        try {
            if (closed) {
                throw new IllegalStateException("the WHP backend is closed");
            }
            String operation = "create partition '" + request.name() + "'";
            Availability availability = WhpPlatform.availability(calls);
            if (!availability.usable()) {
                throw WhpErrors.refused(operation, null, availability.reason(), availability.remedy());
            }
            capabilities();
            WhpPlatform known = platform;
            if (known == null) {
                throw WhpErrors.refused(operation, null, "the platform does not tell what it can do", WhpErrors.ENABLE);
            }
            WhpPartition partition = WhpPartition.create(calls, request, known, processors(), partitions::remove);
            partitions.add(partition);
            return partition;
        } finally {
            life.readLock().unlock();
        }
    }

    private ProcessorFacts processors() {
        ProcessorFacts known = processors;
        if (known == null) {
            known = ProcessorProbe.run(calls).orElse(null);
            processors = known;
        }
        return known != null ? known : ProcessorFacts.UNKNOWN;
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
            List.copyOf(partitions).forEach(WhpPartition::close);
            calls.close();
        } finally {
            life.writeLock().unlock();
        }
    }
}

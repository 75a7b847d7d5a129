package io.membacking.mapping.internal;

import io.membacking.access.GuestMemory;
import io.membacking.error.HostMappingException;
import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostMemory;
import io.membacking.host.linux.LinuxHostMemory;
import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.AccessPiece.Access;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import java.time.Duration;
import java.util.List;

/** A guest of the tests on the real host, with the commits that they need as one call. */
final class TestGuest implements AutoCloseable {
    static final Duration LONG = Duration.ofSeconds(20);

    final LinuxHostMemory host = new LinuxHostMemory();
    final GuestMappingManager manager;
    final GuestMemory memory;

    TestGuest(long size) {
        this(size, true);
    }

    TestGuest(long size, boolean hostBarrier) {
        this(size, hostBarrier, true);
    }

    /**
     * @param hostBarrier whether readers rely on the host's barrier, where it has one
     * @param drains whether changes wait for readers, as they must
     */
    TestGuest(long size, boolean hostBarrier, boolean drains) {
        HostMemory seen = hostBarrier ? host : new ForwardingHost.WithoutBarrier(host);
        Epochs epochs = drains ? new Epochs(seen) : new CarelessEpochs(seen);
        try {
            manager = new GuestMappingManager("test", seen, seen.reserve(size, 2 << 20), epochs, closed -> {});
        } catch (HostMappingException e) {
            throw new AssertionError(e);
        }
        memory = manager.memory();
    }

    /** Waits for nobody: to show what goes wrong then. */
    private static final class CarelessEpochs extends Epochs {
        CarelessEpochs(HostMemory host) {
            super(host);
        }

        @Override
        boolean drain(long nanos) {
            return true;
        }
    }

    Backing backing(String name, long size) {
        try {
            return host.allocate(BackingRequest.shared(name, size));
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    /** Whatever was there goes, the backing comes. */
    void show(MemoryRange range, Backing backing, long offset, Access access) {
        try {
            MappingManager.Transition transition = manager.begin(List.of(range), LONG);
            manager.map(range, backing, offset);
            transition.publish(List.of(new AccessPiece(range, access)));
        } catch (HostMappingException e) {
            throw new AssertionError(e);
        }
    }

    /** The same memory, other access. */
    void allow(MemoryRange range, Access access) {
        try {
            manager.begin(List.of(range), LONG).publish(List.of(new AccessPiece(range, access)));
        } catch (HostMappingException e) {
            throw new AssertionError(e);
        }
    }

    void take(MemoryRange range) {
        try {
            MappingManager.Transition transition = manager.begin(List.of(range), LONG);
            manager.release(range);
            transition.publish(List.of(new AccessPiece(range, Access.NONE)));
        } catch (HostMappingException e) {
            throw new AssertionError(e);
        }
    }

    static MemoryRange range(long start, long end) {
        return new MemoryRange(start, end);
    }

    @Override
    public void close() {
        manager.close();
        host.close();
    }
}

package io.membacking.mapping.internal;

import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.error.HostMappingException;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostCapabilities;
import io.membacking.host.HostMemory;
import io.membacking.host.HostPiece;
import io.membacking.range.MemoryRange;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** The real host, for doubles that change one thing about it. */
abstract class ForwardingHost implements HostMemory {
    final HostMemory host;

    ForwardingHost(HostMemory host) {
        this.host = host;
    }

    @Override
    public HostCapabilities capabilities() {
        return host.capabilities();
    }

    @Override
    public AddressReservation reserve(long size, long alignment) throws HostMappingException {
        return host.reserve(size, alignment);
    }

    @Override
    public Backing allocate(BackingRequest request) throws AllocationException {
        return host.allocate(request);
    }

    @Override
    public Backing duplicate(Backing backing) throws AllocationException {
        return host.duplicate(backing);
    }

    @Override
    public void offer(Path socket, List<Backing> backings, Duration deadline) throws AllocationException {
        host.offer(socket, backings, deadline);
    }

    @Override
    public List<Backing> receive(Path socket, Duration deadline) throws AllocationException {
        return host.receive(socket, deadline);
    }

    /** Has no barrier for all threads, as an old kernel. */
    static final class WithoutBarrier extends ForwardingHost {
        WithoutBarrier(HostMemory host) {
            super(host);
        }
    }

    /** Refuses the nth map. */
    static final class FailingMap extends ForwardingHost {
        private int left;

        FailingMap(HostMemory host, int nth) {
            super(host);
            this.left = nth;
        }

        @Override
        public boolean hasProcessBarrier() {
            return host.hasProcessBarrier();
        }

        @Override
        public void processBarrier() {
            host.processBarrier();
        }

        @Override
        public AddressReservation reserve(long size, long alignment) throws HostMappingException {
            AddressReservation real = host.reserve(size, alignment);
            return new AddressReservation() {
                @Override
                public long base() {
                    return real.base();
                }

                @Override
                public long size() {
                    return real.size();
                }

                @Override
                public void map(MemoryRange offsets, Backing backing, long backingOffset) throws HostMappingException {
                    if (--left == 0) {
                        throw new HostMappingException(Failure.of("map", offsets, "refused for the test", ""));
                    }
                    real.map(offsets, backing, backingOffset);
                }

                @Override
                public void release(MemoryRange offsets) {
                    real.release(offsets);
                }

                @Override
                public void prefetch(MemoryRange offsets) throws HostMappingException {
                    real.prefetch(offsets);
                }

                @Override
                public void lock(MemoryRange offsets) throws HostMappingException {
                    real.lock(offsets);
                }

                @Override
                public void unlock(MemoryRange offsets) {
                    real.unlock(offsets);
                }

                @Override
                public List<HostPiece> observe() {
                    return real.observe();
                }

                @Override
                public void close() {
                    real.close();
                }
            };
        }
    }
}

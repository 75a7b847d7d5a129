package io.membacking.memory.internal;

import io.membacking.access.GuestMemory;
import io.membacking.error.AllocationException;
import io.membacking.error.AttachException;
import io.membacking.error.Failure;
import io.membacking.error.MembackingException;
import io.membacking.error.VisibilityException;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostMemory;
import io.membacking.memory.DeviceMemory;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.memory.RamVisibility;
import io.membacking.memory.SharedRam;
import io.membacking.memory.VisibilityChange;
import io.membacking.memory.internal.BuildPlan.Placement;
import io.membacking.partition.Partition;
import io.membacking.range.MemoryRange;
import io.membacking.region.AttachRequest;
import io.membacking.region.Attachment;
import io.membacking.region.ProcessorGate;
import io.membacking.region.RegionId;
import io.membacking.region.RegionManager;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** The memory of one guest, made of a region manager, the backings it claimed and the device memory that was made of it. */
final class AssembledMemory implements GuestMemoryManager {
    private static final System.Logger LOG = System.getLogger(AssembledMemory.class.getName());

    private final BuildPlan plan;
    private final HostMemory host;
    private final RegionManager regions;
    private final List<ManagedBacking> backings;
    private final List<String> warnings;
    private final Consumer<AssembledMemory> onClosed;
    private final RamRegions ram;
    private final BorrowedBackings borrowed;
    private final List<DeviceRegion> devices = new CopyOnWriteArrayList<>();

    /** Guards what follows, so that nothing is made behind the back of close. Never held while a change is committed. */
    private final Object lifecycle = new Object();

    private final List<Backing> allocated = new ArrayList<>();
    private Runnable retraction = () -> {};
    private boolean closing;
    private volatile boolean closed;

    AssembledMemory(
            BuildPlan plan,
            HostMemory host,
            RegionManager regions,
            List<ManagedBacking> backings,
            List<RegionId> ramRegions,
            List<String> warnings,
            Consumer<AssembledMemory> onClosed) {
        this.plan = plan;
        this.host = host;
        this.regions = regions;
        this.backings = List.copyOf(backings);
        this.warnings = List.copyOf(warnings);
        this.onClosed = onClosed;
        ram = new RamRegions(regions, ramRegions, plan.regions());
        borrowed = new BorrowedBackings(regions, backings);
    }

    /** @param retraction how to take back what was published of it */
    void announced(Runnable retraction) {
        synchronized (lifecycle) {
            if (!closing) {
                this.retraction = retraction;
                return;
            }
        }
        retraction.run();
    }

    /** As {@link #guest()}, after close too. */
    String name() {
        return plan.guest();
    }

    boolean isOpen() {
        synchronized (lifecycle) {
            return !closing;
        }
    }

    HostMemory host() {
        return host;
    }

    BuildPlan plan() {
        return plan;
    }

    List<ManagedBacking> backings() {
        return backings;
    }

    List<Backing> allocated() {
        synchronized (lifecycle) {
            return List.copyOf(allocated);
        }
    }

    /** What went less well than asked at build: prefetches that failed. */
    List<String> warnings() {
        return warnings;
    }

    RamRegions ram() {
        return ram;
    }

    List<DeviceRegion> devices() {
        return devices;
    }

    @Override
    public String guest() {
        requireOpen();
        return plan.guest();
    }

    @Override
    public MemoryLayout layout() {
        requireOpen();
        return plan.layout();
    }

    @Override
    public GuestMemory memory() {
        requireOpen();
        return regions.memory();
    }

    @Override
    public RegionManager regions() {
        requireOpen();
        return regions;
    }

    @Override
    public List<MemoryRange> ramRegions() {
        requireOpen();
        return ram.ranges();
    }

    @Override
    public VisibilityChange changeVisibility(String reason) {
        requireOpen();
        return ram.change(reason);
    }

    @Override
    public RamVisibility visibility(MemoryRange range) throws VisibilityException {
        requireOpen();
        return ram.visibility(range);
    }

    @Override
    public DeviceMemory createDeviceMemory(String name, long length) throws MembackingException {
        requireOpen();
        DeviceRegion device = DeviceRegion.create(name, length, regions, borrowed, devices::remove);
        synchronized (lifecycle) {
            requireOpen();
            devices.add(device);
        }
        return device;
    }

    @Override
    public List<DeviceMemory> deviceMemory() {
        requireOpen();
        return List.copyOf(devices);
    }

    @Override
    public Backing allocate(String name, long size) throws AllocationException {
        requireOpen();
        Backing backing = host.allocate(BackingRequest.shared(name, size));
        synchronized (lifecycle) {
            if (!closed) {
                allocated.removeIf(AssembledMemory::isClosed);
                allocated.add(backing);
                return backing;
            }
        }
        backing.close();
        throw saysClosed();
    }

    /** Whoever asked for it may have closed it, and long-lived guests would collect what is long gone. */
    static boolean isClosed(Backing backing) {
        try {
            backing.descriptor();
            return false;
        } catch (IllegalStateException e) {
            return true;
        }
    }

    @Override
    public Attachment attach(String name, Partition partition, ProcessorGate gate, int vtl, OptionalLong remoteProcess)
            throws AttachException {
        requireOpen();
        OptionalLong alias = vtl == 2 ? plan.aliasMapOffset() : OptionalLong.empty();
        return regions.attach(new AttachRequest(name, partition, gate, vtl, alias, plan.pinning(), remoteProcess));
    }

    @Override
    public OptionalLong aliasMapOffset() {
        requireOpen();
        return plan.aliasMapOffset();
    }

    @Override
    public boolean pinning() {
        requireOpen();
        return plan.pinning();
    }

    @Override
    public List<SharedRam> shareableRam() {
        requireOpen();
        List<SharedRam> shareable = new ArrayList<>();
        for (Placement placement : plan.ranges()) {
            Backing backing = backings.get(placement.backing()).backing();
            if (backing.kind() == BackingKind.PRIVATE) {
                return List.of();
            }
            shareable.add(new SharedRam(placement.range(), backing, placement.offset()));
        }
        return List.copyOf(shareable);
    }

    @Override
    public List<Backing> export() throws AllocationException {
        requireOpen();
        List<Backing> exported = new ArrayList<>();
        try {
            for (ManagedBacking managed : backings) {
                if (managed.backing().kind() == BackingKind.PRIVATE) {
                    throw new AllocationException(Failure.of(
                            "export the memory of guest '" + name() + "'",
                            null,
                            "backing '" + managed.backing().name() + "' is private memory, which has no descriptor",
                            "build the guest on shared memory"));
                }
                exported.add(host.duplicate(managed.backing()));
            }
        } catch (AllocationException | RuntimeException e) {
            exported.forEach(Backing::close);
            throw e;
        }
        return List.copyOf(exported);
    }

    @Override
    public void close() {
        Runnable retract;
        synchronized (lifecycle) {
            if (closing) {
                return;
            }
            closing = true;
            retract = retraction;
        }
        // Who found it in the registry lets go of it first, while it still answers.
        attempt("be withdrawn", retract);
        synchronized (lifecycle) {
            closed = true;
        }
        // Device memory goes with the regions: taking it out one by one would be as many commits.
        devices.forEach(DeviceRegion::guestClosed);
        attempt("close its regions", regions::close);
        backings.forEach(managed -> attempt("close a backing", managed.backing()::close));
        backings.forEach(managed -> attempt("let go of a backing", managed.claim()::close));
        allocated().forEach(backing -> attempt("close a backing", backing::close));
        onClosed.accept(this);
    }

    /** What fails in closing keeps nothing else from being closed. */
    private void attempt(String step, Runnable body) {
        try {
            body.run();
        } catch (RuntimeException e) {
            LOG.log(System.Logger.Level.WARNING, this + " could not " + step, e);
        }
    }

    private void requireOpen() {
        if (closed) {
            throw saysClosed();
        }
    }

    private IllegalStateException saysClosed() {
        return new IllegalStateException("the " + this + " is closed");
    }

    @Override
    public String toString() {
        return "memory of guest '" + name() + "'";
    }
}

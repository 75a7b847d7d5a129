package io.membacking.memory.internal;

import io.membacking.error.Failure;
import io.membacking.error.LayoutException;
import io.membacking.error.MembackingException;
import io.membacking.host.Backing;
import io.membacking.memory.DeviceMemory;
import io.membacking.range.MemoryRange;
import io.membacking.region.Change;
import io.membacking.region.MapParameters;
import io.membacking.region.RegionId;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionInfo.MappingInfo;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionManager;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** Device memory: a region of the guest that is unmapped while it is out, and then rests at the bottom or where it last was. */
final class DeviceRegion implements DeviceMemory {
    private static final System.Logger LOG = System.getLogger(DeviceRegion.class.getName());

    /** Lower than any RAM. */
    private static final int PRIORITY = 0;

    /** How long closing waits for readers and processors, when they did not leave within the guest's own deadline. */
    private static final Duration LAST_DEADLINE = Duration.ofSeconds(30);

    private final String name;
    private final long length;
    private final RegionId id;
    private final RegionManager regions;
    private final BorrowedBackings borrowed;
    private final Consumer<DeviceRegion> onClosed;
    private final Control control = new Placing();
    private final Mappings mappings = new Mapping();
    private volatile State state = State.OPEN;

    private enum State {
        OPEN,
        /** Nothing more is taken, but it may still be in the guest. */
        CLOSING,
        CLOSED,
        GUEST_CLOSED
    }

    private DeviceRegion(
            String name,
            long length,
            RegionId id,
            RegionManager regions,
            BorrowedBackings borrowed,
            Consumer<DeviceRegion> onClosed) {
        this.name = name;
        this.length = length;
        this.id = id;
        this.regions = regions;
        this.borrowed = borrowed;
        this.onClosed = onClosed;
    }

    static DeviceRegion create(
            String name, long length, RegionManager regions, BorrowedBackings borrowed, Consumer<DeviceRegion> onClosed)
            throws MembackingException {
        String operation = "make device memory '" + name + "'";
        if (length <= 0 || !MemoryRange.isAligned(length)) {
            throw new IllegalArgumentException(
                    operation + ": " + length + " bytes are not a positive multiple of " + MemoryRange.PAGE_SIZE);
        }
        if (Long.compareUnsigned(length, regions.size()) > 0) {
            throw new LayoutException(Failure.of(
                    operation,
                    null,
                    Size.of(length) + " do not fit a guest of " + Size.of(regions.size()),
                    "give the layout an MMIO gap where it is to be placed"));
        }
        Change change = regions.change(operation);
        RegionId id = change.add(name, MemoryRange.ofLength(0, length), PRIORITY, RegionKind.DEVICE);
        change.commit();
        return new DeviceRegion(name, length, id, regions, borrowed, onClosed);
    }

    RegionId id() {
        return id;
    }

    /** What it is at present, for inspection. */
    Optional<RegionInfo> info() {
        return regions.region(id);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public long length() {
        return length;
    }

    @Override
    public Control control() {
        return control;
    }

    @Override
    public Mappings mappings() {
        return mappings;
    }

    /** The guest's regions go, and this with them. */
    void guestClosed() {
        state = State.GUEST_CLOSED;
    }

    @Override
    public synchronized void close() {
        if (state == State.CLOSED || state == State.GUEST_CLOSED) {
            return;
        }
        state = State.CLOSING;
        try {
            takeOut();
        } catch (MembackingException e) {
            // It stays where it is, shown as closing, until it is closed once more or the guest is.
            LOG.log(
                    System.Logger.Level.WARNING,
                    "device memory ''{0}'' could not be taken out: {1}",
                    name,
                    e.getMessage());
            return;
        } catch (IllegalStateException e) {
            if (state != State.GUEST_CLOSED) {
                LOG.log(System.Logger.Level.WARNING, "device memory ''{0}'' could not be taken out: {1}", name, e);
            }
            return;
        }
        state = State.CLOSED;
        onClosed.accept(this);
    }

    private void takeOut() throws MembackingException {
        if (info().isEmpty()) {
            return; // taken away through the region manager
        }
        Change change = regions.change("close device memory '" + name + "'").remove(id);
        try {
            change.commit();
        } catch (MembackingException e) {
            change.commit(LAST_DEADLINE);
        }
    }

    private RegionInfo region() {
        return regions.region(id)
                .orElseThrow(
                        () -> new IllegalStateException("the region of device memory '" + name + "' was taken away"));
    }

    private void requireOpen() {
        if (state == State.GUEST_CLOSED) {
            throw new IllegalStateException("the guest of device memory '" + name + "' is closed");
        }
        if (state != State.OPEN) {
            throw new IllegalStateException("device memory '" + name + "' is closed");
        }
    }

    @Override
    public String toString() {
        return "device memory '" + name + "'";
    }

    private final class Placing implements Control {
        @Override
        public void place(long gpa, boolean writable) throws MembackingException {
            requireOpen();
            String operation = "place device memory '" + name + "' at 0x" + Long.toHexString(gpa);
            if (!MemoryRange.isAligned(gpa)) {
                throw new IllegalArgumentException(operation + ": the address is not page aligned");
            }
            if (Long.compareUnsigned(gpa, regions.size() - length) > 0) {
                throw new LayoutException(Failure.of(
                        operation,
                        null,
                        "its " + Size.of(length) + " end beyond the guest's space, 0x"
                                + Long.toHexString(regions.size()),
                        "place it lower, or give the layout an MMIO gap there"));
            }
            regions.change(operation)
                    .move(id, gpa)
                    .map(id, new MapParameters(writable, true, false))
                    .commit();
        }

        @Override
        public void remove() throws MembackingException {
            requireOpen();
            regions.change("take out device memory '" + name + "'").unmap(id).commit();
        }

        @Override
        public Optional<MemoryRange> placed() {
            requireOpen();
            RegionInfo region = region();
            return region.mapped().map(mapped -> region.range());
        }
    }

    private final class Mapping implements Mappings {
        @Override
        public void map(MemoryRange offsets, Backing backing, long backingOffset, boolean writable)
                throws MembackingException {
            requireOpen();
            borrowed.borrow(backing);
            try {
                regions.change("map into device memory '" + name + "'")
                        .addMapping(id, offsets, backing.id(), backingOffset, writable)
                        .commit();
            } finally {
                borrowed.committed(backing);
            }
        }

        @Override
        public void unmap(MemoryRange offsets) throws MembackingException {
            requireOpen();
            regions.change("unmap from device memory '" + name + "'")
                    .removeMappings(id, offsets)
                    .commit();
        }

        @Override
        public List<MemoryRange> mapped() {
            requireOpen();
            return region().mappings().stream().map(MappingInfo::offsets).toList();
        }
    }
}

package io.membacking.host.linux;

import com.sun.jna.Memory;
import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.error.HostMappingException;
import io.membacking.error.NativeError;
import io.membacking.host.AddressReservation;
import io.membacking.host.Backing;
import io.membacking.host.BackingKind;
import io.membacking.host.BackingRequest;
import io.membacking.host.HostCapabilities;
import io.membacking.host.HostMemory;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Host memory of Linux on x86-64 and aarch64, with or without OSGi. Thread-safe. Whoever makes it closes it; then every
 * reservation, backing and claim made here closes too.
 */
public class LinuxHostMemory implements HostMemory, AutoCloseable {
    /** The kernel's limit on a memfd's name, less its own prefix. */
    private static final int NAME_BYTES = 249;

    private final HostFacts facts;
    private final boolean hasProcessBarrier;
    private final MappingBudget budget;
    private final Set<AddressReservation> reservations = ConcurrentHashMap.newKeySet();
    private final Set<LinuxBacking> backings = ConcurrentHashMap.newKeySet();
    private final Map<FileId, DescriptorClaim> claims = new ConcurrentHashMap<>();
    /** Shared by calls under way, exclusive to close: the native binding must not go under them. */
    private final ReentrantReadWriteLock use = new ReentrantReadWriteLock();

    private volatile boolean closed;

    /** @throws UnsupportedOperationException on any other system or processor */
    public LinuxHostMemory() {
        this(HostFacts::read);
    }

    /** With facts other than the host's, for tests. */
    LinuxHostMemory(Supplier<HostFacts> facts) {
        Libc.acquire();
        try {
            this.facts = facts.get();
            hasProcessBarrier = Libc.registerBarrier();
            budget = new MappingBudget(HostFacts::mappingLimit, MapsLine::count);
        } catch (RuntimeException | Error e) {
            Libc.release();
            throw e;
        }
    }

    HostFacts facts() {
        return facts;
    }

    MappingBudget budget() {
        return budget;
    }

    @Override
    public HostCapabilities capabilities() {
        return facts.capabilities();
    }

    @Override
    public boolean hasProcessBarrier() {
        return hasProcessBarrier;
    }

    @Override
    public void processBarrier() {
        if (!hasProcessBarrier) {
            throw new UnsupportedOperationException("this kernel has no membarrier");
        }
        enter();
        try {
            if (!Libc.barrier()) {
                // Registered, it cannot fail; going on without the barrier would be a silent hole.
                throw new IllegalStateException("membarrier failed: " + Errno.last());
            }
        } finally {
            leave();
        }
    }

    @Override
    public AddressReservation reserve(long size, long alignment) throws HostMappingException {
        long page = capabilities().pageSize();
        if (size <= 0 || size % page != 0) {
            throw new IllegalArgumentException(
                    "size 0x" + Long.toHexString(size) + " is not a positive multiple of " + page);
        }
        if (alignment < page || Long.bitCount(alignment) != 1) {
            throw new IllegalArgumentException(
                    "alignment 0x" + Long.toHexString(alignment) + " is not a power of two from " + page + " on");
        }
        enter();
        try {
            LinuxReservation reservation = LinuxReservation.reserve(this, size, alignment);
            reservations.add(reservation);
            return reservation;
        } finally {
            leave();
        }
    }

    @Override
    public Backing allocate(BackingRequest request) throws AllocationException {
        String operation = "allocate backing '" + request.name() + "'";
        check(operation, request);
        enter();
        try {
            LinuxBacking backing = request.kind() == BackingKind.PRIVATE
                    ? allocatePrivate(operation, request)
                    : allocateFile(operation, request);
            backings.add(backing);
            return backing;
        } finally {
            leave();
        }
    }

    private void check(String operation, BackingRequest request) throws AllocationException {
        boolean huge = request.kind() == BackingKind.HUGETLB;
        if (!huge && request.hugePageSize() != 0) {
            throw new IllegalArgumentException("a huge page size is for huge pages alone, not " + request.kind());
        }
        long page = huge ? request.hugePageSize() : capabilities().pageSize();
        if (huge && !HugePagePool.sizes().contains(page)) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "the host has no pool of pages of 0x" + Long.toHexString(page) + " bytes",
                    "choose one of " + hex(HugePagePool.sizes())));
        }
        if (request.size() <= 0 || request.size() % page != 0) {
            throw new IllegalArgumentException("size 0x" + Long.toHexString(request.size())
                    + " is not a positive multiple of the page size, 0x" + Long.toHexString(page));
        }
        if (request.size() > capabilities().physicalMemory()) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "0x" + Long.toHexString(request.size()) + " bytes are more than the host's memory, 0x"
                            + Long.toHexString(capabilities().physicalMemory()),
                    "ask for less"));
        }
        OptionalInt node = request.numaNode();
        if (node.isPresent() && !capabilities().numaNodes().contains(node.getAsInt())) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "the host has no NUMA node " + node.getAsInt(),
                    "choose one of "
                            + capabilities().numaNodes().stream().sorted().toList()));
        }
    }

    private static List<String> hex(Set<Long> numbers) {
        return numbers.stream()
                .sorted()
                .map(number -> "0x" + Long.toHexString(number))
                .toList();
    }

    private LinuxBacking allocatePrivate(String operation, BackingRequest request) throws AllocationException {
        // Tried where it is in nobody's way: whether the host would give it, and from that node.
        long trial = Libc.mmap(0, request.size(), Libc.PROT_READ_WRITE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS, -1, 0);
        if (trial == Libc.MAP_FAILED) {
            throw new AllocationException(new Failure(
                    operation,
                    null,
                    "the host would not commit 0x" + Long.toHexString(request.size()) + " bytes",
                    "free memory, or raise vm.overcommit_ratio",
                    Errno.last()));
        }
        NativeError refused = request.numaNode().isPresent()
                ? NumaNodes.bind(trial, request.size(), request.numaNode().getAsInt())
                : null;
        Libc.munmap(trial, request.size());
        if (refused != null) {
            throw new AllocationException(nodeRefused(operation, request, refused));
        }
        return new PrivateBacking(
                this,
                request.name(),
                request.size(),
                capabilities().pageSize(),
                request.transparentHugePages(),
                request.numaNode());
    }

    private LinuxBacking allocateFile(String operation, BackingRequest request) throws AllocationException {
        boolean huge = request.kind() == BackingKind.HUGETLB;
        int flags = Libc.MFD_CLOEXEC | Libc.MFD_ALLOW_SEALING;
        if (huge) {
            flags |= Libc.MFD_HUGETLB | Long.numberOfTrailingZeros(request.hugePageSize()) << Libc.MFD_HUGE_SHIFT;
        }
        int descriptor = memfd(request.name(), flags);
        if (descriptor < 0) {
            throw new AllocationException(
                    new Failure(operation, null, "the host would make no memory file", "", Errno.last()));
        }
        try {
            if (Libc.ftruncate(descriptor, request.size()) != 0) {
                throw new AllocationException(
                        new Failure(operation, null, "the host would not size it", "", Errno.last()));
            }
            bindToNode(operation, request, descriptor);
            commit(operation, request, descriptor);
            // With the last seal nobody, here or in another process, can add one against writing.
            int seals = Libc.F_SEAL_SHRINK | Libc.F_SEAL_GROW | Libc.F_SEAL_SEAL;
            if (Libc.fcntl(descriptor, Libc.F_ADD_SEALS, seals) != 0) {
                throw new AllocationException(
                        new Failure(operation, null, "the host would not seal it", "", Errno.last()));
            }
            return new DescriptorBacking(
                    this,
                    request.name(),
                    request.kind(),
                    request.size(),
                    huge ? request.hugePageSize() : capabilities().pageSize(),
                    request.transparentHugePages() && !huge,
                    descriptor,
                    FileStatus.of(descriptor).file());
        } catch (AllocationException | RuntimeException | Error e) {
            Libc.close(descriptor);
            throw e;
        }
    }

    private static int memfd(String name, int flags) {
        // Encoding stops before the first character that has no room.
        ByteBuffer bytes = ByteBuffer.allocate(NAME_BYTES);
        StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(name.replace('\0', ' ')), bytes, true);
        try (Memory text = new Memory(bytes.position() + 1L)) {
            text.clear();
            text.write(0, bytes.array(), 0, bytes.position());
            int descriptor = Libc.memfd_create(text, flags | Libc.MFD_NOEXEC_SEAL);
            // Older kernels do not know the flag; newer ones may insist on it.
            return descriptor < 0 && Errno.last().code() == Errno.EINVAL ? Libc.memfd_create(text, flags) : descriptor;
        }
    }

    private void bindToNode(String operation, BackingRequest request, int descriptor) throws AllocationException {
        if (request.numaNode().isEmpty()) {
            return;
        }
        // The policy of shared memory is set through a mapping and stays with the file.
        long address =
                Libc.mmap(0, request.size(), Libc.PROT_READ_WRITE, Libc.MAP_SHARED | Libc.MAP_NORESERVE, descriptor, 0);
        NativeError refused;
        if (address == Libc.MAP_FAILED) {
            refused = Errno.last();
        } else {
            refused = NumaNodes.bind(address, request.size(), request.numaNode().getAsInt());
            Libc.munmap(address, request.size());
        }
        if (refused != null) {
            throw new AllocationException(nodeRefused(operation, request, refused));
        }
    }

    private static Failure nodeRefused(String operation, BackingRequest request, NativeError error) {
        return new Failure(
                operation,
                null,
                "the host would not bind it to NUMA node " + request.numaNode().getAsInt(),
                "choose a node this process may use",
                error);
    }

    /**
     * Huge pages are taken now. Ordinary pages come at their first touch, as always on Linux; where the host keeps strict
     * account that touch could be refused, which would be a fault, so they are taken now too.
     */
    private void commit(String operation, BackingRequest request, int descriptor) throws AllocationException {
        boolean huge = request.kind() == BackingKind.HUGETLB;
        if (!huge && !facts.strictOvercommit()) {
            return;
        }
        HugePagePool before = huge ? HugePagePool.of(request.hugePageSize(), request.numaNode()) : null;
        if (Libc.retried(() -> Libc.fallocate(descriptor, 0, 0, request.size())) == 0) {
            return;
        }
        NativeError error = Errno.last();
        if (before == null) {
            throw new AllocationException(new Failure(
                    operation,
                    null,
                    "the host would not commit 0x" + Long.toHexString(request.size()) + " bytes",
                    "free memory, or raise vm.overcommit_ratio",
                    error));
        }
        long wanted = request.size() / request.hugePageSize();
        throw new AllocationException(new Failure(
                operation,
                null,
                "it needs " + wanted + " pages of 0x" + Long.toHexString(request.hugePageSize())
                        + " bytes, and of the " + before.pages() + " in the pool " + before.folder() + " "
                        + before.free() + " are free",
                "set " + before.folder().resolve("nr_hugepages") + " to at least "
                        + (before.pages() - before.free() + wanted),
                error));
    }

    @Override
    public Backing duplicate(Backing backing) throws AllocationException {
        String operation = "duplicate " + backing;
        enter();
        try {
            DescriptorBacking original = withDescriptor(operation, backing);
            DescriptorBacking copy = new DescriptorBacking(
                    this,
                    original.name(),
                    original.kind(),
                    original.size(),
                    original.pageSize(),
                    original.transparentHugePages(),
                    duplicateDescriptor(operation, original),
                    original.file());
            backings.add(copy);
            return copy;
        } finally {
            leave();
        }
    }

    private static DescriptorBacking withDescriptor(String operation, Backing backing) throws AllocationException {
        if (backing instanceof DescriptorBacking memory) {
            return memory;
        }
        if (backing instanceof PrivateBacking) {
            throw new AllocationException(Failure.of(
                    operation, null, "private memory has no descriptor", "use shared memory for what is to be shared"));
        }
        throw new IllegalArgumentException(backing + " is not memory of this host");
    }

    private static int duplicateDescriptor(String operation, DescriptorBacking backing) throws AllocationException {
        int descriptor = backing.duplicateDescriptor();
        if (descriptor < 0) {
            throw new AllocationException(new Failure(
                    operation,
                    null,
                    "the process may have no more descriptors",
                    "raise the limit (ulimit -n)",
                    Errno.last()));
        }
        return descriptor;
    }

    @Override
    public void offer(Path socket, List<Backing> backings, Duration deadline) throws AllocationException {
        String operation = "offer " + backings.size() + " backings at " + socket;
        if (backings.isEmpty()) {
            throw new IllegalArgumentException("there is nothing to offer");
        }
        enter();
        List<BackingExchange.Item> items = new ArrayList<>();
        try {
            // Descriptors of our own: the backings may be closed while this waits.
            for (Backing backing : backings) {
                DescriptorBacking memory = withDescriptor(operation, backing);
                items.add(
                        new BackingExchange.Item(memory.name(), memory.size(), duplicateDescriptor(operation, memory)));
            }
            new BackingExchange(operation, socket, deadline, this::requireOpen).offer(items);
        } finally {
            items.forEach(item -> Libc.close(item.descriptor()));
            leave();
        }
    }

    @Override
    public List<Backing> receive(Path socket, Duration deadline) throws AllocationException {
        enter();
        try {
            List<LinuxBacking> received = new BackingExchange(
                            "receive backings at " + socket, socket, deadline, this::requireOpen)
                    .receive(this::adopt);
            this.backings.addAll(received);
            return List.copyOf(received);
        } finally {
            leave();
        }
    }

    /** What came from elsewhere is believed in nothing that can be looked up. The caller closes the descriptor if it is refused. */
    private LinuxBacking adopt(BackingExchange.Item item) throws AllocationException {
        String operation = "adopt backing '" + item.name() + "'";
        int descriptor = item.descriptor();
        int seals = Libc.fcntl(descriptor, Libc.F_GET_SEALS, 0);
        if (seals < 0 || (seals & Libc.F_SEAL_SHRINK) == 0) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "others could shrink it, and accesses would fault",
                    "seal it with F_SEAL_SHRINK before offering it"));
        }
        FileStatus status = FileStatus.of(descriptor);
        if (status.size() != item.size()) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "it has 0x" + Long.toHexString(status.size()) + " bytes, and 0x" + Long.toHexString(item.size())
                            + " were announced",
                    ""));
        }
        boolean huge = status.fileSystem() == Libc.HUGETLBFS_MAGIC;
        long page = huge ? status.blockSize() : capabilities().pageSize();
        if (item.size() <= 0 || item.size() % page != 0) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "its size 0x" + Long.toHexString(item.size()) + " is no multiple of its page size, 0x"
                            + Long.toHexString(page),
                    ""));
        }
        // A trial, so that mapping it over something else cannot be refused later for what it is.
        long trial = Libc.mmap(0, page, Libc.PROT_READ_WRITE, Libc.MAP_SHARED | Libc.MAP_NORESERVE, descriptor, 0);
        if (trial == Libc.MAP_FAILED) {
            throw new AllocationException(
                    new Failure(operation, null, "it cannot be mapped for writing", "offer it writable", Errno.last()));
        }
        Libc.munmap(trial, page);
        if (huge && Libc.retried(() -> Libc.fallocate(descriptor, 0, 0, item.size())) != 0) {
            throw new AllocationException(
                    new Failure(operation, null, "it lacks huge pages that the pool does not have", "", Errno.last()));
        }
        return new DescriptorBacking(
                this,
                item.name(),
                huge ? BackingKind.HUGETLB : BackingKind.SHARED,
                item.size(),
                page,
                false,
                descriptor,
                status.file());
    }

    /** Who claimed a file here; null where it was not here. */
    @Nullable
    String claimant(FileId file) {
        DescriptorClaim claim = claims.get(file);
        return claim == null ? null : claim.owner;
    }

    Backing.Claim claimed(FileId file, String owner, int descriptor) {
        DescriptorClaim claim = new DescriptorClaim(file, owner, descriptor);
        claims.put(file, claim);
        return claim;
    }

    /** The oldest open backing that is this file. */
    long identify(FileId file) {
        return backings.stream()
                .filter(backing -> backing.file().equals(file))
                .mapToLong(Backing::id)
                .min()
                .orElse(LinuxReservation.UNKNOWN);
    }

    void forget(LinuxReservation reservation) {
        reservations.remove(reservation);
    }

    void forget(LinuxBacking backing) {
        backings.remove(backing);
    }

    private void enter() {
        use.readLock().lock();
        if (closed) {
            use.readLock().unlock();
            throw closedException();
        }
    }

    private void leave() {
        use.readLock().unlock();
    }

    private void requireOpen() {
        if (closed) {
            throw closedException();
        }
    }

    private static IllegalStateException closedException() {
        return new IllegalStateException("the host memory is closed");
    }

    /**
     * Closes what is still open, then lets go of the C library. Calls under way finish first; those that wait for another
     * process end with an exception. Closing twice does nothing.
     */
    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        use.writeLock().lock();
        try {
            // Each close waits for the calls inside that object; none comes in after it.
            reservations.forEach(AddressReservation::close);
            backings.forEach(LinuxBacking::close);
            claims.values().forEach(DescriptorClaim::close);
            Libc.release();
        } finally {
            use.writeLock().unlock();
        }
    }

    /** A lock on an open file of its own. */
    private final class DescriptorClaim implements Backing.Claim {
        private final FileId file;
        private final String owner;
        private final int descriptor;
        private boolean closed;

        DescriptorClaim(FileId file, String owner, int descriptor) {
            this.file = file;
            this.owner = owner;
            this.descriptor = descriptor;
        }

        @Override
        public synchronized void close() {
            if (!closed) {
                closed = true;
                // Out of the list first: the moment the lock is gone another claim may enter itself there.
                claims.remove(file, this);
                Libc.close(descriptor);
            }
        }
    }
}

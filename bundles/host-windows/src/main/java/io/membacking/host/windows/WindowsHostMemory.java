package io.membacking.host.windows;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
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
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Host memory of 64-bit Windows, with or without OSGi. Thread-safe. Whoever makes it closes it; then every reservation, backing
 * and claim made here closes too.
 */
public class WindowsHostMemory implements HostMemory, AutoCloseable {
    static final String COMMIT_REMEDY = "free memory, or enlarge the page file";
    /** Bytes of an ordinary page, which memory is committed by. */
    private static final long MEMORY_PAGE = 4096;

    /** How the names of our sections begin. */
    private static final String NAMES = "membacking-";

    private final HostFacts facts;
    private final Set<AddressReservation> reservations = ConcurrentHashMap.newKeySet();
    private final Set<WindowsBacking> backings = ConcurrentHashMap.newKeySet();
    private final Map<String, EventClaim> claims = new ConcurrentHashMap<>();
    /** Shared by calls under way, exclusive to close: the native binding must not go under them. */
    private final ReentrantReadWriteLock use = new ReentrantReadWriteLock();

    private volatile boolean closed;

    /** @throws UnsupportedOperationException on any other system */
    public WindowsHostMemory() {
        this(facts -> facts);
    }

    /** With facts other than the host's, for tests. */
    WindowsHostMemory(UnaryOperator<HostFacts> facts) {
        Win32.acquire();
        try {
            this.facts = facts.apply(HostFacts.read());
        } catch (RuntimeException | Error e) {
            Win32.release();
            throw e;
        }
    }

    HostFacts facts() {
        return facts;
    }

    @Override
    public HostCapabilities capabilities() {
        return facts.capabilities();
    }

    @Override
    public boolean hasProcessBarrier() {
        return facts.processBarrier();
    }

    @Override
    public void processBarrier() {
        if (!facts.processBarrier()) {
            throw new UnsupportedOperationException("this Windows has no FlushProcessWriteBuffers that works");
        }
        enter();
        try {
            Win32.FlushProcessWriteBuffers();
        } finally {
            leave();
        }
    }

    @Override
    public AddressReservation reserve(long size, long alignment) throws HostMappingException {
        return reserveIn(Win32.CURRENT_PROCESS, size, alignment);
    }

    /**
     * As {@link #reserve}, in another process: what is mapped there is a mapping of its own, for backends that let that process
     * hold a guest's memory.
     *
     * @param process a handle with the rights PROCESS_VM_OPERATION, PROCESS_VM_READ and PROCESS_QUERY_INFORMATION, which stays
     *     the caller's and open as long as the reservation is
     */
    AddressReservation reserveIn(long process, long size, long alignment) throws HostMappingException {
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
            WindowsReservation reservation = WindowsReservation.reserve(this, process, size, alignment);
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
            WindowsBacking backing = request.kind() == BackingKind.PRIVATE
                    ? allocatePrivate(operation, request)
                    : allocateSection(operation, request);
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
        if (huge && (page == 0 || page != facts.largePage())) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "the host has no pool of pages of 0x" + Long.toHexString(page) + " bytes",
                    facts.largePage() == 0
                            ? "its processor has no large pages"
                            : "choose 0x" + Long.toHexString(facts.largePage())));
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

    /** The node to prefer; none where the host has one alone, which needs no preference. */
    private OptionalInt preferredNode(BackingRequest request) {
        return capabilities().numaNodes().size() > 1 ? request.numaNode() : OptionalInt.empty();
    }

    private WindowsBacking allocatePrivate(String operation, BackingRequest request) throws AllocationException {
        // Tried where it is in nobody's way: whether the host would give it.
        long trial = Win32.VirtualAllocEx(
                Win32.CURRENT_PROCESS, 0, request.size(), Win32.MEM_RESERVE | Win32.MEM_COMMIT, Win32.PAGE_READWRITE);
        if (trial == Win32.NULL) {
            throw new AllocationException(notCommitted(operation, request.size(), MEMORY_PAGE, WindowsError.last()));
        }
        Win32.VirtualFreeEx(Win32.CURRENT_PROCESS, trial, 0, Win32.MEM_RELEASE);
        return new PrivateBacking(
                this, request.name(), request.size(), capabilities().pageSize(), preferredNode(request));
    }

    private WindowsBacking allocateSection(String operation, BackingRequest request) throws AllocationException {
        boolean huge = request.kind() == BackingKind.HUGETLB;
        if (huge && !HostFacts.LockPagesPrivilege.enable()) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "large pages need " + HostFacts.LockPagesPrivilege.NAME + ", which this process does not have",
                    "give the account the right 'Lock pages in memory' and log in anew"));
        }
        // Committed now, all of it: on Windows that is the default, and stated.
        int protection = Win32.PAGE_READWRITE | Win32.SEC_COMMIT | (huge ? Win32.SEC_LARGE_PAGES : 0);
        int high = (int) (request.size() >>> 32);
        int low = (int) request.size();
        String identity = NAMES + UUID.randomUUID();
        OptionalInt node = preferredNode(request);
        long handle;
        NativeError error;
        try (Memory name = Win32.string("Local\\" + identity)) {
            handle = node.isPresent() && Win32.has("CreateFileMappingNumaW")
                    ? Win32.CreateFileMappingNumaW(
                            Win32.INVALID_HANDLE, Pointer.NULL, protection, high, low, name, node.getAsInt())
                    : Win32.CreateFileMappingW(Win32.INVALID_HANDLE, Pointer.NULL, protection, high, low, name);
            error = WindowsError.last();
        }
        long page = huge ? request.hugePageSize() : MEMORY_PAGE;
        if (handle == Win32.NULL) {
            throw new AllocationException(notCommitted(operation, request.size(), page, error));
        }
        return new SectionBacking(
                this, request.name(), request.kind(), request.size(), page, new Section(handle), identity);
    }

    private static Failure notCommitted(String operation, long size, long page, NativeError error) {
        return new Failure(operation, null, "the host would not commit " + shortage(size, page), COMMIT_REMEDY, error);
    }

    /** The size, the pages, and the pool that they come from: for whoever is told that there are not enough. */
    static String shortage(long size, long page) {
        return "0x" + Long.toHexString(size) + " bytes: that is " + size / page + " pages of 0x"
                + Long.toHexString(page) + " bytes, and of the commit limit (memory and page files) of 0x"
                + Long.toHexString(HostFacts.memoryStatus(Win32.MEMORY_STATUS_COMMIT_LIMIT)) + " bytes 0x"
                + Long.toHexString(HostFacts.memoryStatus(Win32.MEMORY_STATUS_COMMIT_LEFT)) + " are left";
    }

    @Override
    public Backing duplicate(Backing backing) throws AllocationException {
        String operation = "duplicate " + backing;
        enter();
        try {
            SectionBacking original = withHandle(operation, backing);
            SectionBacking copy = new SectionBacking(
                    this,
                    original.name(),
                    original.kind(),
                    original.size(),
                    original.pageSize(),
                    duplicateSection(operation, original),
                    original.identity());
            backings.add(copy);
            return copy;
        } finally {
            leave();
        }
    }

    private static SectionBacking withHandle(String operation, Backing backing) throws AllocationException {
        if (backing instanceof SectionBacking memory) {
            return memory;
        }
        if (backing instanceof PrivateBacking) {
            throw new AllocationException(Failure.of(
                    operation, null, "private memory has no descriptor", "use shared memory for what is to be shared"));
        }
        throw new IllegalArgumentException(backing + " is not memory of this host");
    }

    private static Section duplicateSection(String operation, SectionBacking backing) throws AllocationException {
        long handle = backing.duplicateHandle(Win32.CURRENT_PROCESS);
        if (handle == Win32.NULL) {
            throw new AllocationException(
                    new Failure(operation, null, "the host would make no other handle", "", WindowsError.last()));
        }
        return new Section(handle);
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
            // Handles of our own: the backings may be closed while this waits.
            for (Backing backing : backings) {
                SectionBacking memory = withHandle(operation, backing);
                items.add(new BackingExchange.Item(memory.name(), memory.size(), duplicateSection(operation, memory)));
            }
            new BackingExchange(operation, socket, deadline, this::requireOpen).offer(items);
        } finally {
            items.forEach(item -> item.section().release());
            leave();
        }
    }

    @Override
    public List<Backing> receive(Path socket, Duration deadline) throws AllocationException {
        enter();
        try {
            List<WindowsBacking> received = new BackingExchange(
                            "receive backings at " + socket, socket, deadline, this::requireOpen)
                    .receive(this::adopt);
            this.backings.addAll(received);
            return List.copyOf(received);
        } finally {
            leave();
        }
    }

    /** What came from elsewhere is believed in nothing that can be looked up. The caller closes the handle if it is refused. */
    private WindowsBacking adopt(BackingExchange.Item item) throws AllocationException {
        String operation = "adopt backing '" + item.name() + "'";
        long handle = item.section().handle();
        Section.Description found = Section.describe(handle);
        if (found == null) {
            throw new AllocationException(Failure.of(operation, null, "it is no section", ""));
        }
        if ((found.attributes() & Win32.SEC_COMMIT) == 0 || (found.attributes() & Win32.SEC_FILE) != 0) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "it is not committed memory, and accesses could fault",
                    "offer a section of the page file made with SEC_COMMIT"));
        }
        if (found.size() != item.size()) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "it has 0x" + Long.toHexString(found.size()) + " bytes, and 0x" + Long.toHexString(item.size())
                            + " were announced",
                    ""));
        }
        if (!found.name().startsWith(NAMES)) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "it has no name by which its managers could keep each other out",
                    "offer what was allocated here"));
        }
        boolean huge = (found.attributes() & Win32.SEC_LARGE_PAGES) != 0;
        long page = huge ? facts.largePage() : capabilities().pageSize();
        if (item.size() <= 0 || item.size() % page != 0) {
            throw new AllocationException(Failure.of(
                    operation,
                    null,
                    "its size 0x" + Long.toHexString(item.size()) + " is no multiple of its page size, 0x"
                            + Long.toHexString(page),
                    ""));
        }
        NativeError refused = Section.tryView(handle, 0, page);
        if (refused != null) {
            throw new AllocationException(
                    new Failure(operation, null, "it cannot be mapped for writing", "offer it writable", refused));
        }
        return new SectionBacking(
                this,
                item.name(),
                huge ? BackingKind.HUGETLB : BackingKind.SHARED,
                item.size(),
                page,
                item.section().shared(),
                found.name());
    }

    /** Who claimed a section here; null where it was not here. */
    @Nullable
    String claimant(String identity) {
        EventClaim claim = claims.get(identity);
        return claim == null ? null : claim.owner;
    }

    Backing.Claim claimed(String identity, String owner, long event) {
        EventClaim claim = new EventClaim(identity, owner, event);
        claims.put(identity, claim);
        return claim;
    }

    void forget(WindowsReservation reservation) {
        reservations.remove(reservation);
    }

    void forget(WindowsBacking backing) {
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
     * Closes what is still open, then lets go of Windows. Calls under way finish first; those that wait for another process end
     * with an exception. Closing twice does nothing.
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
            backings.forEach(WindowsBacking::close);
            claims.values().forEach(EventClaim::close);
            Win32.release();
        } finally {
            use.writeLock().unlock();
        }
    }

    /** An open handle of the event that is named after the section. */
    private final class EventClaim implements Backing.Claim {
        private final String identity;
        private final String owner;
        private final long event;
        private boolean closed;

        EventClaim(String identity, String owner, long event) {
            this.identity = identity;
            this.owner = owner;
            this.event = event;
        }

        @Override
        public synchronized void close() {
            if (!closed) {
                closed = true;
                // Out of the list first: the moment the event is gone another claim may enter itself there.
                claims.remove(identity, this);
                Win32.CloseHandle(event);
            }
        }
    }
}

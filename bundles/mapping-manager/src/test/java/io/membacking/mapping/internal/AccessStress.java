package io.membacking.mapping.internal;

import static io.membacking.mapping.internal.TestGuest.LONG;

import io.membacking.access.GuestMemory;
import io.membacking.error.GuestAccessException;
import io.membacking.host.Backing;
import io.membacking.mapping.AccessPiece;
import io.membacking.mapping.AccessPiece.Access;
import io.membacking.mapping.MappingManager;
import io.membacking.range.MemoryRange;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Readers and writers against one who maps, replaces, releases and write-protects under them. Run in a JVM of its own, since what
 * it looks for may end it. Exits with 0, or prints what was wrong.
 *
 * <p>The guest is a row of slots; each shows a backing, or nothing. Page by page a backing begins with a tag that says which
 * backing and page it is, which nobody overwrites; so a reader knows what it reads. For each slot there is a history of what it
 * showed, and a call must agree with a moment between its begin and its end. What is displaced or read-only is read through its
 * backing at once and again when it comes back: a late write would have changed it.
 */
@SuppressWarnings("ThreadPriorityCheck") // it is the scheduler that is to be provoked
final class AccessStress {
    private static final int PAGE = 4096;
    private static final int SLOT = 64 << 10;
    private static final int SLOTS = 8;
    /** One slot for long copies that need several sections; its pages have no tags. */
    private static final int LONG_SLOT = 1 << 20;

    private static final long LONG_START = (long) SLOTS * SLOT + 0x3000;
    private static final long SIZE = 4 << 20;
    private static final List<Access> ACCESS = List.of(Access.values());
    private static final int HISTORY = 1 << 16;

    private final TestGuest guest;
    private final boolean drains;
    private final AtomicReference<String> wrong = new AtomicReference<>();
    private final AtomicLong operations = new AtomicLong();
    private final List<Slot> slots = new ArrayList<>();
    private volatile boolean stop;

    private AccessStress(boolean barrier, boolean drains) {
        guest = new TestGuest(SIZE, barrier, drains);
        this.drains = drains;
        for (int i = 0; i < SLOTS; i++) {
            slots.add(new Slot(MemoryRange.ofLength((long) i * SLOT, SLOT), true));
        }
        slots.add(new Slot(MemoryRange.ofLength(LONG_START, LONG_SLOT), false));
    }

    /**
     * Closes guests under their readers: each must find out, none may fault. The host empties and unmaps what is closed at once.
     */
    private static void closeUnderReaders(int times) throws InterruptedException {
        AtomicReference<String> wrong = new AtomicReference<>();
        for (int i = 0; i < times && wrong.get() == null; i++) {
            TestGuest guest = new TestGuest(SIZE);
            MemoryRange range = MemoryRange.ofLength(0, LONG_SLOT);
            guest.show(range, guest.backing("ram", LONG_SLOT), 0, Access.READ_WRITE);
            CountDownLatch running = new CountDownLatch(3);
            List<Thread> threads = new ArrayList<>();
            for (int t = 0; t < 3; t++) {
                threads.add(new Thread(() -> {
                    GuestMemory memory = new StragglingAccessor(guest.manager);
                    try {
                        for (int n = 0; ; n++) {
                            memory.writeLong((n * 8L) % LONG_SLOT, n);
                            memory.fill(0, LONG_SLOT, (byte) n);
                            running.countDown();
                        }
                    } catch (IllegalStateException e) {
                        if (!e.getMessage().contains("closed")) {
                            wrong.set(e.toString());
                        }
                    }
                }));
            }
            threads.forEach(Thread::start);
            running.await();
            guest.close();
            for (Thread thread : threads) {
                thread.join();
            }
        }
        System.out.println(times + " guests closed" + (wrong.get() == null ? "" : "; WRONG: " + wrong.get()));
        System.exit(wrong.get() == null ? 0 : 1);
    }

    /** {@code args}: "close" and how often, or "barrier" or "fence", "drain" or "careless", how many operations at least, how many seconds at least. */
    public static void main(String[] args) throws Exception {
        if (args[0].equals("close")) {
            closeUnderReaders(Integer.parseInt(args[1]));
        }
        AccessStress stress = new AccessStress(args[0].equals("barrier"), args[1].equals("drain"));
        stress.run(Long.parseLong(args[2]), Long.parseLong(args[3]));
        String problem = stress.wrong.get();
        System.out.println(stress.operations + " operations, " + stress.guest.manager.counters()
                + (problem == null ? "" : "; WRONG: " + problem));
        System.exit(problem == null ? 0 : 1);
    }

    private void run(long count, long seconds) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Client client = new Client(i);
            threads.add(new Thread(client::run));
        }
        threads.add(new Thread(this::change));
        threads.forEach(Thread::start);
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        while (wrong.get() == null && (operations.get() < count || System.nanoTime() < end)) {
            Thread.sleep(20);
        }
        // The readers are still running: the end is a race as well.
        guest.manager.close();
        stop = true;
        for (Thread thread : threads) {
            thread.join(30_000);
            if (thread.isAlive()) {
                wrong("a thread hangs: " + Arrays.toString(thread.getStackTrace()));
            }
        }
    }

    private void wrong(String what) {
        wrong.compareAndSet(null, what);
    }

    /** What a slot shows. @param backing null for nothing */
    private record Shown(@Nullable Stock backing, Access access) {}

    /** A backing in stock: at most one slot has it. */
    private final class Stock {
        final int number;
        final Backing backing;
        byte @Nullable [] frozen;

        Stock(int number, long size, boolean tagged) {
            this.number = number;
            this.backing = guest.backing("stock" + number, size);
            for (int page = 0; tagged && page < size / PAGE; page++) {
                byte[] tag = new byte[8];
                ByteBuffer.wrap(tag)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt(number)
                        .putInt(page);
                backing.write((long) page * PAGE, tag, 0, 8);
            }
        }

        /** From now on nobody may write it. */
        void freeze() {
            if (frozen == null) {
                frozen = contents();
            }
        }

        void checkFrozen() {
            if (frozen != null) {
                int at = Arrays.mismatch(frozen, contents());
                if (at >= 0) {
                    wrong("a late write reached byte " + at + " of backing " + number);
                }
            }
        }

        void thaw() {
            checkFrozen();
            frozen = null;
        }

        private byte[] contents() {
            byte[] bytes = new byte[(int) backing.size()];
            backing.read(0, bytes, 0, bytes.length);
            return bytes;
        }
    }

    private final class Slot {
        final MemoryRange range;
        final Shown[] history = new Shown[HISTORY];
        volatile int now;
        /** Two that wait while one is shown. */
        final List<Stock> spare = new ArrayList<>();

        Slot(MemoryRange range, boolean tagged) {
            this.range = range;
            for (int i = 0; i < 3; i++) {
                Stock stock = new Stock(3 * slots.size() + i + 1, range.length(), tagged);
                stock.freeze();
                spare.add(stock);
            }
            history[0] = new Shown(null, Access.NONE);
        }

        Shown at(int moment) {
            return history[moment];
        }
    }

    private void change() {
        Random random = new Random();
        try {
            while (!stop && wrong.get() == null) {
                Slot slot = slots.get(random.nextInt(slots.size()));
                if (slot.now + 1 == HISTORY) {
                    continue;
                }
                change(slot, random);
                if (random.nextInt(4) == 0) {
                    Thread.onSpinWait();
                }
            }
        } catch (IllegalStateException e) {
            checkClosed(e);
        } catch (Exception | AssertionError e) {
            e.printStackTrace(System.out);
            wrong("the changer failed: " + e);
        }
    }

    private void change(Slot slot, Random random) throws Exception {
        Shown before = slot.at(slot.now);
        Stock next = random.nextInt(4) == 0 ? null : slot.spare.get(random.nextInt(slot.spare.size()));
        if (before.backing != null && random.nextInt(3) == 0) {
            next = before.backing; // the same memory with other access
        }
        Access access = next == null ? Access.NONE : ACCESS.get(random.nextInt(ACCESS.size()));
        if (drains && next != null) {
            next.checkFrozen();
        }
        MappingManager.Transition transition = guest.manager.begin(List.of(slot.range), LONG);
        // From here on nobody may write what was shown, until it is shown writable again.
        if (before.backing != null) {
            before.backing.freeze();
        }
        if (next == null) {
            guest.manager.release(slot.range);
        } else if (next != before.backing) {
            guest.manager.map(slot.range, next.backing, 0);
        }
        if (random.nextInt(16) == 0) {
            Thread.yield();
        }
        if (before.backing != null) {
            before.backing.checkFrozen();
        }
        if (next != null && access == Access.READ_WRITE) {
            next.thaw();
        }
        if (before.backing != next) {
            slot.spare.remove(next);
            if (before.backing != null) {
                slot.spare.add(before.backing);
            }
        }
        int moment = slot.now + 1;
        slot.history[moment] = new Shown(next, access);
        slot.now = moment;
        transition.publish(List.of(new AccessPiece(slot.range, access)));
    }

    private void checkClosed(IllegalStateException e) {
        if (!e.getMessage().contains("closed")) {
            e.printStackTrace(System.out);
            wrong("refused: " + e);
        }
    }

    /** One thread that reads and writes at random. */
    private final class Client {
        private final int number;
        private final byte[] buffer = new byte[LONG_SLOT];
        private final ByteBuffer direct = ByteBuffer.allocateDirect(SLOT);

        Client(int number) {
            this.number = number;
        }

        void run() {
            GuestMemory memory = number == 0 ? new Straggling(guest.manager) : new StragglingAccessor(guest.manager);
            try {
                for (int i = 0; !stop && wrong.get() == null; i++) {
                    step(memory, ThreadLocalRandom.current());
                    if ((i & 63) == 0) {
                        operations.addAndGet(64);
                    }
                }
            } catch (IllegalStateException e) {
                checkClosed(e);
            } catch (Throwable e) {
                e.printStackTrace(System.out);
                wrong("an access failed: " + e);
            }
        }

        private void step(GuestMemory memory, ThreadLocalRandom random) {
            int what = random.nextInt(100);
            if (what < 5) {
                wild(memory, random);
            } else if (what < 12) {
                longOne(memory, random);
            } else {
                inSlot(memory, random, what);
            }
        }

        /** Anywhere in 64 bits; any answer will do but a wrong kind of one. */
        private void wild(GuestMemory memory, ThreadLocalRandom random) {
            long gpa = random.nextBoolean() ? random.nextLong() : SIZE + random.nextLong(-16, 16);
            boolean outside = gpa + 8 < 0 || gpa < 0 || gpa + 8 > SIZE;
            try {
                if (random.nextBoolean()) {
                    memory.readLong(gpa);
                } else {
                    memory.copy(gpa, random.nextLong(), random.nextLong() >>> 1);
                }
                if (outside) {
                    wrong("an access at 0x" + Long.toHexString(gpa) + " succeeded");
                }
            } catch (GuestAccessException e) {
                // what is expected
            }
        }

        private void longOne(GuestMemory memory, ThreadLocalRandom random) {
            Slot slot = slots.get(SLOTS);
            int offset = random.nextInt(LONG_SLOT / 2);
            int length = random.nextInt(LONG_SLOT - offset) + 1;
            int from = slot.now;
            Access least = Access.READ_WRITE;
            try {
                switch (random.nextInt(4)) {
                    case 0 -> {
                        least = Access.READ;
                        memory.read(LONG_START + offset, buffer, 0, length);
                    }
                    case 1 -> memory.write(LONG_START + offset, buffer, 0, length);
                    case 2 -> memory.fill(LONG_START + offset, length, (byte) random.nextInt());
                    default -> memory.copy(LONG_START, LONG_START + offset, length);
                }
                requireSome(slot, from, least, true, "a long operation");
            } catch (GuestAccessException e) {
                requireSome(slot, from, least, false, "a long operation");
            }
        }

        private void inSlot(GuestMemory memory, ThreadLocalRandom random, int what) {
            Slot slot = slots.get(random.nextInt(SLOTS));
            int page = random.nextInt(SLOT / PAGE);
            long gpa = slot.range.start() + (long) page * PAGE;
            // A cell of this thread alone in each page, behind the tag; sometimes not aligned.
            long cell = gpa + 64 + number * 64L + (what & 7);
            int from = slot.now;
            boolean reads = what < 50;
            try {
                if (what < 40) {
                    checkTag(slot, page, from, memory.readLong(gpa));
                } else if (reads) {
                    direct.clear();
                    memory.read(slot.range.start(), direct);
                    int tagged = random.nextInt(SLOT / PAGE);
                    checkTag(slot, tagged, from, Long.reverseBytes(direct.getLong(tagged * PAGE)));
                } else if (what < 60) {
                    memory.fill(gpa + 512, PAGE - 512, (byte) what);
                } else if (what < 70) {
                    memory.write(gpa + 512, buffer, 0, 1 + random.nextInt(PAGE - 512));
                } else if (what < 80) {
                    long aligned = cell & -8;
                    memory.compareAndSetLong(aligned, memory.readLong(aligned), random.nextLong());
                } else {
                    long value = random.nextLong();
                    memory.writeLong(cell, value);
                    requireSome(slot, from, Access.READ_WRITE, true, "a write");
                    long read = memory.readLong(cell);
                    if (slot.now == from && read != value) {
                        wrong("0x" + Long.toHexString(value) + " was written at 0x" + Long.toHexString(cell) + " and 0x"
                                + Long.toHexString(read) + " read");
                    }
                    return;
                }
                requireSome(slot, from, reads ? Access.READ : Access.READ_WRITE, true, "an operation");
            } catch (GuestAccessException e) {
                requireSome(slot, from, reads ? Access.READ : Access.READ_WRITE, false, "an operation");
            }
        }

        private void checkTag(Slot slot, int page, int from, long tag) {
            int to = slot.now;
            for (int moment = from; moment <= to; moment++) {
                Shown shown = slot.at(moment);
                if (shown.backing != null
                        && shown.access != Access.NONE
                        && tag == ((long) page << 32 | shown.backing.number)) {
                    return;
                }
            }
            wrong("page " + page + " of slot " + slot.range + " read as 0x" + Long.toHexString(tag)
                    + ", which it never was between moments " + from + " and " + to);
        }

        /** That the slot allowed it, or did not, at some moment of the call. */
        private void requireSome(Slot slot, int from, Access least, boolean allowed, String operation) {
            int to = slot.now;
            for (int moment = from; moment <= to; moment++) {
                if (slot.at(moment).access.compareTo(least) >= 0 == allowed) {
                    return;
                }
            }
            wrong(operation + " in " + slot.range + (allowed ? " succeeded" : " was refused") + ", needing " + least
                    + ", between moments " + from + " and " + to);
        }
    }

    /** Sometimes dawdles between check and touch. */
    private static void straggle() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        int chance = random.nextInt(1 << 12);
        if (chance == 0) {
            LockSupport.parkNanos(200_000);
        } else if (chance < 8) {
            Thread.yield();
        } else if (chance < 128) {
            for (int i = random.nextInt(2000); i > 0; i--) {
                Thread.onSpinWait();
            }
        }
    }

    private static final class Straggling extends AnyThreadMemory {
        Straggling(GuestMappingManager manager) {
            super(manager.gate, manager.epochs, manager.base());
        }

        @Override
        void beforeTouch() {
            straggle();
        }
    }

    private static final class StragglingAccessor extends OneThreadMemory {
        StragglingAccessor(GuestMappingManager manager) {
            super(manager.gate, manager.epochs, manager.base());
        }

        @Override
        void beforeTouch() {
            straggle();
        }
    }
}

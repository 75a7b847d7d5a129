package io.membacking.host.linux;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.error.NativeError;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One hand-over of descriptors between two processes of this host, over a local socket that keeps messages apart.
 *
 * <p>One message a backing: a magic number (8 bytes), how many follow (4), its number (4), its size (8), its name (UTF-8, the
 * rest), and its descriptor beside (SCM_RIGHTS). The receiver checks them all and answers with one message: a byte 1, or a byte 0
 * and in UTF-8 why not. Numbers are in the host's byte order; both ends are on this host.
 *
 * <p>Waiting is cut into slices, so that an interrupt or the closing of the host memory ends it.
 */
final class BackingExchange {
    private static final long MAGIC = 0x314b424d454dL;
    private static final int HEADER = 24;
    private static final int LARGEST_MESSAGE = 64 << 10;
    private static final int SLICE_MILLIS = 50;
    /** How soon the receiver looks again for a socket that is not there yet. */
    private static final int RETRY_MILLIS = 5;

    /** {@code struct sockaddr_un}: the family (2 bytes) and the path with a zero at the end. */
    private static final int PATH_BYTES = 108;

    private final String operation;
    private final Path path;
    private final long deadline;
    private final Runnable requireOpen;

    /** What travels. The descriptor belongs to whoever holds the item. */
    record Item(String name, long size, int descriptor) {}

    /** Makes a backing of what came, or refuses it; only then the descriptor is its own. */
    interface Adoption {
        LinuxBacking adopt(Item item) throws AllocationException;
    }

    /** @param requireOpen throws when waiting makes no sense any more */
    BackingExchange(String operation, Path path, Duration deadline, Runnable requireOpen) {
        this.operation = operation;
        this.path = path;
        // So long a wait that its end in nanoseconds does not fit is a wait without end.
        long nanos = deadline.compareTo(Duration.ofDays(365)) > 0 ? TimeUnit.DAYS.toNanos(365) : deadline.toNanos();
        this.deadline = System.nanoTime() + nanos;
        this.requireOpen = requireOpen;
    }

    void offer(List<Item> items) throws AllocationException {
        int listener = socket();
        try (Memory address = address()) {
            if (Libc.bind(listener, address, (int) address.size()) != 0) {
                NativeError error = Errno.last();
                throw refused(
                        "the socket cannot be made",
                        error.code() == Errno.EADDRINUSE ? "something is there: choose another path" : "",
                        error);
            }
            try (Memory file = Libc.string(path.toString())) {
                try {
                    // Nobody can connect before listen, so nobody finds it with wider access.
                    if (Libc.chmod(file, 0600) != 0 || Libc.listen(listener, 1) != 0) {
                        throw refused("the socket cannot be opened", "", Errno.last());
                    }
                    give(items, accept(listener));
                } finally {
                    Libc.unlink(file);
                }
            }
        } finally {
            Libc.close(listener);
        }
    }

    private int accept(int listener) throws AllocationException {
        while (true) {
            await(listener, Libc.POLLIN, "nobody came to receive them");
            int peer = (int) Libc.retried(
                    () -> Libc.accept4(listener, Pointer.NULL, Pointer.NULL, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC));
            if (peer >= 0) {
                return peer;
            }
            if (Errno.last().code() != Errno.EAGAIN) {
                throw refused("the receiver cannot be let in", "", Errno.last());
            }
        }
    }

    private void give(List<Item> items, int peer) throws AllocationException {
        try {
            boolean there = true;
            for (int i = 0; there && i < items.size(); i++) {
                Item item = items.get(i);
                byte[] name = item.name().getBytes(StandardCharsets.UTF_8);
                if (HEADER + name.length > LARGEST_MESSAGE) {
                    throw refused("the name of a backing is too long", "", null);
                }
                try (Message message = new Message(HEADER + name.length)) {
                    message.bytes.setLong(0, MAGIC);
                    message.bytes.setInt(8, items.size());
                    message.bytes.setInt(12, i);
                    message.bytes.setLong(16, item.size());
                    message.bytes.write(HEADER, name, 0, name.length);
                    message.attach(item.descriptor());
                    there = send(peer, message);
                }
            }
            // Also when the receiver has gone: it may have said why.
            try (Message answer = new Message(LARGEST_MESSAGE)) {
                int length = receive(peer, answer, "the receiver did not say that it has them");
                if (length == 0) {
                    throw refused("the receiver went before it had them all", "", null);
                }
                if (answer.bytes.getByte(0) != 1) {
                    throw refused("the receiver refused: " + text(answer.bytes, 1, length), "", null);
                }
            }
        } finally {
            Libc.close(peer);
        }
    }

    List<LinuxBacking> receive(Adoption adoption) throws AllocationException {
        int peer = socket();
        List<LinuxBacking> adopted = new ArrayList<>();
        try {
            connect(peer);
            int count;
            do {
                count = receiveOne(peer, adopted, adoption);
            } while (adopted.size() < count);
            answer(peer, new byte[] {1});
            return adopted;
        } catch (AllocationException | RuntimeException | Error e) {
            adopted.forEach(LinuxBacking::close);
            byte[] reason = (" " + e.getMessage()).getBytes(StandardCharsets.UTF_8);
            reason[0] = 0;
            try {
                answer(peer, reason);
            } catch (AllocationException gone) {
                // The other end is not there to be told.
                e.addSuppressed(gone);
            }
            throw e;
        } finally {
            Libc.close(peer);
        }
    }

    private int receiveOne(int peer, List<LinuxBacking> adopted, Adoption adoption) throws AllocationException {
        try (Message message = new Message(LARGEST_MESSAGE)) {
            int length = receive(peer, message, "not all of them came");
            int descriptor = message.descriptor();
            boolean kept = false;
            try {
                if (length == 0) {
                    throw refused("the other process went before it had given them all", "", null);
                }
                if (message.lacksDescriptors()) {
                    throw refused("the process may have no more descriptors", "raise the limit (ulimit -n)", null);
                }
                if (length < HEADER
                        || message.bytes.getLong(0) != MAGIC
                        || message.bytes.getInt(12) != adopted.size()
                        || descriptor < 0) {
                    throw refused("what came is no offer of backings", "", null);
                }
                String name = text(message.bytes, HEADER, length);
                adopted.add(adoption.adopt(new Item(name, message.bytes.getLong(16), descriptor)));
                kept = true;
                return message.bytes.getInt(8);
            } finally {
                if (!kept && descriptor >= 0) {
                    Libc.close(descriptor);
                }
            }
        }
    }

    private void connect(int peer) throws AllocationException {
        try (Memory address = address()) {
            while (Libc.retried(() -> Libc.connect(peer, address, (int) address.size())) != 0) {
                NativeError error = Errno.last();
                boolean early = error.code() == Errno.ENOENT
                        || error.code() == Errno.ECONNREFUSED
                        || error.code() == Errno.EAGAIN;
                if (!early) {
                    throw refused("the socket cannot be reached", "", error);
                }
                if (remainingMillis() <= 0) {
                    throw refused("nobody offered anything in time", "offer first, or wait longer", null);
                }
                pause(-1, 0, Math.min(RETRY_MILLIS, remainingMillis()));
            }
        }
    }

    /** Who is not there any more needs no answer. */
    private void answer(int peer, byte[] bytes) throws AllocationException {
        try (Message message = new Message(bytes.length)) {
            message.bytes.write(0, bytes, 0, bytes.length);
            send(peer, message);
        }
    }

    /** @return false if the other end is gone */
    private boolean send(int peer, Message message) throws AllocationException {
        while (Libc.retried(() -> Libc.sendmsg(peer, message.header, Libc.MSG_NOSIGNAL)) < 0) {
            NativeError error = Errno.last();
            if (error.code() == Errno.EPIPE || error.code() == Errno.ECONNRESET) {
                return false;
            }
            if (error.code() != Errno.EAGAIN) {
                throw refused("the other process cannot be reached", "", error);
            }
            await(peer, Libc.POLLOUT, "the other process did not take them");
        }
        return true;
    }

    /** @return the length of the message; 0 when the other end is gone */
    private int receive(int peer, Message message, String late) throws AllocationException {
        message.expectDescriptor();
        while (true) {
            await(peer, Libc.POLLIN, late);
            long length = Libc.retried(() -> Libc.recvmsg(peer, message.header, Libc.MSG_CMSG_CLOEXEC));
            if (length >= 0) {
                return (int) length;
            }
            NativeError error = Errno.last();
            // The kernel tells once that the other end left messages unread, before it gives what that end sent last.
            if (error.code() != Errno.EAGAIN && error.code() != Errno.ECONNRESET) {
                throw refused("the other process cannot be reached", "", error);
            }
        }
    }

    private int socket() throws AllocationException {
        int socket = Libc.socket(Libc.AF_UNIX, Libc.SOCK_SEQPACKET | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (socket < 0) {
            throw refused("the host would make no socket", "", Errno.last());
        }
        return socket;
    }

    private Memory address() throws AllocationException {
        byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        if (name.length == 0 || name.length >= PATH_BYTES) {
            throw refused(
                    "the path of a local socket has 1 to " + (PATH_BYTES - 1) + " bytes", "choose a shorter one", null);
        }
        Memory address = new Memory(2 + name.length + 1L);
        address.clear();
        address.setShort(0, (short) Libc.AF_UNIX);
        address.write(2, name, 0, name.length);
        return address;
    }

    private void await(int descriptor, int events, String late) throws AllocationException {
        while (!pause(descriptor, events, Math.min(SLICE_MILLIS, remainingMillis()))) {
            if (remainingMillis() <= 0) {
                throw refused(late + " in time", "", null);
            }
        }
    }

    /** @return whether the descriptor is ready; with a negative one it only waits */
    private boolean pause(int descriptor, int events, long millis) throws AllocationException {
        requireOpen.run();
        if (Thread.currentThread().isInterrupted()) {
            throw refused("the thread was interrupted", "", null);
        }
        try (Memory poll = new Memory(8)) {
            poll.setInt(0, descriptor);
            poll.setShort(4, (short) events);
            poll.setShort(6, (short) 0);
            return Libc.poll(poll, 1, (int) Math.max(0, millis)) > 0;
        }
    }

    private long remainingMillis() {
        return TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
    }

    private static String text(Memory bytes, int from, int to) {
        return new String(bytes.getByteArray(from, to - from), StandardCharsets.UTF_8);
    }

    private AllocationException refused(String problem, String remedy, @Nullable NativeError error) {
        return new AllocationException(new Failure(operation, null, problem, remedy, error));
    }

    /**
     * {@code struct msghdr} with one {@code struct iovec} and room for one descriptor in a {@code struct cmsghdr}: 64-bit
     * layouts of include/linux/socket.h.
     */
    private static final class Message implements AutoCloseable {
        private static final int CONTROL = 24;
        private static final int CONTROL_HEADER = 16;

        final Memory header = new Memory(56);
        final Memory bytes;
        private final Memory vector = new Memory(16);
        private final Memory control = new Memory(CONTROL);

        Message(int length) {
            bytes = new Memory(length);
            header.clear();
            control.clear();
            vector.setPointer(0, bytes);
            vector.setLong(8, length);
            header.setPointer(16, vector);
            header.setLong(24, 1);
        }

        /** Makes room for what may come beside the bytes. */
        void expectDescriptor() {
            header.setPointer(32, control);
            header.setLong(40, CONTROL);
        }

        void attach(int descriptor) {
            expectDescriptor();
            control.setLong(0, CONTROL_HEADER + Integer.BYTES);
            control.setInt(8, Libc.SOL_SOCKET);
            control.setInt(12, Libc.SCM_RIGHTS);
            control.setInt(CONTROL_HEADER, descriptor);
        }

        /** The descriptor that came with it; -1 for none. The room is for one: the kernel itself closes others. */
        int descriptor() {
            boolean came = header.getLong(40) >= CONTROL_HEADER + Integer.BYTES
                    && control.getInt(8) == Libc.SOL_SOCKET
                    && control.getInt(12) == Libc.SCM_RIGHTS;
            return came ? control.getInt(CONTROL_HEADER) : -1;
        }

        boolean lacksDescriptors() {
            return (header.getInt(48) & Libc.MSG_CTRUNC) != 0;
        }

        @Override
        public void close() {
            header.close();
            bytes.close();
            vector.close();
            control.close();
        }
    }
}

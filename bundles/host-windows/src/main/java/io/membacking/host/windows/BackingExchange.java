package io.membacking.host.windows;

import io.membacking.error.AllocationException;
import io.membacking.error.Failure;
import io.membacking.error.NativeError;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.AclEntry;
import java.nio.file.attribute.AclEntryPermission;
import java.nio.file.attribute.AclEntryType;
import java.nio.file.attribute.AclFileAttributeView;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.UserPrincipal;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One hand-over of sections between two processes of this host and user.
 *
 * <p>Where they meet is a file that this user alone may read: it holds the port of a socket on the loopback address, and a secret
 * that whoever connects must show. (Sockets that are files came late to Windows, and Wine has none.) The receiver shows the secret
 * and its process's number; the offering side puts handles into that process with DuplicateHandle and sends their numbers, each with
 * size and name; the receiver looks at them all and answers with a byte 1, or a byte 0 and why not. Numbers are big-endian.
 *
 * <p>Waiting is cut into slices, so that an interrupt or the closing of the host memory ends it.
 */
final class BackingExchange {
    private static final int MAGIC = 0x4d424b31;
    private static final int SECRET_BYTES = 32;
    /** What who connects says first: magic number, secret, process. */
    private static final int GREETING_BYTES = Integer.BYTES + SECRET_BYTES + Integer.BYTES;

    private static final int LARGEST_MESSAGE = 16 << 20;
    private static final int SLICE_MILLIS = 50;
    /** How long a stranger who connects and says nothing can keep the receiver waiting. */
    private static final int GREETING_MILLIS = 2000;
    /** How soon the receiver looks again for a file that is not there yet. */
    private static final int RETRY_MILLIS = 5;

    private final String operation;
    private final Path path;
    private final long deadline;
    private final Runnable requireOpen;

    /** What travels. */
    record Item(String name, long size, Section section) {}

    /** Makes a backing of what came, with a share of the section, or refuses it. */
    interface Adoption {
        WindowsBacking adopt(Item item) throws AllocationException;
    }

    private record Meeting(int port, byte[] secret) {}

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
        byte[] secret = new byte[SECRET_BYTES];
        new SecureRandom().nextBytes(secret);
        try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            createFile();
            try {
                Files.writeString(
                        path,
                        listener.getLocalPort() + " " + Base64.getEncoder().encodeToString(secret) + "\n");
                give(items, listener, secret);
            } finally {
                Files.deleteIfExists(path);
            }
        } catch (IOException e) {
            throw refused("the other process cannot be reached: " + e.getMessage(), "", null);
        }
    }

    private void createFile() throws AllocationException, IOException {
        try {
            // Empty at first, so that nobody finds a secret in it before it is for this user alone.
            Files.newByteChannel(
                            path, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), forThisUserAlone())
                    .close();
        } catch (FileAlreadyExistsException e) {
            throw refused("something is there already", "choose another path", null);
        } catch (IOException e) {
            throw refused("the file cannot be made: " + e, "", null);
        }
    }

    private FileAttribute<?>[] forThisUserAlone() throws IOException {
        Path folder = path.toAbsolutePath().getParent();
        if (folder == null || Files.getFileAttributeView(folder, AclFileAttributeView.class) == null) {
            throw refusedAsIo();
        }
        UserPrincipal user = thisUser();
        List<AclEntry> entries = List.of(AclEntry.newBuilder()
                .setType(AclEntryType.ALLOW)
                .setPrincipal(user)
                .setPermissions(EnumSet.allOf(AclEntryPermission.class))
                .build());
        return new FileAttribute<?>[] {
            new FileAttribute<List<AclEntry>>() {
                @Override
                public String name() {
                    return "acl:acl";
                }

                @Override
                public List<AclEntry> value() {
                    return entries;
                }
            }
        };
    }

    /** With the domain where Windows tells it: another domain may know the name, too. */
    private UserPrincipal thisUser() throws IOException {
        var users = path.getFileSystem().getUserPrincipalLookupService();
        String name = System.getProperty("user.name");
        String domain = System.getenv("USERDOMAIN");
        if (domain != null) {
            try {
                return users.lookupPrincipalByName(domain + "\\" + name);
            } catch (UserPrincipalNotFoundException e) {
                // As for Wine, which has names without domains.
            }
        }
        return users.lookupPrincipalByName(name);
    }

    private static IOException refusedAsIo() {
        return new IOException("no file for one user alone can be made there");
    }

    private void give(List<Item> items, ServerSocket listener, byte[] secret) throws AllocationException, IOException {
        while (true) {
            try (Socket peer = accept(listener)) {
                int process = greeted(peer, secret);
                if (process != 0) {
                    give(items, peer, process);
                    return;
                }
                // A stranger: any program of this host can connect.
            }
        }
    }

    private Socket accept(ServerSocket listener) throws AllocationException, IOException {
        while (true) {
            pause("nobody came to receive them");
            listener.setSoTimeout(slice());
            try {
                return listener.accept();
            } catch (SocketTimeoutException slice) {
                // Round again: what ends the waiting is looked at first.
            }
        }
    }

    /** @return the number of the process that connected; 0 if it does not know the secret */
    private int greeted(Socket peer, byte[] secret) throws AllocationException {
        long patience = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(GREETING_MILLIS);
        try {
            ByteBuffer greeting = ByteBuffer.wrap(read(peer, GREETING_BYTES, "the receiver said nothing", patience));
            boolean knows = greeting.getInt() == MAGIC;
            byte[] shown = new byte[SECRET_BYTES];
            greeting.get(shown);
            return knows && MessageDigest.isEqual(secret, shown) ? greeting.getInt() : 0;
        } catch (IOException left) {
            return 0;
        }
    }

    private void give(List<Item> items, Socket peer, int process) throws AllocationException, IOException {
        long receiver = Win32.OpenProcess(Win32.PROCESS_DUP_HANDLE, 0, process);
        if (receiver == Win32.NULL) {
            throw refused(
                    "handles cannot be put into process " + Integer.toUnsignedString(process),
                    "run both as the same user, at the same level",
                    WindowsError.last());
        }
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(message)) {
            out.writeInt(items.size());
            for (Item item : items) {
                long handle = Section.duplicate(item.section().handle(), receiver);
                if (handle == Win32.NULL) {
                    throw refused(
                            "handles cannot be put into process " + Integer.toUnsignedString(process),
                            "",
                            WindowsError.last());
                }
                byte[] name = item.name().getBytes(StandardCharsets.UTF_8);
                out.writeLong(handle);
                out.writeLong(item.size());
                out.writeInt(name.length);
                out.write(name);
            }
        } finally {
            Win32.CloseHandle(receiver);
        }
        send(peer, message.toByteArray());
        byte[] answer = message(peer, "the receiver did not say that it has them");
        if (answer.length == 0 || answer[0] != 1) {
            throw refused(
                    "the receiver refused: "
                            + new String(answer, 1, Math.max(0, answer.length - 1), StandardCharsets.UTF_8),
                    "",
                    null);
        }
    }

    List<WindowsBacking> receive(Adoption adoption) throws AllocationException {
        try (Socket peer = connect()) {
            List<WindowsBacking> adopted = new ArrayList<>();
            try {
                adoptAll(message(peer, "not all of them came"), adopted, adoption);
                send(peer, new byte[] {1});
                return adopted;
            } catch (AllocationException | RuntimeException | Error e) {
                adopted.forEach(WindowsBacking::close);
                byte[] reason = (" " + e.getMessage()).getBytes(StandardCharsets.UTF_8);
                reason[0] = 0;
                try {
                    send(peer, reason);
                } catch (IOException gone) {
                    // The other end is not there to be told.
                    e.addSuppressed(gone);
                }
                throw e;
            } catch (IOException e) {
                adopted.forEach(WindowsBacking::close);
                throw e;
            }
        } catch (IOException e) {
            throw refused("the other process went before it had given them all: " + e.getMessage(), "", null);
        }
    }

    private void adoptAll(byte[] message, List<WindowsBacking> adopted, Adoption adoption)
            throws AllocationException, IOException {
        List<Item> items = new ArrayList<>();
        try (DataInputStream in = new DataInputStream(new java.io.ByteArrayInputStream(message))) {
            int count = in.readInt();
            for (int i = 0; i < count; i++) {
                Section section = new Section(in.readLong());
                long size = in.readLong();
                String name = new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
                items.add(new Item(name, size, section));
            }
            for (Item item : items) {
                adopted.add(adoption.adopt(item));
            }
        } finally {
            // A handle that none of ours took a share of is closed.
            items.forEach(item -> item.section().release());
        }
    }

    private Socket connect() throws AllocationException {
        while (true) {
            pause("nobody offered anything");
            Meeting meeting = meeting();
            if (meeting != null) {
                Socket socket = new Socket();
                try {
                    socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), meeting.port), slice());
                    ByteBuffer greeting = ByteBuffer.allocate(GREETING_BYTES)
                            .putInt(MAGIC)
                            .put(meeting.secret)
                            .putInt(Win32.GetCurrentProcessId());
                    socket.getOutputStream().write(greeting.array());
                    return socket;
                } catch (IOException notThere) {
                    // A file that was left by a process that is gone, or one that another receiver was faster at.
                    close(socket);
                }
            }
            java.util.concurrent.locks.LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(RETRY_MILLIS));
        }
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            // nothing was sent that could be lost
        }
    }

    /** @return null while there is none, or not all of it */
    private @Nullable Meeting meeting() throws AllocationException {
        try {
            String text = Files.readString(path, StandardCharsets.US_ASCII);
            int space = text.indexOf(' ');
            // A read may overtake the write: what is not there yet, be it the first byte alone, reads as 0.
            if (space < 0 || !text.endsWith("\n") || text.indexOf('\0') >= 0) {
                return null;
            }
            return new Meeting(
                    Integer.parseInt(text.substring(0, space)),
                    Base64.getDecoder().decode(text.substring(space + 1, text.length() - 1)));
        } catch (NoSuchFileException notYet) {
            return null;
        } catch (IOException e) {
            throw refused("the file cannot be read: " + e, "", null);
        } catch (IllegalArgumentException e) {
            throw refused("what is there is no offer of backings", "", null);
        }
    }

    private static void send(Socket peer, byte[] message) throws IOException {
        DataOutputStream out = new DataOutputStream(peer.getOutputStream());
        out.writeInt(message.length);
        out.write(message);
        out.flush();
    }

    private byte[] message(Socket peer, String late) throws AllocationException, IOException {
        int length = ByteBuffer.wrap(read(peer, Integer.BYTES, late, deadline)).getInt();
        if (length < 0 || length > LARGEST_MESSAGE) {
            throw refused("what came is no offer of backings", "", null);
        }
        return read(peer, length, late, deadline);
    }

    /** @throws EOFException if the other end leaves before */
    private byte[] read(Socket peer, int length, String late, long patience) throws AllocationException, IOException {
        byte[] bytes = new byte[length];
        for (int done = 0; done < length; ) {
            pause(late);
            if (System.nanoTime() - patience > 0) {
                throw new SocketException(late);
            }
            peer.setSoTimeout(slice());
            try {
                int count = peer.getInputStream().read(bytes, done, length - done);
                if (count < 0) {
                    throw new EOFException("it went");
                }
                done += count;
            } catch (SocketTimeoutException slice) {
                // Round again: what ends the waiting is looked at first.
            }
        }
        return bytes;
    }

    /** @throws AllocationException if waiting makes no sense any more */
    private void pause(String late) throws AllocationException {
        requireOpen.run();
        if (Thread.currentThread().isInterrupted()) {
            throw refused("the thread was interrupted", "", null);
        }
        if (deadline - System.nanoTime() <= 0) {
            throw refused(late + " in time", "", null);
        }
    }

    private int slice() {
        return (int) Math.max(1, Math.min(SLICE_MILLIS, TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime())));
    }

    private AllocationException refused(String problem, String remedy, @Nullable NativeError error) {
        return new AllocationException(new Failure(operation, null, problem, remedy, error));
    }
}

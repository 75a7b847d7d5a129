package io.membacking.partition.whp;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** On Windows, its own surrogate processes; elsewhere a Java program in their place, which ends when its input does. */
final class SurrogateCalls extends ForwardingCalls {
    private static final Map<Long, Child> CHILDREN = new ConcurrentHashMap<>();
    private static final Set<Long> WINDOWS = ConcurrentHashMap.newKeySet();

    SurrogateCalls() {
        super(new WinHvCalls());
    }

    /** Those that were started and not ended; elsewhere than on Windows, of them those that live. */
    static int running() {
        return WINDOWS.size()
                + (int) CHILDREN.values().stream()
                        .filter(child -> child.process.isAlive())
                        .count();
    }

    /** Their numbers as processes. */
    static List<Long> pids() {
        return Platform.isWindows()
                ? WINDOWS.stream()
                        .map(handle -> (long) Kernel.GetProcessId(handle))
                        .toList()
                : List.copyOf(CHILDREN.keySet());
    }

    /** Bound for as long as the test's JVM runs. */
    private static final class Kernel {
        static {
            Native.register(Kernel.class, NativeLibrary.getInstance("kernel32"));
        }

        static native int GetProcessId(long process);
    }

    private record Child(Process process, PrintStream to, BufferedReader from) {}

    @Override
    public long startSurrogate() {
        if (Platform.isWindows()) {
            long process = super.startSurrogate();
            if (process > 0) {
                WINDOWS.add(process);
            }
            return process;
        }
        try {
            Process process = new ProcessBuilder(
                            ProcessHandle.current().info().command().orElse("java"),
                            "-XX:TieredStopAtLevel=1",
                            "-cp",
                            System.getProperty("java.class.path"),
                            Program.class.getName())
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            CHILDREN.put(
                    process.pid(),
                    new Child(
                            process,
                            new PrintStream(process.getOutputStream(), true, StandardCharsets.US_ASCII),
                            process.inputReader(StandardCharsets.US_ASCII)));
            return process.pid();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void endSurrogate(long process) {
        if (Platform.isWindows()) {
            super.endSurrogate(process);
            WINDOWS.remove(process);
            return;
        }
        Child child = CHILDREN.remove(process);
        child.to.close();
        child.process.onExit().join();
    }

    @Override
    public boolean hasEnded(long process) {
        return Platform.isWindows()
                ? super.hasEnded(process)
                : !CHILDREN.get(process).process().isAlive();
    }

    @Override
    public long mapSection(long process, int section) {
        return Platform.isWindows()
                ? super.mapSection(process, section)
                : ask(process, "map /proc/" + ProcessHandle.current().pid() + "/fd/" + section);
    }

    @Override
    public void unmapSection(long process, long address) {
        if (Platform.isWindows()) {
            super.unmapSection(process, address);
        } else {
            ask(process, "unmap " + address);
        }
    }

    private static long ask(long process, String question) {
        Child child = CHILDREN.get(process);
        child.to.println(question);
        try {
            String answer = child.from.readLine();
            return answer == null ? Hresult.E_UNEXPECTED : Long.parseLong(answer);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Maps files that its input names and says where, until the input ends. */
    static final class Program {
        private static final int READ_WRITE = 3;
        private static final int SHARED = 1;
        private static final int O_RDWR = 2;
        private static final Map<Long, Long> SIZES = new ConcurrentHashMap<>();

        private Program() {}

        public static void main(String[] none) throws IOException {
            Native.register(Program.class, NativeLibrary.getProcess());
            while (true) {
                StringBuilder line = new StringBuilder();
                for (int c = System.in.read(); c != '\n'; c = System.in.read()) {
                    if (c < 0) {
                        return;
                    }
                    line.append((char) c);
                }
                int space = line.indexOf(" ");
                String what = line.substring(space + 1);
                System.out.println(line.charAt(0) == 'm' ? map(what) : unmap(Long.parseLong(what)));
                System.out.flush();
            }
        }

        private static long map(String file) throws IOException {
            long size = Files.size(Path.of(file));
            int fd = open(file, O_RDWR);
            long address = mmap(0, size, READ_WRITE, SHARED, fd, 0);
            close(fd);
            SIZES.put(address, size);
            return address;
        }

        private static long unmap(long address) {
            return munmap(address, SIZES.remove(address));
        }

        private static native int open(String file, int flags);

        private static native int close(int fd);

        private static native long mmap(long address, long length, int protection, int flags, int fd, long offset);

        private static native int munmap(long address, long length);
    }
}

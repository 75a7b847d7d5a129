package io.membacking.vm.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.guests.GuestProgram;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.partition.Availability;
import io.membacking.partition.Exit;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.vm.MoveResult;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is left of a backend whose bundle has gone while its guest runs on: nothing. */
@Timeout(300)
class DepartedBackendsTest {
    /** Enough for every loop that a processor's thread is in to have been compiled with the backend's code in it. */
    private static final int EXITS = 80_000;

    private static final long DEVICE = 0x8000_0000L;

    private final AtomicLong exits = new AtomicLong();

    @Test
    void classesAreLetGoWhileTheGuestRunsOn() throws Exception {
        needsKvm();
        try (TestWorld world = new TestWorld()) {
            GuestMemoryManager memory = world.memory("reader", 16 << 20);
            Loaded current = arrive(world, 1);
            VirtualMachine vm = world.machines.create(VmRequest.of("reader", memory));
            TestWorld.load(memory, GuestProgram.USER_READER);
            TestWorld.prepare(
                    vm,
                    0,
                    GuestProgram.USER_READER,
                    TestWorld.registers(GuestProgram.USER_READER, 0, TestWorld.END, 7, 7, 0, DEVICE));
            Run run = vm.start((processor, exit) -> {
                if (exit instanceof Exit.Mmio mmio && mmio.gpa() == DEVICE) {
                    mmio.setValue(7);
                    exits.incrementAndGet();
                    return Outcome.resume();
                }
                return Outcome.unhandled();
            });
            for (int service = 2; service < 4; service++) {
                runFor(EXITS, run);
                Loaded next = arrive(world, service);
                MoveResult moved = vm.move("").toCompletableFuture().get(60, TimeUnit.SECONDS);
                assertEquals(MoveResult.Kind.MOVED, moved.kind(), moved.reason());
                WeakReference<ClassLoader> classes = depart(world, current, service - 1);
                current = next;
                runFor(EXITS, run);
                long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
                while (classes.get() != null && System.nanoTime() < deadline) {
                    System.gc();
                    runFor(100, run);
                }
                assertNull(classes.get(), "the classes of backend " + (service - 1) + " are still held");
            }
            run.stop(0, "enough");
            assertTrue(run.await(Duration.ofSeconds(60)).isPresent());
            vm.close();
            depart(world, current, 3);
        }
    }

    private static void needsKvm() {
        try (KvmBackend backend = new KvmBackend()) {
            Availability availability = backend.availability();
            String remedy = "KVM is needed: " + availability.reason() + "; " + availability.remedy();
            if ("all".equals(System.getProperty("membacking.require"))) {
                assertTrue(availability.usable(), remedy);
            }
            Assumptions.assumeTrue(availability.usable(), remedy);
        }
    }

    private void runFor(long count, Run run) {
        long until = exits.get() + count;
        while (exits.get() < until) {
            assertTrue(run.result().isEmpty(), () -> run.result().toString());
            LockSupport.parkNanos(100_000);
        }
    }

    private record Loaded(PartitionBackend backend, OwnClasses classes) {}

    private static Loaded arrive(TestWorld world, int service) throws Exception {
        OwnClasses classes = new OwnClasses(
                KvmBackend.class.getProtectionDomain().getCodeSource().getLocation());
        Class<?> type = classes.loadClass(KvmBackend.class.getName());
        assertNotSame(KvmBackend.class, type);
        PartitionBackend backend =
                (PartitionBackend) type.getDeclaredConstructor().newInstance();
        world.machines.backendArrived(new Backends.Installed(
                backend, "kvm", "test " + service, 0, service, Map.of(PartitionBackend.NAME, "kvm")));
        return new Loaded(backend, classes);
    }

    private static WeakReference<ClassLoader> depart(TestWorld world, Loaded loaded, int service) throws Exception {
        world.machines.backendDeparting(service);
        ((AutoCloseable) loaded.backend()).close();
        loaded.classes().close();
        return new WeakReference<>(loaded.classes());
    }

    /** Loads the backend's classes itself, and takes the others, as a bundle does, from elsewhere. */
    private static final class OwnClasses extends URLClassLoader {
        OwnClasses(URL classes) {
            super(new URL[] {classes}, DepartedBackendsTest.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith("io.membacking.partition.kvm.")) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded != null ? loaded : findClass(name);
            }
        }
    }
}

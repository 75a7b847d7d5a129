package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.contract.BackendRequirement;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** What happens to a bundle that is uninstalled: its class loader is let go. */
class KvmUnloadingTest {
    @Test
    void nothingHoldsTheClassesOfAClosedBackend(TestInfo test) throws Exception {
        try (KvmBackend here = new KvmBackend()) {
            BackendRequirement.require(here, test);
            for (int i = 0; i < 3; i++) { // beside another copy of the same classes, which goes on
                WeakReference<ClassLoader> loader = useAndClose();
                Instant deadline = Instant.now().plus(Duration.ofSeconds(30));
                while (loader.get() != null && Instant.now().isBefore(deadline)) {
                    System.gc();
                }
                assertNull(loader.get(), "the class loader is still held");
            }
            here.createPartition(new PartitionRequest("alive", false, 1)).createProcessor(0);
        }
    }

    private static WeakReference<ClassLoader> useAndClose() throws Exception {
        URL classes = KvmBackend.class.getProtectionDomain().getCodeSource().getLocation();
        try (OwnClasses loader = new OwnClasses(classes)) {
            Class<?> type = loader.loadClass(KvmBackend.class.getName());
            assertNotSame(KvmBackend.class, type);
            PartitionBackend backend =
                    (PartitionBackend) type.getDeclaredConstructor().newInstance();
            try {
                use(backend);
            } finally {
                ((AutoCloseable) backend).close();
            }
            return new WeakReference<>(loader);
        }
    }

    private static void use(PartitionBackend backend) throws Exception {
        Partition partition = backend.createPartition(new PartitionRequest("unloaded", true, 1));
        Processor processor = partition.createProcessor(0);
        processor.setState(processor.state());
        FutureTask<Exit> run = new FutureTask<>(processor::run);
        Thread thread = new Thread(run, "unloaded");
        thread.start();
        processor.cancel();
        Exit exit = run.get();
        thread.join();
        // The reset vector has no memory: it may have got that far.
        if (!(exit instanceof Exit.Cancelled)) {
            assertInstanceOf(Exit.EmulationFailure.class, exit, exit::toString);
        }
    }

    /** Loads this bundle's classes itself, and takes the others, as a bundle does, from elsewhere. */
    private static final class OwnClasses extends URLClassLoader {
        OwnClasses(URL classes) {
            super(new URL[] {classes}, KvmUnloadingTest.class.getClassLoader());
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

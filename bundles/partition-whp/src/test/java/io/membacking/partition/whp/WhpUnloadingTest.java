package io.membacking.partition.whp;

import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.GuestStates;
import io.membacking.partition.contract.TestRam;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** Classes of the backend, used and closed, are garbage: nothing of the bundle outlives it. */
class WhpUnloadingTest {
    @Test
    void nothingHoldsTheClassesOfABackendThatIsClosed(TestInfo test) throws Exception {
        Shim.find();
        try (WhpBackend here = new WhpBackend()) {
            BackendRequirement.require(here, test);
        }
        WeakReference<ClassLoader> loader = useAndClose();
        Instant deadline = Instant.now().plus(Duration.ofSeconds(30));
        while (loader.get() != null && Instant.now().isBefore(deadline)) {
            System.gc();
        }
        assertNull(loader.get(), "the class loader is still held");
    }

    private static WeakReference<ClassLoader> useAndClose() throws Exception {
        URL classes = WhpBackend.class.getProtectionDomain().getCodeSource().getLocation();
        try (OwnClasses loader = new OwnClasses(classes)) {
            Class<?> type = loader.loadClass(WhpBackend.class.getName());
            assertNotSame(WhpBackend.class, type);
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
        try (TestRam ram = new TestRam(0x1000)) {
            ram.write(0, new byte[] {(byte) 0xeb, (byte) 0xfe}); // jmp to itself
            Partition partition = backend.createPartition(new PartitionRequest("unloaded", false, 1));
            partition.map(ram.at(0));
            partition.prefetch(ram.at(0).range());
            Processor processor = partition.createProcessor(0);
            processor.setState(GuestStates.real(processor.state(), GeneralRegisters.at(0)));
            FutureTask<Exit> run = new FutureTask<>(processor::run);
            Thread thread = new Thread(run, "unloaded");
            thread.start();
            processor.cancel();
            assertInstanceOf(Exit.Cancelled.class, run.get());
            thread.join();
            partition.close();
        }
    }

    /** Loads this bundle's classes itself, and takes the others, as a bundle does, from elsewhere. */
    private static final class OwnClasses extends URLClassLoader {
        OwnClasses(URL classes) {
            super(new URL[] {classes}, WhpUnloadingTest.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith("io.membacking.partition.whp.")) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded != null ? loaded : findClass(name);
            }
        }
    }
}

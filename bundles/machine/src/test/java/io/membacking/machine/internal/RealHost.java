package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.abort;

import io.membacking.error.BackendException;
import io.membacking.host.linux.LinuxHostMemory;
import io.membacking.mapping.internal.GuestMappingManagers;
import io.membacking.memory.internal.GuestMemories;
import io.membacking.partition.Availability;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.region.internal.GuestRegionManagers;
import io.membacking.vm.VirtualMachines;
import io.membacking.vm.internal.PlainBackends;
import io.membacking.vm.internal.VirtualMachineRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;

/** Everything below machines, on this host and its KVM, without OSGi. */
final class RealHost implements AutoCloseable {
    static final Path SEABIOS = Path.of("/usr/share/seabios/bios-256k.bin");

    private final List<AutoCloseable> parts = new ArrayList<>();
    private final GuestMemories memories;
    private final VirtualMachineRegistry virtualMachines;
    private final KvmBackend kvm;
    private final PcMachines machines;

    /** Skips the test, loudly, if there is no usable KVM. */
    RealHost() {
        LinuxHostMemory host = part(new LinuxHostMemory());
        GuestMappingManagers mappings = part(new GuestMappingManagers(host));
        GuestRegionManagers regions = part(new GuestRegionManagers(mappings));
        memories = part(new GuestMemories(host, regions));
        kvm = part(new KvmBackend());
        virtualMachines = part(new VirtualMachineRegistry());
        machines = part(
                new PcMachines(memories, virtualMachines, machine -> () -> {}, Clock.systemUTC(), System::nanoTime));
        if (!kvm.availability().usable()) {
            closeParts();
            missing("KVM: " + kvm.availability().reason() + "; "
                    + kvm.availability().remedy());
        }
        PlainBackends.arrive(virtualMachines, kvm);
    }

    static byte[] seabios() throws IOException {
        if (!Files.isReadable(SEABIOS)) {
            missing("SeaBIOS at " + SEABIOS + "; apt-get install seabios");
        }
        return Files.readAllBytes(SEABIOS);
    }

    PcMachines machines() {
        return machines;
    }

    GuestMemories memories() {
        return memories;
    }

    VirtualMachines virtualMachines() {
        return virtualMachines;
    }

    void kvmDeparts() {
        PlainBackends.depart(virtualMachines);
    }

    void kvmReturns() {
        PlainBackends.arrive(virtualMachines, kvm);
    }

    /** Beside KVM comes another of the same kind. */
    void anotherKvmArrives() {
        PlainBackends.arrive(virtualMachines, part(new KvmBackend()), 2);
    }

    /** In place of KVM comes the same without interrupt controllers. */
    void kvmLosesItsInterruptControllers() {
        kvmDeparts();
        PlainBackends.arrive(virtualMachines, new WithoutInterruptControllers(kvm));
    }

    private record WithoutInterruptControllers(PartitionBackend kvm) implements PartitionBackend {
        @Override
        public String name() {
            return "plain";
        }

        @Override
        public Capabilities capabilities() {
            Capabilities c = kvm.capabilities();
            return new Capabilities(
                    c.readOnlyMemory(),
                    c.partialUnmap(),
                    c.atomicReplace(),
                    c.followsHostRemapping(),
                    c.prefetch(),
                    c.pin(),
                    c.dirtyLog(),
                    c.remoteProcess(),
                    c.exactRip(),
                    false,
                    c.trace(),
                    c.processors(),
                    c.physicalAddressWidth(),
                    c.maxMappings(),
                    c.stateFormat());
        }

        @Override
        public Availability availability() {
            return kvm.availability();
        }

        @Override
        public Partition createPartition(PartitionRequest request) throws BackendException {
            assertFalse(request.interruptControllers(), request::toString);
            return kvm.createPartition(request);
        }
    }

    @Override
    public void close() {
        closeParts();
    }

    private <T extends AutoCloseable> T part(T part) {
        parts.add(0, part);
        return part;
    }

    private void closeParts() {
        for (AutoCloseable part : parts) {
            try {
                part.close();
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        }
    }

    private static void missing(String what) {
        String message = "SKIPPED for want of " + what;
        if ("all".equals(System.getProperty("membacking.require"))) {
            throw new AssertionError(message);
        }
        System.err.println(message);
        abort(message);
    }
}

package io.membacking.vm.internal;

import io.membacking.error.AllocationException;
import io.membacking.guests.GuestProgram;
import io.membacking.host.Backing;
import io.membacking.memory.BackingChoice;
import io.membacking.memory.GuestMemoryBuilder;
import io.membacking.memory.GuestMemoryManager;
import io.membacking.memory.MemoryLayout;
import io.membacking.partition.Exit;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.kvm.KvmBackend;
import io.membacking.vm.Outcome;
import io.membacking.vm.Run;
import io.membacking.vm.VirtualMachine;
import io.membacking.vm.VmRequest;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * The other process of {@link SharingTest}: takes the backings, builds a manager on them and runs the guest that lies in them. Tells
 * what it finds in lines on standard output, and ends when its standard input does.
 */
final class SharedGuest {
    private SharedGuest() {}

    static GuestMemoryBuilder builder(TestWorld world, String guest, Backing backing) throws Exception {
        return world.memories
                .builder(guest)
                .layout(MemoryLayout.flat(backing.size()))
                .backing(BackingChoice.existing(backing));
    }

    public static void main(String[] args) throws Exception {
        try (TestWorld world = new TestWorld();
                KvmBackend kvm = new KvmBackend()) {
            List<Backing> backings = world.host.receive(Path.of(args[0]), Duration.ofSeconds(60));
            GuestMemoryManager memory =
                    builder(world, "received", backings.get(0)).build();
            System.out.println("found " + Long.toHexString(memory.memory().readLong(SharingTest.WORD)));
            try {
                builder(world, "second", world.host.duplicate(backings.get(0))).build();
                System.out.println("second manager built");
            } catch (AllocationException e) {
                System.out.println("refused " + e.getMessage());
            }
            if (kvm.availability().usable()) {
                world.machines.backendArrived(
                        new Backends.Installed(kvm, "kvm", "test", 0, 1, Map.of(PartitionBackend.NAME, "kvm")));
                System.out.println("guest read " + runGuest(world, memory));
            } else {
                System.out.println("no hypervisor: " + kvm.availability().reason());
            }
            System.in.read();
        }
        System.out.println("closed");
    }

    private static String runGuest(TestWorld world, GuestMemoryManager memory) throws Exception {
        VirtualMachine vm = world.machines.create(VmRequest.of("received", memory));
        TestWorld.prepare(
                vm,
                0,
                GuestProgram.USER_PEEKPOKE,
                TestWorld.registers(
                        GuestProgram.USER_PEEKPOKE,
                        0,
                        TestWorld.END,
                        0,
                        SharingTest.ANSWER,
                        SharingTest.WORD + 8,
                        SharingTest.WORD));
        long[] written = new long[1];
        Run run = vm.start((processor, exit) -> {
            written[0] = exit instanceof Exit.Mmio mmio ? mmio.value() : 0;
            return Outcome.stop(0, "ended");
        });
        return run.await(Duration.ofSeconds(60))
                .map(result -> Long.toHexString(written[0]))
                .orElse("nothing in time");
    }
}

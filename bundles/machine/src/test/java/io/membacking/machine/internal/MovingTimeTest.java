package io.membacking.machine.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.access.GuestMemory;
import io.membacking.guests.GuestProgram;
import io.membacking.machine.BootSource;
import io.membacking.machine.BootSource.Mode;
import io.membacking.machine.Machine;
import io.membacking.machine.MachineConfig;
import io.membacking.vm.MoveResult;
import io.membacking.vm.Run;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The time of guests that are moved between two KVMs while they run. {@code -Dmembacking.moves=1000} sets how often; the default
 * keeps a build short.
 */
@Timeout(600)
final class MovingTimeTest {
    private static final int MOVES = Integer.getInteger("membacking.moves", 50);
    private static final long NANOS = 1_000_000_000;
    private static final int STATUS = 0x9000;

    /** Ticks since midnight in the BIOS data area. */
    private static final int BIOS_TICKS = 0x46c;

    private RealHost host;

    @BeforeEach
    void openHost() {
        host = new RealHost();
        host.anotherKvmArrives();
    }

    @AfterEach
    void closeHost() {
        host.close();
    }

    @Test
    void aThousandTicksASecondStayAThousandHoweverOftenTheGuestIsMoved() throws Exception {
        int count = 1193;
        BootSource boot = new BootSource.Flat("ticks", GuestProgram.REAL_TICKS.bytes(), 0x8000, Mode.REAL);
        Machine machine = host.machines()
                .create(MachineConfig.of("ticks", boot).withMemory(16 << 20).withInterruptControllers(true));
        GuestMemory memory = machine.memory().memory();
        memory.writeShort(STATUS + 10, (short) count);
        Run run = machine.start();
        Pit timer = ((PcMachine) machine).timer();
        until(() -> memory.readInt(STATUS) > 0, run);
        Sample before = sample(memory, timer, run);
        for (int i = 0; i < MOVES; i++) {
            move(machine);
            long ticks = ticks(memory);
            assertTrue(ticks <= timer.ticks(), "a tick too many");
            until(() -> ticks(memory) > ticks, run);
        }
        Sample after = sample(memory, timer, run);
        long drift =
                (after.nanos() - before.nanos()) - (after.ticks() - before.ticks()) * count * NANOS / Pit.FREQUENCY;
        assertTrue(
                Math.abs(drift) <= count * NANOS / Pit.FREQUENCY + Sample.LONGEST,
                () -> "drifted by " + drift + " ns in " + MOVES + " moves");
        assertEquals(0, memory.readInt(STATUS + 4), "registers or stack were wrong");
        assertEquals(MOVES, machine.vm().moves());
        System.out.println("moved " + MOVES + " times in " + Integer.toUnsignedLong(memory.readInt(STATUS))
                + " ticks of 1 ms; drift " + drift + " ns");
        run.stop(0, "seen enough");
        assertTrue(run.await(Duration.ofSeconds(10)).isPresent());
    }

    @Test
    void theTimeOfDayOfSeaBiosGoesOnAsItShould() throws Exception {
        byte[] image = RealHost.seabios();
        ByteArrayOutputStream debug = new ByteArrayOutputStream();
        Machine machine = host.machines()
                .create(MachineConfig.of("seabios", new BootSource.Firmware("bios-256k.bin", image))
                        .withOutput(OutputStream.nullOutputStream(), debug));
        Run run = machine.start();
        until(() -> debug.toString(StandardCharsets.ISO_8859_1).contains("No bootable device."), run);
        GuestMemory memory = machine.memory().memory();
        Pit timer = ((PcMachine) machine).timer();
        // What it missed before it enabled interrupts is not what is measured.
        until(() -> timer.owed() == 0, run);
        long offset = memory.readInt(BIOS_TICKS) - timer.ticks();
        for (int i = 0; i < MOVES; i++) {
            move(machine);
        }
        long due = timer.ticks() + 18;
        until(() -> memory.readInt(BIOS_TICKS) - offset >= due, run);
        assertTrue(Math.abs(memory.readInt(BIOS_TICKS) - offset - timer.ticks()) <= 1);
        run.stop(0, "seen enough");
        assertTrue(run.await(Duration.ofSeconds(10)).isPresent());
    }

    @Test
    void aGuestThatCountsNoticesNothing() throws Exception {
        ByteArrayOutputStream serial = new ByteArrayOutputStream();
        BootSource boot = new BootSource.Kernel("counter", GuestProgram.COUNTER.bytes(), "lines=3");
        Machine machine = host.machines()
                .create(MachineConfig.of("counter", boot)
                        .withInterruptControllers(false)
                        .withOutput(serial, OutputStream.nullOutputStream()));
        Run run = machine.start();
        int moves = 0;
        while (run.result().isEmpty()) {
            MoveResult result = machine.vm().move("").toCompletableFuture().get(60, TimeUnit.SECONDS);
            if (result.moved()) {
                moves++;
            }
        }
        String text = serial.toString(StandardCharsets.ISO_8859_1);
        assertEquals(33, run.result().orElseThrow().code(), text);
        assertEquals(
                3, text.lines().filter(l -> l.endsWith(" laps, nothing wrong")).count(), text);
        assertTrue(moves > 0);
    }

    /** What the guest has counted when it is not behind, and when that was. */
    private record Sample(long nanos, long ticks) {
        /** How long looking at both may take. */
        static final long LONGEST = 200_000;
    }

    private static Sample sample(GuestMemory memory, Pit timer, Run run) {
        Sample[] sample = new Sample[1];
        until(
                () -> {
                    long begun = System.nanoTime();
                    sample[0] = new Sample(begun, ticks(memory));
                    return timer.ticks() == sample[0].ticks() && System.nanoTime() - begun < Sample.LONGEST;
                },
                run);
        return sample[0];
    }

    private static long ticks(GuestMemory memory) {
        return Integer.toUnsignedLong(memory.readInt(STATUS));
    }

    private static void move(Machine machine) throws Exception {
        MoveResult result = machine.vm().move("").toCompletableFuture().get(60, TimeUnit.SECONDS);
        assertEquals(MoveResult.Kind.MOVED, result.kind(), result.reason());
    }

    private static void until(BooleanSupplier condition, Run run) {
        while (!condition.getAsBoolean()) {
            assertTrue(run.result().isEmpty(), () -> run.result().toString());
            LockSupport.parkNanos(20_000);
        }
    }
}

package io.membacking.runner;

import io.membacking.access.GuestMemory;
import io.membacking.error.MembackingException;
import io.membacking.guests.GuestProgram;
import io.membacking.host.Backing;
import io.membacking.machine.Machine;
import io.membacking.memory.DeviceMemory;
import io.membacking.range.MemoryRange;
import io.membacking.vm.MoveForecast;
import io.membacking.vm.MoveResult;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * The monitor's part of the guest program {@link GuestProgram#WORKOUT}: gives it device memory, moves that, takes it out, and moves
 * the guest to another backend and back or, where there is no other, parks it and lets it go on. For one thread.
 */
final class Workout {
    private static final long DONE = GuestProgram.MAILBOX + 4;
    private static final long RESULT = GuestProgram.MAILBOX + 8;
    private static final int LAST_STEP = 4;
    /** More than the page that the guest uses: what every host can map alone, a Windows without placeholders too. */
    private static final long DEVICE_BYTES = 0x10000;

    private static final long MOVE_SECONDS = 60;

    /** How often it is looked after while it counts in the other backend. */
    private static final int ROUNDS_AWAY = 25;

    private final Machine machine;
    private final Terminal terminal;
    private int done;
    private boolean refused;
    private int roundsAway;
    private @Nullable DeviceMemory device;
    private @Nullable Backing backing;

    Workout(Machine machine, Terminal terminal) {
        this.machine = machine;
        this.terminal = terminal;
    }

    /** Whether the guest has asked for everything, and got it. */
    boolean served() {
        return done == LAST_STEP && !refused;
    }

    /** Does what the guest asks for, if it asks. */
    void serve() throws InterruptedException {
        int step = machine.memory().memory().readInt(GuestProgram.MAILBOX);
        if (step != done + 1 || step > LAST_STEP) {
            return;
        }
        try {
            switch (step) {
                case 1 -> giveDeviceMemory();
                case 2 -> moveDeviceMemory();
                case 3 -> device().control().remove();
                default -> {
                    if (!moved()) {
                        return;
                    }
                }
            }
            answer(step, 0);
        } catch (MembackingException | IllegalStateException e) {
            terminal.complain("membacking: the guest cannot have what it asks for: " + e.getMessage());
            refused = true;
            answer(step, 1);
        }
    }

    private void answer(int step, int result) {
        GuestMemory memory = machine.memory().memory();
        memory.writeInt(RESULT, result);
        memory.writeInt(DONE, step);
        done = step;
    }

    private void giveDeviceMemory() throws MembackingException {
        backing = machine.memory().allocate("device memory", DEVICE_BYTES);
        backing.write(0, word(GuestProgram.GREETING), 0, Integer.BYTES);
        device = machine.memory().createDeviceMemory("device memory", DEVICE_BYTES);
        device.mappings().map(MemoryRange.ofLength(0, DEVICE_BYTES), backing, 0, true);
        device.control().place(GuestProgram.FIRST_PLACE, true);
    }

    private void moveDeviceMemory() throws MembackingException {
        byte[] written = new byte[Integer.BYTES];
        if (backing == null) {
            throw new IllegalStateException("it has no device memory");
        }
        backing.read(Integer.BYTES, written, 0, Integer.BYTES);
        if (ByteBuffer.wrap(written).order(ByteOrder.LITTLE_ENDIAN).getInt() != ~GuestProgram.GREETING) {
            throw new IllegalStateException("its device memory does not hold what the guest wrote");
        }
        device().control().place(GuestProgram.SECOND_PLACE, true);
    }

    private DeviceMemory device() {
        return Optional.ofNullable(device).orElseThrow(() -> new IllegalStateException("it has no device memory"));
    }

    /** Does what is next. @return whether that was all */
    private boolean moved() throws InterruptedException {
        if (roundsAway == 0) {
            MoveForecast forecast = machine.vm().forecast("");
            if (!forecast.possible()) {
                parkAndResume(String.join("; ", forecast.obstacles()));
                return true;
            }
            MoveResult result = await(machine.vm().move(""));
            require(result, MoveResult.Kind.MOVED);
            say(result);
            roundsAway = 1;
            return false;
        }
        if (roundsAway++ < ROUNDS_AWAY) {
            return false;
        }
        MoveResult result = await(machine.vm().move(""));
        require(result, MoveResult.Kind.MOVED);
        say(result);
        return true;
    }

    /** Its state is taken all the same, and set in a new partition of the same backend. */
    private void parkAndResume(String reason) throws InterruptedException {
        require(await(machine.vm().park(reason)), MoveResult.Kind.PARKED);
        MoveResult resumed = await(machine.vm().move(""));
        require(resumed, MoveResult.Kind.MOVED);
        terminal.say("[parked and resumed on " + resumed.to() + ": " + reason + "]");
    }

    private void say(MoveResult result) {
        terminal.say("[moved from " + result.from() + " to " + result.to() + " while it ran; it stood still for "
                + result.standStill().toNanos() / 1000 + " us]");
    }

    private static void require(MoveResult result, MoveResult.Kind kind) {
        if (result.kind() != kind) {
            throw new IllegalStateException(result.reason());
        }
    }

    private static MoveResult await(CompletionStage<MoveResult> move) throws InterruptedException {
        try {
            return move.toCompletableFuture().get(MOVE_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException("the move did not end", e);
        }
    }

    private static byte[] word(int value) {
        return ByteBuffer.allocate(Integer.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .array();
    }
}

package io.membacking.partition.whp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Platform;
import io.membacking.error.BackendException;
import io.membacking.guests.GuestProgram;
import io.membacking.partition.Capabilities;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.contract.BackendFixture;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** A library that lacks the functions that came with later versions of Windows: it serves without what they are for. */
class WhpFirstVersionTest extends BackendFixture {
    private static final Path LIBRARY = Path.of("../../native/target/whp-shim/libWinHvPlatform-first.so");

    private final Optional<String> usual = Optional.ofNullable(System.getProperty(WinHvCalls.SHIM));

    @Override
    protected PartitionBackend createBackend() {
        if (!Platform.isWindows()) {
            System.setProperty(
                    WinHvCalls.SHIM, LIBRARY.toAbsolutePath().normalize().toString());
        }
        return new WhpBackend();
    }

    @AfterEach
    void takeTheUsualOne() {
        usual.ifPresentOrElse(
                file -> System.setProperty(WinHvCalls.SHIM, file), () -> System.clearProperty(WinHvCalls.SHIM));
    }

    @Test
    void whatItLacksIsNoCapabilityAndIsRefusedByNameAndGuestsRun() throws Exception {
        Assumptions.assumeFalse(Platform.isWindows(), "it is a library for Linux");
        Capabilities capabilities = backend().capabilities();
        assertFalse(capabilities.prefetch() || capabilities.pin(), capabilities::toString);
        assertFalse(capabilities.dirtyLog() || capabilities.remoteProcess(), capabilities::toString);
        assertThrows(BackendException.class, () -> backend()
                .createPartition(new PartitionRequest("dirty", false, false, 1, Optional.empty(), true)));
        Partition partition = partitionWithRam();
        BackendException refused = assertThrows(
                BackendException.class, () -> partition.prefetch(ram.at(0).range()));
        assertTrue(refused.getMessage().contains("this version of Windows"), refused::getMessage);
        assertThrows(BackendException.class, () -> partition.pin(ram.at(0).range()));
        Processor processor = ready(
                partition,
                GuestProgram.PROTECTED_PEEKPOKE,
                registers().rbx(UNMAPPED).rcx(0x20000));
        Exit.Mmio exit = runTo(processor, Exit.Mmio.class);
        exit.setValue(0x77);
        runTo(processor, Exit.Halt.class);
        assertEquals(0x77, processor.state().general().rdx());
        assertTrue(processor.state().vectors().isEmpty());
    }
}

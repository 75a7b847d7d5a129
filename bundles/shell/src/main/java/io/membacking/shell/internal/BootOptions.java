package io.membacking.shell.internal;

import io.membacking.machine.BootSource;
import io.membacking.machine.MachineConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What a boot command was given.
 *
 * @param memory a size: {@code 64M}
 * @param firmwareOrNull a file; the default if there is no kernel either
 * @param kernelOrNull a file
 * @param noInterrupts without interrupt controllers, whatever the image would have
 */
public record BootOptions(
        String name,
        String memory,
        int processors,
        @Nullable String firmwareOrNull,
        @Nullable String kernelOrNull,
        String commandLine,
        boolean noInterrupts) {
    private static final String DEFAULT_FIRMWARE = "/usr/share/seabios/bios-256k.bin";

    MachineConfig toConfig() throws IOException {
        if (firmwareOrNull != null && kernelOrNull != null) {
            throw new IllegalArgumentException("firmware and kernel exclude each other; give one");
        }
        BootSource source = kernelOrNull != null
                ? new BootSource.Kernel(kernelOrNull, read(kernelOrNull), commandLine)
                : firmware(firmwareOrNull != null ? firmwareOrNull : DEFAULT_FIRMWARE);
        MachineConfig config =
                MachineConfig.of(name, source).withMemory(Words.size(memory)).withProcessors(processors);
        return noInterrupts ? config.withInterruptControllers(false) : config;
    }

    private static BootSource firmware(String file) throws IOException {
        return new BootSource.Firmware(file, read(file));
    }

    private static byte[] read(String file) throws IOException {
        Path path = Path.of(file);
        if (!Files.isRegularFile(path)) {
            throw new IllegalArgumentException(
                    "there is no image " + file + "; name one, or install the package seabios");
        }
        return Files.readAllBytes(path);
    }
}

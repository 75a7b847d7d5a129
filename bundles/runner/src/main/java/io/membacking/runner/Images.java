package io.membacking.runner;

import io.membacking.guests.GuestProgram;
import io.membacking.machine.BootSource;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Finds what is to be booted. */
final class Images {
    /** Where distributions put SeaBIOS. */
    private static final List<Path> SEABIOS = List.of(
            Path.of("/usr/share/seabios/bios-256k.bin"),
            Path.of("/usr/share/qemu/bios-256k.bin"),
            Path.of("/usr/share/seavgabios/bios-256k.bin"),
            Path.of("/usr/share/qemu-kvm/bios-256k.bin"),
            Path.of("/usr/local/share/qemu/bios-256k.bin"),
            Path.of("/usr/share/seabios/bios.bin"));

    /** Larger files are not read: no image of a machine is. */
    private static final long MOST = 512L << 20;

    private final List<Path> usualFirmware;

    Images() {
        this(SEABIOS);
    }

    /** @param usualFirmware what to boot if nothing is asked for: the first that is there */
    Images(List<Path> usualFirmware) {
        this.usualFirmware = List.copyOf(usualFirmware);
    }

    BootSource choose(RunOptions options) throws RunFailure {
        if (options.firmware() != null) {
            return new BootSource.Firmware(options.firmware(), read("firmware", options.firmware()));
        }
        if (options.kernel() != null) {
            return new BootSource.Kernel(options.kernel(), read("kernel", options.kernel()), options.commandLine());
        }
        if (options.flat() != null) {
            byte[] image = read("flat binary", options.flat());
            return new BootSource.Flat(options.flat(), image, options.flatAddress(), options.flatMode());
        }
        Optional<Path> firmware =
                usualFirmware.stream().filter(Files::isReadable).findFirst();
        if (firmware.isPresent()) {
            String name = firmware.get().toString();
            return new BootSource.Firmware(name, read("firmware", name));
        }
        return new BootSource.Kernel("guest program hello", GuestProgram.HELLO.bytes(), "");
    }

    private static byte[] read(String kind, String name) throws RunFailure {
        Path file = Path.of(name);
        try {
            if (Files.isDirectory(file)) {
                throw new RunFailure(ExitStatus.NO_IMAGE, kind + " " + name + " is a directory; name a file");
            }
            if (Files.size(file) > MOST) {
                throw new RunFailure(
                        ExitStatus.BAD_IMAGE,
                        kind + " " + name + " is too large: " + (MOST >> 20) + " MiB is the most");
            }
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new RunFailure(
                    ExitStatus.NO_IMAGE,
                    kind + " " + name + " does not exist; check the path"
                            + (kind.equals("firmware") ? ", or install SeaBIOS (apt-get install seabios)" : ""));
        } catch (AccessDeniedException e) {
            throw new RunFailure(
                    ExitStatus.NO_IMAGE, kind + " " + name + " cannot be read; give this user permission to read it");
        } catch (IOException e) {
            throw new RunFailure(ExitStatus.NO_IMAGE, kind + " " + name + " cannot be read: " + e.getMessage());
        }
    }
}

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

    /** How our own programs are called; no path begins so but by intent. */
    private static final String OWN = "guest program ";

    private final List<Path> usualFirmware;

    Images() {
        this(SEABIOS);
    }

    /** @param usualFirmware what to boot if nothing is asked for: the first that is there */
    Images(List<Path> usualFirmware) {
        this.usualFirmware = List.copyOf(usualFirmware);
    }

    /** @param firmware whether a backend that firmware can run on is there: without one a guest of our own is the default */
    BootSource choose(RunOptions options, boolean firmware) throws RunFailure {
        if (options.guest() != null) {
            return own(options.guest(), options.commandLine());
        }
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
        Optional<Path> usual =
                firmware ? usualFirmware.stream().filter(Files::isReadable).findFirst() : Optional.empty();
        if (usual.isPresent()) {
            String name = usual.get().toString();
            return new BootSource.Firmware(name, read("firmware", name));
        }
        return own(GuestProgram.WORKOUT, "");
    }

    private static BootSource own(GuestProgram program, String commandLine) {
        return new BootSource.Kernel(OWN + program.id(), program.bytes(), commandLine);
    }

    /** Whether it is a guest program of our own: these need no interrupt controllers. */
    static boolean isOwn(BootSource boot) {
        return boot.name().startsWith(OWN);
    }

    static boolean isWorkout(BootSource boot) {
        return boot.name().equals(OWN + GuestProgram.WORKOUT.id());
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

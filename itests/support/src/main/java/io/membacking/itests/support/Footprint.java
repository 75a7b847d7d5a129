package io.membacking.itests.support;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What this process holds of the host: Linux only.
 *
 * @param threads live Java threads
 * @param descriptors open file descriptors
 * @param mappings lines of {@code /proc/self/maps}
 */
public record Footprint(int threads, int descriptors, int mappings) {
    private static final Path DESCRIPTORS = Path.of("/proc/self/fd");
    private static final Path MAPS = Path.of("/proc/self/maps");

    public static Footprint now() {
        try (Stream<Path> descriptors = Files.list(DESCRIPTORS);
                Stream<String> maps = Files.lines(MAPS)) {
            // The listing itself holds one descriptor, the reading of the maps another.
            return new Footprint(Thread.getAllStackTraces().size(), (int) descriptors.count() - 2, (int) maps.count());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Descriptors whose target contains a text, {@code memfd:} or {@code kvm} say. */
    public static long descriptorsOf(String text) {
        try (Stream<Path> descriptors = Files.list(DESCRIPTORS)) {
            return descriptors.filter(path -> target(path).contains(text)).count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Lines of {@code /proc/self/maps} that contain a text. */
    public static long mappingsOf(String text) {
        try (Stream<String> maps = Files.lines(MAPS)) {
            return maps.filter(line -> line.contains(text)).count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Live threads whose name contains a text. */
    public static long threadsOf(String text) {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().contains(text))
                .count();
    }

    /** Waits until no more is held than this; a JVM maps memory of its own meanwhile, so mappings have a tolerance. */
    public void awaitReached(int mappingTolerance, Duration deadline) {
        Conditions.await(
                () -> now().within(this, mappingTolerance),
                deadline,
                () -> "was " + this + ", is " + now() + ", descriptors " + descriptorTargets());
    }

    private boolean within(Footprint limit, int mappingTolerance) {
        return threads <= limit.threads
                && descriptors <= limit.descriptors
                && mappings <= limit.mappings + mappingTolerance;
    }

    private static String descriptorTargets() {
        try (Stream<Path> descriptors = Files.list(DESCRIPTORS)) {
            return descriptors
                    .collect(Collectors.groupingBy(Footprint::target, TreeMap::new, Collectors.counting()))
                    .toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String target(Path descriptor) {
        try {
            return Files.readSymbolicLink(descriptor).toString();
        } catch (IOException e) {
            return "(closed meanwhile)";
        }
    }
}

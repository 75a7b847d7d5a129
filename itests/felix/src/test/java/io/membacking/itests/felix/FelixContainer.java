package io.membacking.itests.felix;

import static org.ops4j.pax.exam.CoreOptions.bundle;
import static org.ops4j.pax.exam.CoreOptions.cleanCaches;
import static org.ops4j.pax.exam.CoreOptions.composite;
import static org.ops4j.pax.exam.CoreOptions.frameworkProperty;
import static org.ops4j.pax.exam.CoreOptions.junitBundles;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import org.ops4j.pax.exam.Option;

/**
 * Felix with the bundles of this module's runtime dependencies. A test class has
 * {@code @Configuration public Option[] container() { return FelixContainer.options(); }}.
 */
final class FelixContainer {
    private FelixContainer() {}

    /** Everything is installed in the order of the file names and started. */
    static Option[] options(Option... more) {
        return options(Comparator.naturalOrder(), more);
    }

    /** The same the other way round: no order of installation may matter. */
    static Option[] optionsInReverse(Option... more) {
        return options(Comparator.reverseOrder(), more);
    }

    /** The file of one of our bundles, for tests that install another copy or reinstall it. */
    static Path file(String part) {
        try (Stream<Path> files = Files.list(folder())) {
            return files.filter(file -> file.getFileName().toString().startsWith("io.membacking." + part + "-"))
                    .findFirst()
                    .orElseThrow(() -> new IllegalArgumentException(part));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Option[] options(Comparator<Path> order, Option... more) {
        try (Stream<Path> files = Files.list(folder())) {
            return new Option[] {
                junitBundles(),
                cleanCaches(),
                frameworkProperty("felix.log.level").value("1"),
                frameworkProperty("org.ops4j.pax.logging.DefaultServiceLog.level")
                        .value("ERROR"),
                // Flight Recorder's generated event code needs it.
                frameworkProperty("org.osgi.framework.bootdelegation").value("jdk.jfr,jdk.jfr.*,sun.*,com.sun.*"),
                composite(files.sorted(order)
                        .map(file -> bundle(file.toUri().toString()))
                        .toArray(Option[]::new)),
                composite(more)
            };
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path folder() {
        return Path.of(System.getProperty("itests.target"), "bundles");
    }
}

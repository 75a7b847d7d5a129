package io.membacking.itests.karaf;

import static org.ops4j.pax.exam.CoreOptions.bundle;
import static org.ops4j.pax.exam.CoreOptions.composite;
import static org.ops4j.pax.exam.CoreOptions.systemProperty;
import static org.ops4j.pax.exam.karaf.options.KarafDistributionOption.configureConsole;
import static org.ops4j.pax.exam.karaf.options.KarafDistributionOption.configureSecurity;
import static org.ops4j.pax.exam.karaf.options.KarafDistributionOption.editConfigurationFilePut;
import static org.ops4j.pax.exam.karaf.options.KarafDistributionOption.features;
import static org.ops4j.pax.exam.karaf.options.KarafDistributionOption.karafDistributionConfiguration;
import static org.ops4j.pax.exam.karaf.options.KarafDistributionOption.keepRuntimeFolder;
import static org.ops4j.pax.exam.karaf.options.KarafDistributionOption.logLevel;

import java.nio.file.Path;
import org.ops4j.pax.exam.Option;
import org.ops4j.pax.exam.karaf.options.LogLevelOption.LogLevel;

/**
 * Stock Karaf that knows our feature repository and no remote one. A test class has
 * {@code @Configuration public Option[] container() { return KarafContainer.options(); }}. When a container does not come up,
 * the reason is in {@code target/exam/<id>/data/log/karaf.log}.
 */
final class KarafContainer {
    /** Settings of the resolver of {@code mvn:} addresses. */
    private static final String MAVEN = "etc/org.ops4j.pax.url.mvn.cfg";

    private KarafContainer() {}

    /** With the feature {@code membacking} installed. */
    static Option[] options(Option... more) {
        // Declarative Services by itself too: it stays when a test uninstalls ours.
        return bare(features(repository(), "scr", "membacking"), composite(more));
    }

    /** Without any of our features; the test installs them from {@link #repository()}. */
    static Option[] bare(Option... more) {
        Path target = Path.of(System.getProperty("itests.target"));
        return new Option[] {
            karafDistributionConfiguration()
                    .frameworkUrl(
                            target.resolve("container/karaf.tar.gz").toUri().toString())
                    .name("Apache Karaf")
                    .unpackDirectory(target.resolve("exam").toFile())
                    .useDeployFolder(false),
            keepRuntimeFolder(),
            logLevel(LogLevel.WARN),
            configureConsole().ignoreLocalConsole().ignoreRemoteShell(),
            configureSecurity().disableKarafMBeanServerBuilder(),
            editConfigurationFilePut(MAVEN, "org.ops4j.pax.url.mvn.repositories", ""),
            editConfigurationFilePut(
                    MAVEN,
                    "org.ops4j.pax.url.mvn.localRepository",
                    target.resolve("m2").toString()),
            editConfigurationFilePut(
                    MAVEN,
                    "org.ops4j.pax.url.mvn.defaultRepositories",
                    "file:${karaf.home}/${karaf.default.repository}@id=system@snapshots, "
                            + target.resolve("features-repo").toUri() + "@id=itests@snapshots"),
            // Read by the probe, inside the container.
            systemProperty("project.version").value(System.getProperty("project.version")),
            systemProperty("membacking.require").value(System.getProperty("membacking.require", "")),
            systemProperty("membacking.updates").value(System.getProperty("membacking.updates", "")),
            systemProperty("membacking.seed").value(System.getProperty("membacking.seed", "")),
            bundle(target.resolve("container/support.jar").toUri().toString()),
            bundle(target.resolve("container/guests.jar").toUri().toString()),
            composite(more)
        };
    }

    static String repository() {
        return "mvn:io.membacking/membacking-karaf/" + System.getProperty("project.version") + "/xml/features";
    }
}

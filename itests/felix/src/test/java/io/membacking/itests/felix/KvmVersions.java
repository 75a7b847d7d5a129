package io.membacking.itests.felix;

import io.membacking.itests.support.Conditions;
import io.membacking.itests.support.Container;
import io.membacking.vm.VirtualMachines;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.ref.WeakReference;
import java.nio.file.Files;
import java.util.jar.JarInputStream;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.wiring.BundleWiring;

/** The bundle of the KVM backend in as many versions as a test wants. */
final class KvmVersions {
    private final BundleContext context;
    private final Container container;

    KvmVersions(BundleContext context, Container container) {
        this.context = context;
        this.container = container;
    }

    /** Installs another version beside what there is, without starting it. */
    Bundle install(String version) throws BundleException, IOException {
        return context.installBundle("kvm " + version, jar(version));
    }

    /** Installs and starts another version; returns when it is among the backends. */
    Bundle start(String version) throws BundleException, IOException {
        Bundle bundle = install(version);
        bundle.start();
        awaitBackend(version);
        return bundle;
    }

    void awaitBackend(String version) {
        VirtualMachines machines = container.await(VirtualMachines.class);
        Conditions.await(
                () -> machines.backends().stream()
                        .anyMatch(backend -> backend.bundle().endsWith(" " + version)),
                Container.DEADLINE,
                () -> "no version " + version + " among " + machines.backends());
    }

    /** The service id of the backend that a version provides. */
    long service(String version) {
        return container.await(VirtualMachines.class).backends().stream()
                .filter(backend -> backend.bundle().endsWith(" " + version))
                .findFirst()
                .orElseThrow()
                .serviceId();
    }

    /** The bundle's file with another version in its manifest. */
    static InputStream jar(String version) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (JarInputStream in = new JarInputStream(Files.newInputStream(FelixContainer.file("partition-kvm")))) {
            Manifest manifest = in.getManifest();
            manifest.getMainAttributes().putValue(Constants.BUNDLE_VERSION, version);
            try (JarOutputStream out = new JarOutputStream(bytes, manifest)) {
                for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                    out.putNextEntry(new ZipEntry(entry.getName()));
                    in.transferTo(out);
                }
            }
        }
        return new ByteArrayInputStream(bytes.toByteArray());
    }

    /** Its class loader, held so that it can be seen to go. */
    static WeakReference<ClassLoader> loader(Bundle bundle) {
        return new WeakReference<>(bundle.adapt(BundleWiring.class).getClassLoader());
    }

    static void awaitCollected(WeakReference<ClassLoader> loader) {
        Conditions.await(
                () -> {
                    System.gc();
                    return loader.get() == null;
                },
                Container.DEADLINE,
                () -> "the class loader of the bundle that went is still held: " + loader.get());
    }
}

package io.membacking.app;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;

/** The bundles nested in the launcher's jar: {@code bundles/} always, {@code shell/} when a shell is asked for. */
record NestedBundles(Path jar) {
    static NestedBundles ofThisJar() throws IOException {
        try {
            return new NestedBundles(Path.of(NestedBundles.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI()));
        } catch (URISyntaxException e) {
            throw new IOException("the launcher does not know its own jar", e);
        }
    }

    /** Installs every jar of a folder, in the order of the jar; starts none. */
    List<Bundle> install(BundleContext context, String folder) throws IOException, BundleException {
        List<Bundle> installed = new ArrayList<>();
        try (JarFile file = new JarFile(jar.toFile())) {
            for (Enumeration<JarEntry> entries = file.entries(); entries.hasMoreElements(); ) {
                JarEntry entry = entries.nextElement();
                if (entry.getName().startsWith(folder + "/") && entry.getName().endsWith(".jar")) {
                    installed.add(context.installBundle("membacking:" + entry.getName(), file.getInputStream(entry)));
                }
            }
        }
        return installed;
    }
}

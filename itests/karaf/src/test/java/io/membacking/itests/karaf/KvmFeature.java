package io.membacking.itests.karaf;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.JarInputStream;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import org.osgi.framework.Constants;

/** A feature with another version of the KVM bundle, in a repository of its own. */
final class KvmFeature {
    static final String NAME = "another-kvm";

    private KvmFeature() {}

    /** @return the repository's address, for {@code feature:repo-add} */
    static URI repository(Path folder, URI bundle, String version) throws IOException {
        Path jar = folder.resolve("partition-kvm-" + version + ".jar");
        try (InputStream file = bundle.toURL().openStream();
                JarInputStream in = new JarInputStream(file)) {
            Manifest manifest = in.getManifest();
            manifest.getMainAttributes().putValue(Constants.BUNDLE_VERSION, version);
            try (OutputStream target = Files.newOutputStream(jar);
                    JarOutputStream out = new JarOutputStream(target, manifest)) {
                for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                    out.putNextEntry(new ZipEntry(entry.getName()));
                    in.transferTo(out);
                }
            }
        }
        Path repository = folder.resolve("features.xml");
        Files.writeString(repository, """
                <features name="%1$s-%2$s" xmlns="http://karaf.apache.org/xmlns/features/v1.6.0">
                  <feature name="%1$s" version="%2$s">
                    <bundle>%3$s</bundle>
                  </feature>
                </features>
                """.formatted(NAME, version, jar.toUri()));
        return repository.toUri();
    }
}

package io.membacking.itests.windows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/** Stock Karaf on a Windows JVM under Wine, without its console: a KAR and commands go in, what they write comes out. */
final class Karaf {
    private static final Path FOLDER = Place.TARGET.resolve("karaf");
    private static final Path RUN = FOLDER.resolve("run");
    private static final String MAIN = "io.membacking.itests.windows.launch.KarafCommands";

    private Karaf() {}

    /** Starts anew, installs our KAR, runs the commands. */
    static Program run(Wine wine, String... commands) throws Exception {
        Path home = home();
        prepare(home);
        List<String> arguments = new ArrayList<>(List.of(
                "-XX:TieredStopAtLevel=1",
                "--add-reads=java.xml=java.logging",
                "--add-exports=java.base/org.apache.karaf.specs.locator=java.xml,ALL-UNNAMED",
                "--add-opens=java.base/java.security=ALL-UNNAMED",
                "--add-opens=java.base/java.net=ALL-UNNAMED",
                "--add-opens=java.base/java.lang=ALL-UNNAMED",
                "--add-opens=java.base/java.util=ALL-UNNAMED",
                "--add-opens=java.naming/javax.naming.spi=ALL-UNNAMED",
                "--add-opens=java.rmi/sun.rmi.transport.tcp=ALL-UNNAMED",
                "--patch-module=java.base=" + windows(only(home.resolve("lib/endorsed"), "locator")),
                "--patch-module=java.xml=" + windows(only(home.resolve("lib/endorsed"), "java.xml")),
                "-Dkaraf.home=" + windows(home),
                "-Dkaraf.base=" + windows(RUN),
                "-Dkaraf.etc=" + windows(RUN.resolve("etc")),
                "-Dkaraf.data=" + windows(RUN.resolve("data")),
                "-Dkaraf.log=" + windows(RUN.resolve("data/log")),
                "-Dkaraf.instances=" + windows(RUN.resolve("instances")),
                "-Djava.io.tmpdir=" + windows(RUN.resolve("data/tmp")),
                "-Djava.util.logging.config.file=" + windows(RUN.resolve("etc/java.util.logging.properties")),
                "-Dkaraf.startLocalConsole=false",
                "-Dkaraf.startRemoteShell=false",
                "-cp",
                String.join(":", classpath(home)),
                MAIN,
                windows(FOLDER.resolve("membacking.kar"))));
        arguments.addAll(Arrays.asList(commands));
        return wine.java("karaf", arguments.toArray(String[]::new));
    }

    /** As a Windows program sees it. */
    static String windows(Path file) {
        return "Z:" + file.toAbsolutePath().normalize();
    }

    private static Path home() throws IOException {
        try (Stream<Path> folders = Files.list(FOLDER)) {
            return folders.filter(folder -> folder.getFileName().toString().startsWith("apache-karaf-"))
                    .findFirst()
                    .orElseThrow(() -> new AssertionError("no Karaf in " + FOLDER));
        }
    }

    private static void prepare(Path home) throws IOException {
        if (Files.exists(RUN)) {
            try (Stream<Path> old = Files.walk(RUN)) {
                for (Path file : (Iterable<Path>) old.sorted((a, b) -> b.compareTo(a))::iterator) {
                    Files.delete(file);
                }
            }
        }
        Path etc = home.resolve("etc");
        try (Stream<Path> settings = Files.walk(etc)) {
            for (Path file : (Iterable<Path>) settings::iterator) {
                Path copy = RUN.resolve("etc").resolve(etc.relativize(file).toString());
                Files.createDirectories(copy.getParent());
                Files.copy(file, copy);
            }
        }
        Files.createDirectories(RUN.resolve("data/tmp"));
        Files.createDirectories(RUN.resolve("data/log"));
        Files.write(
                RUN.resolve("etc/org.ops4j.pax.url.mvn.cfg"),
                List.of(
                        "org.ops4j.pax.url.mvn.repositories=",
                        "org.ops4j.pax.url.mvn.localRepository=" + windows(RUN.resolve("m2")),
                        "org.ops4j.pax.url.mvn.defaultRepositories="
                                + "file:${karaf.home}/${karaf.default.repository}@id=system@snapshots, "
                                + "file:${karaf.data}/kar@id=kar@multi@snapshots, "
                                + "file:/" + windows(FOLDER.resolve("repository")) + "@id=itests@snapshots"));
    }

    private static List<String> classpath(Path home) throws IOException {
        List<String> jars = new ArrayList<>();
        for (String folder : List.of("lib/boot", "lib/jdk9plus")) {
            try (Stream<Path> files = Files.list(home.resolve(folder))) {
                files.map(Path::toString)
                        .filter(file -> file.endsWith(".jar"))
                        .sorted()
                        .forEach(jars::add);
            }
        }
        jars.add(Place.tests().toString());
        return jars;
    }

    private static Path only(Path folder, String name) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.getFileName().toString().contains(name))
                    .findFirst()
                    .orElseThrow(() -> new AssertionError("no " + name + " in " + folder));
        }
    }
}

package io.membacking.itests.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Measures both sides of every row in one run and prints the table.
 *
 * <p>Arguments: {@code --quick} for one short round instead of up to three; {@code --root FOLDER} for the folder of the project, the working
 * one by default; then parts of row names, to measure only these. Ends with 0 whether bounds are met or not: it measures.
 */
public final class Comparison {
    private static final int ROUNDS = 3;
    /** No round is begun that would end later than this: on a machine with other work there are fewer. */
    private static final long ENOUGH_NANOS = Duration.ofSeconds(330).toNanos();

    private final Path natives;
    private final List<Row> rows = new ArrayList<>();

    private Comparison(Path root) {
        this.natives = root.resolve("native/target");
        accessRows();
        copyRows();
        lookupRows();
        regionRows();
        moveRows();
        rows.add(new Row(
                "java -jar to the guest's first output",
                new FirstOutput(root.resolve("features/app/target/membacking.jar")),
                "-",
                null,
                Bound.absolute(3e9)));
    }

    public static void main(String[] arguments) throws InterruptedException {
        boolean quick = false;
        Path root = Path.of("");
        List<String> wanted = new ArrayList<>();
        for (int i = 0; i < arguments.length; i++) {
            switch (arguments[i]) {
                case "--quick" -> quick = true;
                case "--root" -> root = Path.of(arguments[++i]);
                default -> wanted.add(arguments[i]);
            }
        }
        Comparison comparison = new Comparison(root);
        if (!wanted.isEmpty()) {
            comparison.rows.removeIf(row -> wanted.stream().noneMatch(row.name()::contains));
        }
        comparison.run(quick);
    }

    private void accessRows() {
        for (String operation : List.of("read8", "write8")) {
            for (long window : new long[] {32 << 10, 64 << 20}) {
                String key = window == 32 << 10 ? operation : operation + "_64MiB";
                Figure c = access(key);
                Figure rust = rust(key);
                String what = (operation.equals("read8") ? "8-byte read, " : "8-byte write, ")
                        + (window == 32 << 10 ? "32 KiB" : "64 MiB");
                Map<String, String> parameters = Map.of("window", Long.toString(window));
                Figure any = new JmhFigure(AccessBenchmark.class, operation, parameters, AccessBenchmark.OPERATIONS);
                Figure own = new JmhFigure(
                        AccessBenchmark.class, operation + "Accessor", parameters, AccessBenchmark.OPERATIONS);
                rows.add(new Row(what + ", accessor", own, "C", c, Bound.ratioOrAbove(2.5, 8)));
                rows.add(new Row(what + ", accessor", own, "rust-vmm", rust, Bound.ratio(0.5)));
                rows.add(new Row(what + ", any thread", any, "C", c, Bound.ratioOrAbove(2.5, 8)));
                rows.add(new Row(what + ", any thread", any, "rust-vmm", rust, Bound.ratio(0.5)));
            }
        }
    }

    private void copyRows() {
        for (int size : new int[] {4 << 10, 1 << 20}) {
            String suffix = size == 4 << 10 ? "_4KiB" : "_1MiB";
            String what = size == 4 << 10 ? "4 KiB copy " : "1 MiB copy ";
            for (boolean out : new boolean[] {true, false}) {
                Figure c = access((out ? "copy_out" : "copy_in") + suffix);
                for (String buffer : List.of("", "Direct")) {
                    Figure ours = new JmhFigure(
                            CopyBenchmark.class,
                            (out ? "copyOut" : "copyIn") + buffer,
                            Map.of("size", Integer.toString(size)),
                            CopyBenchmark.operations(size));
                    String side = buffer.isEmpty() ? "byte[]" : "direct buffer";
                    rows.add(new Row(
                            what + (out ? "out to " : "in from ") + side, ours, "C memcpy", c, Bound.ratio(1.15)));
                }
            }
        }
    }

    private void lookupRows() {
        for (int regions : new int[] {16, 1024}) {
            Figure rust = rust("lookup_read8_" + regions);
            Map<String, String> parameters = Map.of("regionCount", Integer.toString(regions));
            String what = "look-up and read among " + regions + " in 1 TiB";
            for (String way : List.of("lookupAccessor", "lookup")) {
                Figure ours = new JmhFigure(LookupBenchmark.class, way, parameters, LookupBenchmark.OPERATIONS);
                rows.add(new Row(
                        what + (way.equals("lookup") ? ", any thread" : ", accessor"),
                        ours,
                        "rust-vmm",
                        rust,
                        Bound.ratio(0.4)));
            }
        }
    }

    private void regionRows() {
        Figure few = region(16);
        Figure many = region(8192);
        rows.add(new Row("unmap and map a region, KVM, 16 others", few, "C ioctls", slots(16), Bound.ratio(1.5)));
        rows.add(new Row("unmap and map a region, KVM, 8,192 others", many, "C ioctls", slots(8192), Bound.ratio(1.5)));
        rows.add(new Row("unmap and map a region, KVM, 8,192 others", many, "ours with 16", few, Bound.ratio(1.5)));
    }

    private void moveRows() {
        Figure few = move(16);
        for (int regions : new int[] {16, 1024, 8192}) {
            Figure ours = regions == 16 ? few : move(regions);
            String what = String.format("a moved guest stands still, %,d regions", regions);
            rows.add(new Row(what, ours, "C ioctls", bareMove(regions), Bound.ratio(1.5)));
            if (ours != few) {
                rows.add(new Row(what, ours, "ours with 16", few, Bound.ratio(1.25)));
            }
        }
    }

    private static Figure move(int regions) {
        return new ProgramFigure(
                Path.of(System.getProperty("java.home"), "bin", "java"),
                "a Java runtime",
                List.of("-cp", System.getProperty("java.class.path"), StandStill.class.getName(), "" + regions, "60"),
                List.of("-cp", System.getProperty("java.class.path"), StandStill.class.getName(), "" + regions, "20"),
                Pattern.compile("^swap regions=.* gap_us=([0-9.]+) ", Pattern.MULTILINE),
                1000);
    }

    private Figure bareMove(int slots) {
        return new ProgramFigure(
                natives.resolve("kvm_swap"),
                "gcc and make",
                List.of("60", "" + slots),
                List.of("20", "" + slots),
                Pattern.compile("^kvm_swap slots=.* gap_us=([0-9.]+)", Pattern.MULTILINE),
                1000);
    }

    private Figure access(String key) {
        return new ProgramFigure(
                natives.resolve("access"),
                "gcc and make",
                List.of("-t", "0.6", key),
                List.of("-t", "0.15", key),
                Pattern.compile("^c " + key + " ns ([0-9.]+)$", Pattern.MULTILINE),
                1);
    }

    private Figure rust(String key) {
        return new ProgramFigure(
                natives.resolve("rustvmm-access"),
                "cargo and librust-vm-memory-dev",
                List.of("-t", "0.6", key),
                List.of("-t", "0.15", key),
                Pattern.compile("^rustvmm " + key + " ns ([0-9.]+)$", Pattern.MULTILINE),
                1);
    }

    private static Figure region(int others) {
        return new JmhFigure(RegionBenchmark.class, "unmapAndMap", Map.of("others", Integer.toString(others)), 1);
    }

    private Figure slots(int others) {
        String count = Integer.toString(others);
        return new ProgramFigure(
                natives.resolve("kvm_slots"),
                "gcc and make",
                List.of("5000", count),
                List.of("2000", count),
                Pattern.compile("others=" + count + " size=4096 calls=slot .* pair_us=([0-9.]+)$", Pattern.MULTILINE),
                1000);
    }

    private void run(boolean quick) throws InterruptedException {
        Set<Figure> figures = new LinkedHashSet<>();
        for (Row row : rows) {
            figures.add(row.ours());
            if (row.theirs() != null) {
                figures.add(row.theirs());
            }
        }
        Map<Figure, List<Double>> measured = new LinkedHashMap<>();
        Map<Figure, String> missing = new LinkedHashMap<>();
        int rounds = quick ? 1 : ROUNDS;
        int done = 0;
        long start = System.nanoTime();
        for (int round = 0; round < rounds; round++) {
            if ((System.nanoTime() - start) / Math.max(1, round) * (round + 1) > ENOUGH_NANOS) {
                break;
            }
            for (Figure figure : figures) {
                progress(++done, rounds * figures.size(), figure.name());
                if (missing.containsKey(figure)) {
                    continue;
                }
                try {
                    measured.computeIfAbsent(figure, none -> new ArrayList<>()).add(figure.measure(quick));
                } catch (Figure.NotMeasured e) {
                    missing.put(figure, e.getMessage());
                    measured.remove(figure);
                }
            }
        }
        progress(0, 0, "");
        System.out.println(machine());
        System.out.println(Row.HEAD);
        rows.forEach(row -> System.out.println(row.line(measured)));
        missing.values().stream().distinct().forEach(reason -> System.out.println("not measured: " + reason));
    }

    /** On a terminal alone: one line, rewritten. */
    private static void progress(int done, int all, String name) {
        if (System.console() != null) {
            System.err.print(all == 0 ? "\r\033[K" : String.format("\r\033[K%d of %d: %s", done, all, name));
        }
    }

    /** What the figures depend on most. */
    private static String machine() {
        String processor = "an unknown processor";
        String load = "unknown";
        try {
            processor = Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
                    .filter(line -> line.startsWith("model name"))
                    .map(line -> line.substring(line.indexOf(':') + 2))
                    .findFirst()
                    .orElse(processor);
            load = Files.readString(Path.of("/proc/loadavg")).split(" ", 2)[0];
        } catch (IOException e) {
            // No /proc: the table says so.
        }
        return String.format(
                "%d x %s, load %s, Java %s",
                Runtime.getRuntime().availableProcessors(), processor, load, Runtime.version());
    }
}

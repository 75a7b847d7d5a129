package io.membacking.runner;

import io.membacking.host.Backing;
import io.membacking.range.MemoryRange;
import io.membacking.region.DriftReport;
import io.membacking.region.FlatPiece;
import io.membacking.region.JournalEntry;
import io.membacking.region.RegionId;
import io.membacking.region.RegionInfo;
import io.membacking.region.RegionKind;
import io.membacking.region.RegionManager;
import io.membacking.region.RegionOperation;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** The guest's memory as text: its flat view as a table, what was changed, and whether every view agrees. */
final class MemoryMapReport {
    private static final String[] HEADINGS = {"RANGE", "REGION", "KIND", "ACCESS", "BACKING"};

    private final RegionManager regions;

    MemoryMapReport(RegionManager regions) {
        this.regions = regions;
    }

    /** A row for each piece that the guest sees, and for each gap between them. */
    List<String> table() {
        List<String[]> rows = new ArrayList<>();
        rows.add(HEADINGS);
        long at = 0;
        for (FlatPiece piece : regions.flatView()) {
            gap(rows, at, piece.range().start());
            rows.add(new String[] {
                piece.range().toString(),
                piece.region().toString(),
                piece.kind() == RegionKind.RAM ? "RAM" : "device",
                "r" + (piece.writable() ? "w" : "-") + (piece.executable() ? "x" : "-"),
                regions.backing(piece.backing()).map(Backing::name).orElse("#" + piece.backing()) + " + 0x"
                        + Long.toHexString(piece.backingOffset())
            });
            at = piece.range().end();
        }
        gap(rows, at, regions.size());
        return align(rows);
    }

    /** How many settings of RAM there were after a journal entry, in how many changes; what changed nothing does not count. */
    String changesSince(long sequence) {
        Set<RegionId> ram = regions.regions().stream()
                .filter(region -> region.kind() == RegionKind.RAM)
                .map(RegionInfo::id)
                .collect(Collectors.toSet());
        long changes = 0;
        long settings = 0;
        for (JournalEntry entry : regions.journal()) {
            if (entry.sequence() > sequence
                    && entry.outcome() == JournalEntry.Outcome.COMMITTED
                    && !entry.plan().isEmpty()) {
                changes++;
                settings += entry.operations().stream()
                        .filter(o -> o instanceof RegionOperation.Map || o instanceof RegionOperation.Unmap)
                        .filter(o -> ram.contains(o.region()))
                        .count();
            }
        }
        return "The guest changed the visibility of RAM " + settings + " times in " + changes + " commits.";
    }

    long lastSequence() {
        List<JournalEntry> journal = regions.journal();
        return journal.isEmpty() ? 0 : journal.get(journal.size() - 1).sequence();
    }

    static List<String> drift(DriftReport report) {
        if (report.clean()) {
            return List.of("Drift check: clean. Regions, flat view, VA space and partition agree.");
        }
        List<String> lines = new ArrayList<>(List.of("Drift check: the views differ."));
        report.differences()
                .forEach(d -> lines.add(
                        "  " + d.where() + " at " + d.range() + ": expected " + d.expected() + ", found " + d.found()));
        return lines;
    }

    private static void gap(List<String[]> rows, long start, long end) {
        if (Long.compareUnsigned(start, end) < 0) {
            rows.add(
                    new String[] {new MemoryRange(start, end).toString(), "-", "-", "---", "nothing: every access exits"
                    });
        }
    }

    private static List<String> align(List<String[]> rows) {
        int[] widths = new int[HEADINGS.length];
        for (String[] row : rows) {
            for (int i = 0; i < row.length; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        List<String> lines = new ArrayList<>();
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < row.length; i++) {
                line.append(row[i]).append(" ".repeat(widths[i] - row[i].length() + 2));
            }
            lines.add(line.toString().stripTrailing());
        }
        return lines;
    }
}

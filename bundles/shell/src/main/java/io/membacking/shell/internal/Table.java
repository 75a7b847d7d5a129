package io.membacking.shell.internal;

import java.util.ArrayList;
import java.util.List;

/** Rows under headings. Immutable. */
public record Table(List<String> headings, List<List<String>> rows) {
    public Table {
        headings = List.copyOf(headings);
        rows = List.copyOf(rows);
    }

    static Builder of(String... headings) {
        return new Builder(List.of(headings));
    }

    /** The table as aligned columns, one row a line. */
    @Override
    public String toString() {
        int[] widths = new int[headings.size()];
        List<List<String>> all = new ArrayList<>();
        all.add(headings);
        all.addAll(rows);
        for (List<String> row : all) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        StringBuilder text = new StringBuilder();
        for (List<String> row : all) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < widths.length; i++) {
                line.append(row.get(i)).append(" ".repeat(widths[i] - row.get(i).length() + 2));
            }
            text.append(line.toString().stripTrailing()).append(System.lineSeparator());
        }
        return text.toString();
    }

    static final class Builder {
        private final List<String> headings;
        private final List<List<String>> rows = new ArrayList<>();

        private Builder(List<String> headings) {
            this.headings = headings;
        }

        Builder row(Object... cells) {
            List<String> row = new ArrayList<>();
            for (Object cell : cells) {
                row.add(String.valueOf(cell));
            }
            if (row.size() != headings.size()) {
                throw new IllegalArgumentException(row.size() + " cells for " + headings.size() + " headings");
            }
            rows.add(row);
            return this;
        }

        Table build() {
            return new Table(headings, rows);
        }
    }
}

package io.membacking.itests.benchmarks;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * One comparison of the table.
 *
 * @param against who the other side is
 * @param theirs the other side's figure; null if the bound is an absolute one
 */
record Row(
        String name, Figure ours, String against, @Nullable Figure theirs, Bound bound) {
    static final String HEAD = String.format(
            "%-58s %9s  %-13s %9s  %5s %-13s  %-22s", "row", "ours", "against", "theirs", "ratio", "(rounds)", "bound");

    /** @param rounds what was measured, one after the other; the same number of each figure */
    String line(Map<Figure, List<Double>> rounds) {
        List<Double> mine = rounds.getOrDefault(ours, List.of());
        List<Double> others = theirs == null ? mine : rounds.getOrDefault(theirs, List.of());
        if (mine.isEmpty() || others.isEmpty()) {
            return String.format("%-58s not measured, see below", name);
        }
        if (theirs == null) {
            double figure = median(mine);
            return String.format(
                    "%-58s %9s  %-13s %9s  %5s %-13s  %-22s %s",
                    name, Figure.format(figure), against, "-", "-", "", bound, verdict(bound.isMet(figure, 0)));
        }
        // Neighbours in time are compared with each other: the machine changes from round to round.
        double[] ratios = IntStream.range(0, Math.min(mine.size(), others.size()))
                .mapToDouble(i -> mine.get(i) / others.get(i))
                .sorted()
                .toArray();
        double ratio = ratios[ratios.length / 2];
        double other = median(others);
        return String.format(
                "%-58s %9s  %-13s %9s  %5.2f %-13s  %-22s %s",
                name,
                Figure.format(median(mine)),
                against,
                Figure.format(other),
                ratio,
                ratios.length == 1 ? "" : String.format("%.2f to %.2f", ratios[0], ratios[ratios.length - 1]),
                bound,
                verdict(bound.isMet(ratio * other, other)));
    }

    private static String verdict(boolean met) {
        return met ? "met" : "MISSED";
    }

    private static double median(List<Double> values) {
        double[] sorted = values.stream().mapToDouble(Double::doubleValue).toArray();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}

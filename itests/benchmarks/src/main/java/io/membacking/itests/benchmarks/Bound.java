package io.membacking.itests.benchmarks;

/**
 * What a figure of ours may be at most.
 *
 * @param ratio times the other's figure; 0 if none is named
 * @param above nanoseconds above the other's figure are well, too, whatever the ratio; 0 if not
 * @param absolute nanoseconds, where there is no other side; 0 if there is
 */
record Bound(double ratio, double above, double absolute) {
    static Bound ratio(double ratio) {
        return new Bound(ratio, 0, 0);
    }

    static Bound ratioOrAbove(double ratio, double above) {
        return new Bound(ratio, above, 0);
    }

    static Bound absolute(double nanoseconds) {
        return new Bound(0, 0, nanoseconds);
    }

    boolean isMet(double ours, double theirs) {
        if (absolute > 0) {
            return ours <= absolute;
        }
        return ours <= ratio * theirs || above > 0 && ours <= theirs + above;
    }

    @Override
    public String toString() {
        if (absolute > 0) {
            return "<= " + Figure.format(absolute);
        }
        String text = String.format("<= %.2f", ratio);
        return above > 0 ? text + " or + " + Figure.format(above) : text;
    }
}

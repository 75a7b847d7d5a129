package io.membacking.itests.benchmarks;

/** Something that can be measured: again in every round, in nanoseconds. */
interface Figure {
    /** For people: whose it is and what. */
    String name();

    /**
     * Measures it once.
     *
     * @param quick whether rough is enough
     * @throws NotMeasured if it cannot be here; the message says what is missing
     */
    double measure(boolean quick) throws NotMeasured, InterruptedException;

    /** With three significant digits, in the unit that suits it. */
    static String format(double nanoseconds) {
        if (nanoseconds < 1e3) {
            return digits(nanoseconds) + " ns";
        }
        if (nanoseconds < 1e6) {
            return digits(nanoseconds / 1e3) + " us";
        }
        return nanoseconds < 1e9 ? digits(nanoseconds / 1e6) + " ms" : digits(nanoseconds / 1e9) + " s";
    }

    private static String digits(double value) {
        return String.format(value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
    }

    /** What the row needs is not here. */
    final class NotMeasured extends Exception {
        private static final long serialVersionUID = 1;

        NotMeasured(String reason) {
            super(reason);
        }
    }
}

package io.membacking.partition;

/**
 * Whether a backend can be used here.
 *
 * @param reason why not; empty if it can
 * @param remedy what to do about it; empty if it can
 */
public record Availability(boolean usable, String reason, String remedy) {
    public static final Availability USABLE = new Availability(true, "", "");

    public static Availability unusable(String reason, String remedy) {
        return new Availability(false, reason, remedy);
    }
}

package io.membacking.vm;

import java.util.List;

/**
 * What a move would do, found out without doing it.
 *
 * @param from what it runs on, or why it does not; for people
 * @param to where it would go: name, bundle and service id; for people, empty if nothing matches
 * @param carried what would be the same afterwards
 * @param lost what would not
 * @param obstacles why it cannot be; empty if it can
 */
public record MoveForecast(String from, String to, List<String> carried, List<String> lost, List<String> obstacles) {
    public MoveForecast {
        carried = List.copyOf(carried);
        lost = List.copyOf(lost);
        obstacles = List.copyOf(obstacles);
    }

    public boolean possible() {
        return obstacles.isEmpty();
    }
}

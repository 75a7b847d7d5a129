package io.membacking.region;

import java.util.List;

/**
 * What a commit does, in order; empty if the change changes nothing that anyone sees. A value: it can be printed without being
 * run, and is kept in the journal.
 */
public record Plan(String guest, List<Step> steps) {
    public Plan {
        steps = List.copyOf(steps);
    }

    public boolean isEmpty() {
        return steps.isEmpty();
    }

    /** One step a line, numbered from 1. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("plan for ").append(guest);
        if (steps.isEmpty()) {
            text.append(": nothing to do");
        }
        for (int i = 0; i < steps.size(); i++) {
            text.append(System.lineSeparator()).append(i + 1).append(". ").append(steps.get(i));
        }
        return text.toString();
    }
}

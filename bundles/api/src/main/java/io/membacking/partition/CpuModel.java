package io.membacking.partition;

import java.util.List;
import java.util.Optional;

/**
 * The processor that a guest sees, as CPUID tells it. A guest keeps its model wherever it moves. Immutable.
 *
 * @param leaves in any order; a backend puts each processor's own APIC id into the leaves that have it
 */
public record CpuModel(List<Leaf> leaves) {
    public CpuModel {
        leaves = List.copyOf(leaves);
    }

    /**
     * One answer of CPUID.
     *
     * @param function EAX of the question
     * @param index ECX of the question; counts only if {@code indexed}
     */
    public record Leaf(int function, int index, boolean indexed, int eax, int ebx, int ecx, int edx) {}

    public Optional<Leaf> leaf(int function, int index) {
        return leaves.stream()
                .filter(l -> l.function() == function && (!l.indexed() || l.index() == index))
                .findFirst();
    }
}

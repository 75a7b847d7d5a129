package io.membacking.partition.whp;

import io.membacking.partition.CpuModel;
import java.util.List;

/**
 * What is found out by running a processor of the platform.
 *
 * @param model what it shows by itself; without leaves where it could not be run
 * @param forms of its vector registers
 * @param behindPort whether RIP is behind the instruction where it accessed a port; the platform is described as leaving it there
 * @param behindMemory the same where it accessed memory that is not mapped
 */
record ProcessorFacts(CpuModel model, XsaveForms forms, boolean behindPort, boolean behindMemory) {
    static final ProcessorFacts UNKNOWN = new ProcessorFacts(new CpuModel(List.of()), false, false);

    ProcessorFacts(CpuModel model, boolean behindPort, boolean behindMemory) {
        this(model, XsaveForms.of(model), behindPort, behindMemory);
    }
}

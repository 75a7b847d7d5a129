package io.membacking.vm.internal;

import io.membacking.error.BackendException;
import io.membacking.partition.CpuModel;
import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PlatformState;
import io.membacking.partition.Processor;
import io.membacking.partition.ProcessorState;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/**
 * Everything of a guest but its memory, as values that outlive the backend they came from.
 *
 * @param lines the interrupt lines that were raised
 */
record GuestState(CpuModel model, PlatformState platform, List<ProcessorState> processors, BitSet lines) {
    GuestState {
        processors = List.copyOf(processors);
        lines = (BitSet) lines.clone();
    }

    /** The state format of the backend it came from. */
    String format() {
        return platform.format();
    }

    /** Takes it from a machine whose processors are gathered; nothing changes there but that pending exits are finished. */
    static GuestState take(BareMachine from, Gate gate, BitSet lines) throws BackendException {
        for (Processor processor : from.processors()) {
            if (!gate.isWhole(processor.index())) {
                finish(processor, gate);
            }
        }
        List<ProcessorState> states = new ArrayList<>();
        for (Processor processor : from.processors()) {
            states.add(processor.state());
        }
        return new GuestState(from.model(), from.partition().platformState(), states, lines);
    }

    /** A processor whose thread has gone may have left its last exit unfinished; what that reads now, nobody drives. */
    static void finish(Processor processor, Gate gate) throws BackendException {
        Optional<Exit> next;
        do {
            gate.visit();
            try {
                next = processor.completeExit();
            } finally {
                gate.leave();
            }
            next.ifPresent(GuestRun::floatBus);
        } while (next.isPresent());
    }

    /** Sets it in a machine that has not run, or that it was taken from. */
    void give(BareMachine machine) throws BackendException {
        Partition to = machine.partition();
        // Before the controllers' registers, which overwrite what raising them does, so that no edge counts twice.
        for (int line = lines.nextSetBit(0); line >= 0; line = lines.nextSetBit(line + 1)) {
            to.setInterruptLine(line, true);
        }
        for (int i = 0; i < processors.size(); i++) {
            machine.processors().get(i).setState(processors.get(i));
        }
        if (format().equals(to.capabilities().stateFormat())) {
            to.setPlatformState(platform);
        }
    }
}

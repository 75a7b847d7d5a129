package io.membacking.machine.internal;

import io.membacking.partition.ProcessorState;
import io.membacking.partition.ProcessorState.GeneralRegisters;
import io.membacking.partition.ProcessorState.Segment;
import io.membacking.partition.ProcessorState.SystemRegisters;
import io.membacking.partition.ProcessorState.Table;
import java.util.TreeMap;

/** A processor after reset (Intel SDM volume 3, table 10-1). */
final class ResetState {
    private static final Segment DATA = new Segment(0, 0xffff, 0, 0x93);

    static final ProcessorState VALUE = new ProcessorState(
            GeneralRegisters.at(0xfff0),
            new SystemRegisters(
                    new Segment(0xffff0000L, 0xffff, 0xf000, 0x9b),
                    DATA,
                    DATA,
                    DATA,
                    DATA,
                    DATA,
                    new Segment(0, 0xffff, 0, 0x8b),
                    new Segment(0, 0xffff, 0, 0x82),
                    new Table(0, 0xffff),
                    new Table(0, 0xffff),
                    0x60000010,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0xfee00900L),
            new TreeMap<>());

    private ResetState() {}
}

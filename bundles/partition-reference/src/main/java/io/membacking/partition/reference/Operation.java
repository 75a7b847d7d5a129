package io.membacking.partition.reference;

/**
 * What an instruction does. It may fail at any access to memory, with nothing of it done that would be wrong to do again: so it
 * changes registers only after its last access, or takes a {@link Core#checkpoint()} first.
 */
interface Operation {
    void run(Core core, Instruction in);
}

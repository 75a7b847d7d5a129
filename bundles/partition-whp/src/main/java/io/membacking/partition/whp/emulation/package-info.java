/**
 * One instruction of a guest, decoded and carried out in Java: for hypervisors that tell where an instruction went, but not what it
 * wanted. Pure: registers and memory come in through {@link io.membacking.partition.whp.emulation.Cpu} and
 * {@link io.membacking.partition.whp.emulation.Ram}, and what devices answer is asked for step by step.
 *
 * <p>Covered, in real, protected and long mode: what compilers and firmware use on device memory: moves of all kinds, arithmetic,
 * shifts, bit tests, exchanges, stack and string instructions with their prefixes, port instructions, and the moves of XMM
 * registers. Not covered: segment limits beyond what the processor checked itself, AVX, x87, protection keys, the trap flag, far
 * transfers and loads of segment registers.
 */
@NullMarked
package io.membacking.partition.whp.emulation;

import org.jspecify.annotations.NullMarked;

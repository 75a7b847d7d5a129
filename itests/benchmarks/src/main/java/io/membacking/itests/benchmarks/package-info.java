/**
 * Measures guest memory beside plain C and rust-vmm's vm-memory, and compares. The benchmarks of our side are JMH's; those of the
 * other side are programs made by {@code make -C native bench}, whose sources say what each row is. Both sides do the same
 * accesses in the same order, and both report the median of many short runs, which is the same on a machine with other work.
 *
 * <p>Uses the bundles as plain classes, without a framework.
 */
@NullMarked
package io.membacking.itests.benchmarks;

import org.jspecify.annotations.NullMarked;

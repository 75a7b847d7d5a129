/**
 * Small x86 guest programs with documented contracts, as resources: for tests of memory and partitions, and for a machine that has no
 * firmware to boot.
 *
 * <p>What lives here: the bytes of the programs and what is known about each (where it is loaded, in which processor mode it starts,
 * which registers carry its parameters, how it ends). The sources are in {@code native/guests} of the project; the bytes are
 * committed, so that no assembler is needed to build or run. Depends on the JDK alone.
 *
 * <p>What never comes in: anything that makes a partition or runs a processor.
 */
@Export
@Version("0.1.0")
package io.membacking.guests;

import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;

/**
 * The SPI of hypervisor backends: partitions, their memory and their virtual processors, in one portable x86-64 form.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.partition;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;

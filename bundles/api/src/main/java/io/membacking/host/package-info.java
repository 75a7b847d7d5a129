/**
 * The SPI of host memory: reserving address space, allocating, mapping and sharing what holds a guest's bytes. One
 * provider per operating system; consumers are the mapping manager and the memory manager.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.host;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;

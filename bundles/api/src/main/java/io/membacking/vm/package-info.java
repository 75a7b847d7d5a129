/**
 * Running guests: virtual machines that choose a hypervisor backend, survive its departure and never lose their memory.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.vm;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;

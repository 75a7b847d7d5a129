/**
 * The memory of a guest as a monitor asks for it: layout, builder, RAM visibility, device memory, sharing.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.memory;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;

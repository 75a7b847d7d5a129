/**
 * Guest-physical ranges: the value every other package speaks in. Pure arithmetic, unsigned throughout.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.range;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;

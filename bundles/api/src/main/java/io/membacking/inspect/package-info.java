/**
 * The inspect tree: how components show their state and how it is read.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.inspect;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
